"""What is kept for finished tasks, and tasks in the trash, is removed after as many days as the settings say; else never."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from trainshed.domain import dates
from trainshed.domain.identity import Identity, Role
from trainshed.domain.status import FINISHED, Status
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Events, SampleKind
from trainshed.ports.query import And, Eq, Filter, In, Not, Or, Page, Range, Sort
from trainshed.services import stored_settings
from trainshed.services.file_deletion import TRASH, FileDeletion

_TASKS = 100  # looked at in one step
_LOGS = 5000  # console events removed in one step

Kind = Literal["logs", "images", "plots"]
_SAMPLES: dict[Kind, SampleKind] = {"images": "training_debug_image", "plots": "plot"}
# What is published is meant to stay.
_OVER = tuple(status.value for status in FINISHED - {Status.PUBLISHED})


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Days after which things are removed; None, which is the default of each: never.

    logs, images (with their files), plots (with theirs): of finished tasks that are not published, counted from the last
    change of the task. trash: tasks that were deleted into the trash, counted from that.
    """

    logs: float | None = None
    images: float | None = None
    plots: float | None = None
    trash: float | None = None


FOREVER = Keep()


class Removal(NamedTuple):
    """What retention removes: a kind of events of a task and how many these are, or a task from the trash."""

    kind: str
    task: str
    name: str
    since: str
    events: int


class Retention:
    """The job that removes what is old, a piece at a time, and the look at what it would remove."""

    def __init__(self, *, documents: Documents, events: Events, clock: Clock, files: FileDeletion, keep: Keep) -> None:
        self._documents = documents
        self._events = events
        self._clock = clock
        self._files = files
        self._keep = keep
        self._days: dict[Kind, float | None] = {"logs": keep.logs, "images": keep.images, "plots": keep.plots}

    def step(self) -> bool:
        """Remove one piece of what is old; whether there may be more."""
        return any(self._clear(kind) for kind in self._days) or self._empty_trash()

    def preview(self) -> Iterator[Removal]:
        """What the steps would remove now."""
        for kind in self._days:
            place: dict[str, str] = self._reached(kind)
            while tasks := self._old_tasks(kind, place):
                for task in tasks:
                    if count := self._count(kind, task["id"]):
                        yield Removal(kind, task["id"], task["name"], task["last_update"], count)
                place = _place(tasks[-1])
        for trash in self._old_trash(Page()):
            yield Removal("trash", trash["id"], trash["task"]["name"], trash["trashed"], 0)

    def _clear(self, kind: Kind) -> bool:
        """Whether there may be more. Tasks that have nothing of the kind are not looked at again, unless they change."""
        tasks = self._old_tasks(kind, self._reached(kind))
        for number, task in enumerate(tasks):
            if self._remove(kind, task):
                if number:
                    self._reach(kind, tasks[number - 1])
                return True
        if tasks:
            self._reach(kind, tasks[-1])
        return len(tasks) == _TASKS

    def _remove(self, kind: Kind, task: Document) -> bool:
        """Remove a piece; whether there was any."""
        if kind == "logs":
            page = self._events.logs(task["id"], limit=_LOGS, earlier=False).events
            return bool(page) and self._events.delete_logs(task["id"], before=page[-1].timestamp + 1) > 0
        for metric, variant in self._events.metrics(task["id"], _SAMPLES[kind])[:1]:
            samples = self._events.samples(task["id"], _SAMPLES[kind], metric=metric, variants=[variant])
            # First, so that no file is left of which nobody knows.
            self._files.enlist(_server(task), [task["id"]], sorted(self._files.urls_in(samples)))
            self._events.delete_samples(task["id"], _SAMPLES[kind], metric=metric, variant=variant)
            return True
        return False

    def _count(self, kind: Kind, task: str) -> int:
        if kind == "logs":
            return self._events.logs(task, limit=1).total
        return len(self._events.sample_names(task, _SAMPLES[kind]))

    def _old_tasks(self, kind: Kind, place: dict[str, str]) -> list[Document]:
        """Some finished tasks that are old enough, after that place in the order of their last change."""
        days = self._days[kind]
        if days is None:
            return []
        updated = ("last_update",)
        old: list[Filter] = [
            In(("status",), _OVER),
            Range(updated, high=self._limit(days)),
            Not(Eq(("company",), "")),
        ]
        if place:
            same = And((Eq(updated, place["last_update"]), Range(("id",), low=place["task"], low_open=True)))
            old.append(Or((Range(updated, low=place["last_update"], low_open=True), same)))
        return self._documents.find("tasks", And(tuple(old)), sort=(Sort(updated),), page=Page(limit=_TASKS))

    def _empty_trash(self) -> bool:
        found = self._old_trash(Page(limit=1))
        for trash in found:
            if self._documents.get("tasks", trash["id"]) is None:  # else its deletion did not get further
                owners = [trash["id"], *(model["id"] for model in trash["models"])]
                if trash["files"]:
                    urls = self._files.urls(trash["task"], trash["models"])
                    self._files.enlist(_server(trash), owners, urls.all())
                self._events.delete(owners)
                self._files.forget_links([trash["id"]])
            self._documents.delete(TRASH, Eq(("id",), trash["id"]))
        return bool(found)

    def _old_trash(self, page: Page) -> list[Document]:
        if self._keep.trash is None:
            return []
        old = Range(("trashed",), high=self._limit(self._keep.trash))
        return self._documents.find(TRASH, old, sort=(Sort(("trashed",)),), page=page)

    def _limit(self, days: float) -> str:
        return dates.to_text(self._clock.now() - timedelta(days=days))

    def _reached(self, kind: Kind) -> dict[str, str]:
        """The place of the last task that has nothing of the kind any more."""
        return {
            name: value for name, value in stored_settings.read(self._documents, _subject(kind)).items() if name != "id"
        }

    def _reach(self, kind: Kind, task: Document) -> None:
        stored_settings.change(self._documents, _subject(kind), lambda document: document.update(_place(task)))


def _place(task: Document) -> dict[str, str]:
    return {"last_update": task["last_update"], "task": task["id"]}


def _subject(kind: Kind) -> str:
    return f"retention:{kind}"


def _server(document: dict[str, Any]) -> Identity:
    """The server itself, on behalf of whom the document is of."""
    return Identity(user=document["user"], company=document["company"], role=Role.SYSTEM)
