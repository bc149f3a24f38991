"""Workers: the agents that take tasks from queues, and the machines they run on.

A worker is there for as long as it reports: its document says when it ends, and one that has ended is as good as gone.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Filter, Has, In, Or, Range, Sort
from trainshed.services import history, listing
from trainshed.services.history import Buckets, History, Points
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.tasks import Tasks

_WHOLE = ""  # the variant of a figure of the whole machine; "0", "1", ... are its parts
_ACTIVITY = "active"
_AGGREGATIONS: dict[str, Callable[[NDArray[np.float64]], Any]] = {"avg": np.mean, "min": np.min, "max": np.max}


class Workers:
    """The use cases of workers."""

    def __init__(
        self, *, documents: Documents, clock: Clock, history: History, tasks: Tasks, limits: Limits = LIMITS
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._history = history
        self._tasks = tasks
        self._limits = limits

    # what workers say

    def register(
        self, identity: Identity, worker: str, *, address: str, timeout: int | None, fields: dict[str, Any]
    ) -> None:
        """Note a worker that begins. fields: queues, tags, system_tags."""
        self._documents.delete("workers", Range(("ends",), high=self._now()))
        self._documents.delete("workers", Eq(("id",), _key(identity, worker)))
        self._report(identity, worker, address, {"timeout": timeout or self._limits.worker, **fields})

    def unregister(self, identity: Identity, worker: str) -> None:
        """Forget a worker. Raises WORKER_NOT_REGISTERED."""
        if not self._documents.delete("workers", Eq(("id",), _key(identity, worker))):
            raise ApiError(Fault.WORKER_NOT_REGISTERED, worker)

    def report(
        self,
        identity: Identity,
        worker: str,
        *,
        address: str,
        timestamp: int,
        machine_stats: Mapping[str, Any],
        fields: dict[str, Any],
    ) -> None:
        """A sign of life. fields: queues, tags and system_tags stay when they are left out; a task and queue end.

        Known or not, the worker is there afterwards: a restarted server, or one that slept, must not lose it.
        """
        task = fields.get("task")
        known = {"task": None, "queue": None, "last_report_time": self._now(), **fields}
        self._report(identity, worker, address, known)
        if task:
            self._mark_task(identity, task, worker)
        self._history.add(_reporter(identity, worker), _figures(machine_stats), moment=timestamp)
        self._history.add(_activity(identity), {(_ACTIVITY, worker): 1.0 if task else 0.0}, moment=timestamp)

    # who is there

    def find(
        self,
        identity: Identity,
        *,
        last_seen: int | None = None,
        tags: list[str | None] | None = None,
        system_tags: list[str | None] | None = None,
        pattern: str | None = None,
    ) -> list[Document]:
        """The workers that are there by name. last_seen: active within so many seconds. pattern: as of file names."""
        where: list[Filter] = [self._alive(identity)]
        if last_seen:
            since = self._clock.now() - timedelta(seconds=min(last_seen, 10 * 365 * 24 * 3600))
            where.append(Range(("last_activity_time",), low=dates.to_text(since)))
        where += [
            listing.match_list((name,), values)
            for name, values in (("tags", tags), ("system_tags", system_tags))
            if values
        ]
        found = self._documents.find("workers", And(tuple(where)), sort=(Sort(("name",)),))
        return [worker for worker in found if not pattern or fnmatchcase(worker["name"], pattern)]

    def watching(self, identity: Identity, queue_ids: Iterable[str]) -> list[Document]:
        """The workers that are there and listen on any of these queues."""
        where = Or(tuple(Has(("queues",), queue_id) for queue_id in queue_ids))
        return self._documents.find("workers", And((self._alive(identity), where)), sort=(Sort(("name",)),))

    def described(self, workers: list[Document]) -> list[dict[str, Any]]:
        """The workers with names of what they refer to, as clients see them."""
        users = self._by_id("users", (worker["user"] for worker in workers))
        tasks = self._by_id("tasks", (worker.get("task") for worker in workers))
        projects = self._by_id("projects", (task.get("project") for task in tasks.values()))
        queues = self._by_id(
            "queues", (queue for worker in workers for queue in [worker.get("queue"), *worker["queues"]])
        )
        first = (queue["entries"][0]["task"] for queue in queues.values() if queue["entries"])
        waiting = self._by_id("tasks", first)
        shown = {queue_id: _queue_entry(queue, waiting) for queue_id, queue in queues.items()}
        return [self._described(worker, users, tasks, projects, shown) for worker in workers]

    def _described(
        self,
        worker: Document,
        users: Mapping[str, Document],
        tasks: Mapping[str, Document],
        projects: Mapping[str, Document],
        queues: Mapping[str, dict[str, Any]],
    ) -> dict[str, Any]:
        times = ("register_time", "last_activity_time", "last_report_time")
        described: dict[str, Any] = {
            "id": worker["name"],
            "key": worker["id"],
            "ip": worker["ip"],
            "user": _named(users.get(worker["user"], {"id": worker["user"], "name": ""})),
            "company": {"id": worker["company"], "name": ""},
            "queues": [queues.get(queue, {"id": queue, "name": ""}) for queue in worker["queues"]],
            "tags": worker["tags"],
            "system_tags": worker["system_tags"],
            **{name: worker[name] for name in times if name in worker},
        }
        if worker.get("queue") in queues:
            described["queue"] = queues[worker["queue"]]
        task = tasks.get(worker.get("task") or "")
        if task is not None:
            described["task"] = {
                **_named(task),
                "running_time": self._running(task),
                "last_iteration": task["last_iteration"],
            }
            if task.get("project") in projects:
                described["project"] = _named(projects[task["project"]])
        return described

    def _running(self, task: Document) -> int:
        """Milliseconds since the task was started."""
        if "started" not in task:
            return 0
        return max(0, int((self._clock.now() - dates.from_text(task["started"])).total_seconds() * 1000))

    # figures

    def metric_keys(self, identity: Identity, workers: list[str]) -> dict[str, list[str]]:
        """Which figures the workers (all that are there, when none is named) reported, by kind of hardware.

        Raises WORKER_STATS_NOT_FOUND when there are none.
        """
        names = workers or [worker["name"] for worker in self.find(identity)]
        metrics = sorted({m for name in names for m in self._history.metrics(_reporter(identity, name))})
        if not metrics:
            raise ApiError(Fault.WORKER_STATS_NOT_FOUND)
        kinds: dict[str, list[str]] = {}
        for metric in metrics:
            kinds.setdefault(metric.split("_", 1)[0], []).append(metric)
        return kinds

    def stats(
        self,
        identity: Identity,
        workers: list[str],
        span: tuple[float, float],
        interval: int,
        items: list[tuple[str, str]],
        *,
        by_variant: bool,
    ) -> list[dict[str, Any]]:
        """Figures by interval of the workers that have any. items: (metric, aggregation). by_variant: for each part."""
        within = history.buckets(*span, interval, at_least=self._limits.worker_chart)
        wanted: dict[str, list[str]] = {}
        for metric, aggregation in items:
            wanted.setdefault(metric, []).append(aggregation)
        found = []
        for name in workers or [worker["name"] for worker in self.find(identity)]:
            metrics = [
                {"metric": metric, **({"variant": variant} if by_variant else {}), **_aggregated(points, within, kinds)}
                for metric, kinds in wanted.items()
                for variant, points in self._points(_reporter(identity, name), within, metric, by_variant=by_variant)
            ]
            if metrics:
                found.append({"worker": name, "metrics": metrics})
        return found

    def _points(self, reporter: str, within: Buckets, metric: str, *, by_variant: bool) -> list[tuple[str, Points]]:
        found = self._history.read(reporter, within, metric=metric)
        if by_variant or not found:
            return [(variant, points) for (_, variant), points in found.items()]
        return [(_WHOLE, history.joined(found.values()))]

    def activity(self, identity: Identity, span: tuple[float, float], interval: int) -> dict[str, Any]:
        """How many workers reported in each interval, and how many of them ran a task."""
        within = history.buckets(*span, interval, at_least=self._limits.worker_chart)
        total, active = np.zeros(within.count, np.int64), np.zeros(within.count, np.int64)
        for points in self._history.read(_activity(identity), within, metric=_ACTIVITY).values():
            numbers = within.of(points.times)
            total[np.unique(numbers)] += 1
            active[np.unique(numbers[points.values > 0])] += 1
        moments = [within.date(number) for number in range(within.count)]
        return {
            "total": {"dates": moments, "counts": total.tolist()},
            "active": {"dates": moments, "counts": active.tolist()},
        }

    # storage

    def _report(self, identity: Identity, worker: str, address: str, fields: dict[str, Any]) -> None:
        now = self._clock.now()

        def change(document: Document) -> None:
            document.update(fields, ip=address, last_activity_time=dates.to_text(now))
            document["ends"] = dates.to_text(now + timedelta(seconds=document["timeout"]))

        key = _key(identity, worker)
        try:
            self._documents.update("workers", key, change)
        except NotFound:
            document = {**self._new(identity, worker), "id": key}
            change(document)
            with suppress(Duplicate):  # the same worker's other report was quicker
                self._documents.insert("workers", document)

    def _new(self, identity: Identity, worker: str) -> Document:
        return {
            "name": worker,
            "user": identity.user,
            "company": identity.company,
            "timeout": self._limits.worker,
            "queues": [],
            "tags": [],
            "system_tags": [],
            "register_time": self._now(),
        }

    def _mark_task(self, identity: Identity, task_id: str, worker: str) -> None:
        now = self._now()
        with suppress(ApiError):  # deleted meanwhile, or of another company: the worker is there all the same
            self._tasks.change(
                identity,
                task_id,
                lambda task: task.update(last_worker=worker, last_worker_report=now),
                counts_as_change=False,
            )

    def _alive(self, identity: Identity) -> Filter:
        return And((Eq(("company",), identity.company), Range(("ends",), low=self._now(), low_open=True)))

    def _by_id(self, collection: str, ids: Iterable[str | None]) -> dict[str, Document]:
        wanted = tuple(sorted({found for found in ids if found}))
        found = self._documents.find(collection, In(("id",), wanted) if wanted else Or())
        return {str(document["id"]): document for document in found}

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _key(identity: Identity, worker: str) -> str:
    return f"worker_{identity.company}_{identity.user}_{worker}"


def _reporter(identity: Identity, worker: str) -> str:
    return f"worker:{identity.company}:{worker}"


def _activity(identity: Identity) -> str:
    return f"activity:{identity.company}"


def _figures(machine_stats: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    figures: dict[tuple[str, str], float] = {}
    for metric, value in machine_stats.items():
        parts = {str(at): part for at, part in enumerate(value)} if isinstance(value, list) else {_WHOLE: value}
        figures.update({(metric, variant): float(part) for variant, part in parts.items() if part is not None})
    return figures


def _aggregated(points: Points, within: Buckets, kinds: list[str]) -> dict[str, Any]:
    numbers = within.of(points.times)
    present = np.unique(numbers)
    inside = [points.values[numbers == number] for number in present]
    return {
        "dates": [within.date(number) for number in present],
        "stats": [
            {"aggregation": kind, "values": [float(_AGGREGATIONS[kind](values)) for values in inside]} for kind in kinds
        ],
    }


def _queue_entry(queue: Document, waiting: Mapping[str, Document]) -> dict[str, Any]:
    entry: dict[str, Any] = {**_named(queue), "num_tasks": len(queue["entries"])}
    if queue.get("display_name"):
        entry["display_name"] = queue["display_name"]
    first = waiting.get(queue["entries"][0]["task"]) if queue["entries"] else None
    if first is not None:
        entry["next_task"] = _named(first)
    return entry


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": document["id"], "name": document["name"]}
