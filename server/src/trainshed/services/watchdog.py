"""Tasks whose process died without a word: nobody would ever say that they are over."""

from datetime import timedelta

from trainshed.domain import dates
from trainshed.domain.errors import ApiError
from trainshed.domain.identity import Identity, Role
from trainshed.domain.status import Status
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Not, Page, Range
from trainshed.services.events import EventLog
from trainshed.services.tasks import Tasks, moved

SILENCE = 7200  # seconds without a sign of life, unless the settings say otherwise
_AT_ONCE = Page(limit=500)  # after a long time off there may be many


class Watchdog:
    """Stops running tasks that were silent for too long: for `silence` seconds.

    Pings, events, edits and status reports are signs of life, as they move the task's dates. So are uploads, which do not
    touch the task: a large artifact may take hours.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        cache: Cache,
        clock: Clock,
        tasks: Tasks,
        events: EventLog,
        silence: int = SILENCE,
    ) -> None:
        self._documents = documents
        self._cache = cache
        self._clock = clock
        self._tasks = tasks
        self._events = events
        self._silence = silence

    def saw(self, task_id: str) -> None:
        """A sign of life that leaves the task's document as it is."""
        self._cache.set(_sign(task_id), b"", self._silence)

    def look(self) -> bool:
        """Stop those that are silent; whether another look is worth it at once."""
        self._events.settle()  # those before a crash count too
        limit = dates.to_text(self._clock.now() - timedelta(seconds=self._silence))
        quiet = (
            Eq(("status",), Status.IN_PROGRESS.value),
            Range(("last_update",), high=limit),
            Not(Eq(("company",), "")),
        )
        found = self._documents.find("tasks", And(quiet), page=_AT_ONCE)
        stopped = [self._stop(task, limit) for task in found if self._cache.get(_sign(task["id"])) is None]
        return any(stopped) and len(found) == _AT_ONCE.limit

    def _stop(self, task: Document, limit: str) -> bool:
        """Whether it was stopped: it may have come back to life, or be over, or be deleted."""
        now = dates.to_text(self._clock.now())
        owner = Identity(user=task["user"], company=task["company"], role=Role.SYSTEM)
        reason = f"stopped by the server: no sign of life for {self._silence} seconds"

        def change(present: Document) -> None:
            if present["status"] != Status.IN_PROGRESS or present["last_update"] > limit:
                raise _AliveError
            present.update(moved(present, Status.STOPPED, now, force=True, reason=reason, message=reason))

        try:
            self._tasks.change(owner, task["id"], change)
        except (ApiError, _AliveError):
            return False
        return True


class _AliveError(Exception):
    """The task needs no stop any more."""


def _sign(task_id: str) -> str:
    return f"alive:{task_id}"
