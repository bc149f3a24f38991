"""Queues: where tasks wait for a worker, first come first served unless somebody moves them."""

import logging
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound, StoreFull
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Has, Not, Page, Sort
from trainshed.services import checks, history, listing, metadata
from trainshed.services.history import Buckets, History
from trainshed.services.limits import LIMITS, Limits

log = logging.getLogger(__name__)

QUEUES = listing.Entity(
    collection="queues",
    patterns=("name",),
    lists=("id", "tags", "system_tags"),
    search=("id", "name", "display_name"),
)
DEFAULT = "default"  # the system tag of the queue for whoever names none, and the name it begins with
# The agent for Kubernetes makes queues of its own, which people should not see among theirs.
_FIELDS = ("name", "display_name", "tags", "system_tags", "metadata")
_MIN_BUCKET = 1  # second of a chart

Entry = dict[str, Any]


class Queues:
    """The use cases of queues. What happens to the tasks themselves is TaskQueueing's."""

    def __init__(
        self, *, documents: Documents, cache: Cache, clock: Clock, history: History, limits: Limits = LIMITS
    ) -> None:
        self._documents = documents
        self._limits = limits
        self._cache = cache
        self._clock = clock
        self._history = history

    # reading

    def get(self, identity: Identity, queue_id: str) -> Document:
        """Raises INVALID_QUEUE_ID."""
        return checks.existing(self._documents, "queues", identity, queue_id, Fault.INVALID_QUEUE_ID)

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Queues as asked for. Those with a tag that hides, as of Kubernetes agents, only by id or name, or with search_hidden."""
        asked_for = any(arguments.get(name) for name in ("id", "name", "search_hidden"))
        hiding = () if asked_for else self._limits.hidden_queues
        extra = And(tuple(Not(Has(("system_tags",), tag)) for tag in hiding))
        return listing.fetch(
            self._documents, self._cache, QUEUES, identity, arguments, extra=extra, limits=self._limits
        )

    def default(self, identity: Identity) -> Document:
        """The queue for whoever names none, made when it is missing. Raises MULTIPLE_DEFAULT_QUEUES."""
        where = And((Eq(("company",), identity.company), Has(("system_tags",), DEFAULT)))
        found = self._documents.find("queues", where)
        if len(found) > 1:
            raise ApiError(Fault.MULTIPLE_DEFAULT_QUEUES)
        return found[0] if found else self.named(identity, DEFAULT, system_tags=[DEFAULT])

    def named(self, identity: Identity, name: str, **fields: Any) -> Document:
        """The queue of this name, made with the fields when it is missing."""
        where = And((Eq(("company",), identity.company), Eq(("name",), checks.name(name))))
        found = self._documents.find("queues", where)
        if found:
            return found[0]
        try:
            return self._insert(identity, {**fields, "name": name})
        except Duplicate:  # somebody else was quicker
            return self._documents.find("queues", where)[0]

    # writing

    def create(self, identity: Identity, fields: dict[str, Any]) -> str:
        """Add a queue; return its id. Raises NOT_UNIQUE when the name is taken."""
        try:
            return str(self._insert(identity, fields)["id"])
        except Duplicate as error:
            raise _taken(fields["name"]) from error

    def update(self, identity: Identity, queue_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change fields; return those."""
        changed = _stored({name: fields[name] for name in _FIELDS if name in fields})
        try:
            self._change(identity, queue_id, lambda queue: queue.update(changed))
        except Duplicate as error:
            raise _taken(fields["name"]) from error
        return changed

    def delete(self, identity: Identity, queue_id: str, *, force: bool) -> list[str]:
        """Remove a queue; return the tasks that were in it. Raises QUEUE_NOT_EMPTY for any, unless forced."""
        tasks: list[str] = []

        # Emptied first, so that no agent takes a task which goes back to its owner.
        def empty(queue: Document) -> None:
            tasks[:] = [entry["task"] for entry in queue["entries"]]
            if tasks and not force:
                raise ApiError(Fault.QUEUE_NOT_EMPTY, f"{len(tasks)} tasks: force is needed")
            queue["entries"] = []

        self._change(identity, queue_id, empty)
        self._documents.delete("queues", Eq(("id",), queue_id))
        self._history.forget(_reporter(queue_id))
        return tasks

    def add_or_update_metadata(self, identity: Identity, queue_id: str, items: list[Entry], *, replace: bool) -> None:
        """Put metadata entries by key; replace: these and no others."""
        self._change(identity, queue_id, lambda queue: metadata.put(queue, items, replace=replace))

    def delete_metadata(self, identity: Identity, queue_id: str, keys: list[str]) -> None:
        """Remove metadata entries by key."""
        self._change(identity, queue_id, lambda queue: metadata.remove(queue, keys))

    # entries

    def add(self, identity: Identity, queue_id: str, task_id: str) -> None:
        """Put a task at the end. Raises TASK_ALREADY_QUEUED."""
        entry = {"task": task_id, "added": self._now()}

        def change(queue: Document) -> None:
            if _position(queue, task_id) is not None:
                raise ApiError(Fault.TASK_ALREADY_QUEUED, task_id)
            queue["entries"].append(entry)

        self._measure(self._change(identity, queue_id, change))

    def take(self, identity: Identity, queue_id: str) -> Entry | None:
        """Take the first entry out; None when the queue is empty. Nobody else gets the same one."""
        if not self.get(identity, queue_id)["entries"]:  # what agents meet most: no need to write
            return None
        taken: list[Entry] = []

        def change(queue: Document) -> None:
            taken[:] = queue["entries"][:1]
            del queue["entries"][:1]

        self._measure(self._change(identity, queue_id, change))
        return taken[0] if taken else None

    def remove(self, identity: Identity, queue_id: str, task_id: str) -> None:
        """Take a task out. Raises INVALID_QUEUE_OR_TASK_NOT_QUEUED."""

        def change(queue: Document) -> None:
            del queue["entries"][_known_position(queue, task_id)]

        self._measure(self._change(identity, queue_id, change))

    def clear(self, identity: Identity, queue_id: str) -> list[str]:
        """Take all tasks out; return them."""
        tasks: list[str] = []

        def change(queue: Document) -> None:
            tasks[:] = [entry["task"] for entry in queue["entries"]]
            queue["entries"] = []

        self._measure(self._change(identity, queue_id, change))
        return tasks

    def forget(self, task_id: str) -> int:
        """Take a task out of every queue; return how many had it."""
        where = Has(("entries",), task_id, key="task")
        if not self._documents.count("queues", where):  # by far most tasks: no need to write
            return 0

        def change(queue: Document) -> None:
            queue["entries"] = [entry for entry in queue["entries"] if entry["task"] != task_id]

        return self._documents.update_many("queues", where, change)

    def forget_all(self, task_ids: Collection[str]) -> None:
        """Take tasks out of every queue, however many they are."""
        gone = frozenset(task_ids)

        def change(queue: Document) -> None:
            queue["entries"] = [entry for entry in queue["entries"] if entry["task"] not in gone]

        for queue in self._documents.find("queues"):
            if any(entry["task"] in gone for entry in queue["entries"]):
                self._documents.update_many("queues", Eq(("id",), queue["id"]), change)

    def move(self, identity: Identity, queue_id: str, task_id: str, to: Callable[[int], int]) -> int:
        """Move a task to the position that `to` makes of its present one, or the nearest there is; return that, from 0.

        Raises INVALID_QUEUE_OR_TASK_NOT_QUEUED.
        """
        position = 0

        def change(queue: Document) -> None:
            nonlocal position
            present = _known_position(queue, task_id)
            position = max(0, min(to(present), len(queue["entries"]) - 1))
            queue["entries"].insert(position, queue["entries"].pop(present))

        self._change(identity, queue_id, change)
        return position

    # figures

    def metrics(
        self, identity: Identity, queue_ids: list[str], span: tuple[float, float], interval: int, *, refresh: bool
    ) -> list[dict[str, Any]]:
        """Lengths and waiting times by interval, of these queues, or of all together. refresh: measure them now, too."""
        within = history.buckets(*span, interval, at_least=_MIN_BUCKET)
        queues = self._documents.find("queues", listing.visible(identity), sort=(Sort(("name",)),), page=Page())
        chosen = [queue for queue in queues if not queue_ids or queue["id"] in queue_ids]
        if refresh:
            for queue in chosen:
                self._measure(queue)
        charts = {str(queue["id"]): self._chart(str(queue["id"]), within) for queue in chosen}
        if not queue_ids:
            charts = {"total": _averaged(list(charts.values()))}
        return [{"queue": name, **_columns(chart, within)} for name, chart in charts.items()]

    def _chart(self, queue_id: str, within: Buckets) -> "_Chart":
        """The longest average wait of each bucket, with the length at that moment."""
        found = self._history.read(_reporter(queue_id), within)
        if not found:
            return {}
        waits, lengths = found["waiting", ""], found["length", ""]  # noted together, so in the same order
        numbers = within.of(waits.times)
        chart: _Chart = {}
        for at in np.lexsort((lengths.values, waits.values, numbers)):
            chart[int(numbers[at])] = float(waits.values[at]), float(lengths.values[at])
        return chart

    def _measure(self, queue: Document) -> None:
        now = self._clock.now()
        waits = [(now - dates.from_text(entry["added"])).total_seconds() for entry in queue["entries"]]
        mean = sum(waits) / len(waits) if waits else 0.0
        try:
            self._history.add(
                _reporter(queue["id"]), {("waiting", ""): max(mean, 0.0), ("length", ""): float(len(waits))}
            )
        except StoreFull:  # what was asked for is done: a missing point is not worth refusing it
            log.warning("a measurement of queue %s was not noted: the disk is full", queue["id"])

    def _insert(self, identity: Identity, fields: dict[str, Any]) -> Document:
        queue: Document = {
            "id": new_id(),
            "user": identity.user,
            "company": identity.company,
            "created": self._now(),
            # Never null: the agent tests what is in it.
            "tags": [],
            "system_tags": [],
            "entries": [],
            "metadata": {},
            **_stored({name: fields[name] for name in _FIELDS if name in fields}),
        }
        self._documents.insert("queues", queue)
        return queue

    def _change(self, identity: Identity, queue_id: str, change: Callable[[Document], None]) -> Document:
        def apply(queue: Document) -> None:
            if queue["company"] != identity.company:
                raise ApiError(Fault.INVALID_QUEUE_ID, queue_id)
            change(queue)

        try:
            return self._documents.update("queues", queue_id, apply)
        except NotFound as error:
            raise ApiError(Fault.INVALID_QUEUE_ID, queue_id) from error

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


# Number of a bucket -> (average wait in seconds, length).
_Chart = dict[int, tuple[float, float]]


def _averaged(charts: list[_Chart]) -> _Chart:
    numbers = {number for chart in charts for number in chart}
    found = {number: [chart[number] for chart in charts if number in chart] for number in numbers}
    return {
        number: (sum(wait for wait, _ in pairs) / len(pairs), sum(length for _, length in pairs) / len(pairs))
        for number, pairs in found.items()
    }


def _columns(chart: _Chart, within: Buckets) -> dict[str, Any]:
    numbers = sorted(chart)
    return {
        "dates": [within.date(number) for number in numbers],
        "avg_waiting_times": [chart[number][0] for number in numbers],
        "queue_lengths": [round(chart[number][1]) for number in numbers],
    }


def _stored(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as a queue holds them."""
    if "name" in fields:
        fields = {**fields, "name": checks.name(fields["name"])}
    if "metadata" in fields:
        fields = {**fields, "metadata": {key: {"key": key, **item} for key, item in fields["metadata"].items()}}
    return fields


def _position(queue: Document, task_id: str) -> int | None:
    return next((at for at, entry in enumerate(queue["entries"]) if entry["task"] == task_id), None)


def _known_position(queue: Document, task_id: str) -> int:
    position = _position(queue, task_id)
    if position is None:
        raise ApiError(Fault.INVALID_QUEUE_OR_TASK_NOT_QUEUED, task_id)
    return position


def _reporter(queue_id: str) -> str:
    return f"queue:{queue_id}"


def _taken(name: str) -> ApiError:
    return ApiError(Fault.NOT_UNIQUE, f"a queue named {name!r} exists")
