"""Events: what experiments report, and every way of reading it back."""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault, NotFound
from trainshed.domain.identity import Identity
from trainshed.domain.status import Status
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import (
    SINGLE_VALUE,
    AnyEvent,
    EventKind,
    Events,
    LogEvent,
    LogPage,
    Place,
    Sample,
    SampleKind,
    Series,
    SeriesStats,
    Timeline,
)
from trainshed.services import checks

Metrics = Sequence[tuple[str, Sequence[str] | None]]  # metric -> variants, None: all of them

_ALL: Sequence[tuple[str | None, Sequence[str] | None]] = [(None, None)]
_LOCKS = 64  # owners that seldom share one
MAX_LAST_METRICS = 2000  # metrics kept on a task: beyond it a table could not show them, and the document would grow


@dataclass(slots=True)
class Report:
    """How many events were stored, how many were not, and why (message -> how many)."""

    added: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def fail(self, message: str, count: int = 1) -> None:
        self.errors[message] = self.errors.get(message, 0) + count


class EventLog:
    """The use cases of events."""

    def __init__(self, *, documents: Documents, events: Events, cache: Cache, clock: Clock) -> None:
        self._documents = documents
        self._events = events
        self.cache = cache
        self._clock = clock
        # By owner: figures are brought to its document in the order in which they were made.
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    # writing

    def add(
        self, identity: Identity, events: Iterable[AnyEvent], report: Report, *, unlocked: Collection[str] = ()
    ) -> None:
        """Store the events of known owners, and bring each owner's last values up to date.

        A published owner takes none, unless it is among the `unlocked`.
        What cannot be stored is counted in the report. Raises EVENTS_NOT_ADDED when nothing could be.
        """
        now = int(self._clock.now().timestamp() * 1000)
        by_owner: dict[tuple[str, bool], list[AnyEvent]] = defaultdict(list)
        for event in events:
            if not event.timestamp:
                event.timestamp = now
            by_owner[(event.task, event.model_event)].append(event)
        good: list[AnyEvent] = []
        owners: list[tuple[str, bool]] = []
        for (owner, is_model), group in by_owner.items():
            problem = self._problem(identity, owner, is_model=is_model, locks=owner not in unlocked)
            if problem:
                report.fail(problem, len(group))
                continue
            fitting = [e for e in group if not isinstance(e, LogEvent)] if is_model else group
            if len(fitting) < len(group):
                report.fail("a model has no console log", len(group) - len(fitting))
            owners.append((owner, is_model))
            good += fitting
        if not good:
            raise ApiError(Fault.EVENTS_NOT_ADDED, "; ".join(report.errors) or "there were none", errors=report.errors)
        with self._one_at_a_time(owner for owner, _ in owners):
            touched = self._events.add(good)
            report.added += len(good)
            for owner, is_model in owners:
                self._update_owner(owner, by_owner[(owner, is_model)], touched.get(owner, []), is_model=is_model)

    def delete(self, identity: Identity, owner: str, *, is_model: bool = False, locks: bool = True) -> None:
        """Remove every event of a task or model, of a published one unless it `locks`.

        Raises INVALID_TASK_ID or INVALID_MODEL_ID, NO_WRITE_PERMISSION, INVALID_TASK_STATUS or MODEL_IS_READY.
        """
        _check_open(self.owner(identity, owner, is_model=is_model), locks=locks)
        self._events.delete([owner])

    def delete_logs(
        self,
        identity: Identity,
        task: str,
        *,
        older_than: int,
        only: Sequence[str] | None,
        spared: Sequence[str],
        locks: bool = True,
    ) -> int:
        """Remove a task's console events that are older than so many seconds (0: all); return how many.

        only: those of these metrics, when given. spared: not those of these. Raises as delete().
        """
        _check_open(self.owner(identity, task), locks=locks)
        now = int(self._clock.now().timestamp() * 1000)
        return self._events.delete_logs(
            task,
            before=now - older_than * 1000 if older_than else None,
            chosen=lambda event: (not only or event.metric in only) and event.metric not in spared,
        )

    # reading

    def owner(self, identity: Identity, owner: str, *, is_model: bool = False) -> Document:
        """The task or model. Raises INVALID_TASK_ID or INVALID_MODEL_ID."""
        if is_model:
            return checks.existing(self._documents, "models", identity, owner, Fault.INVALID_MODEL_ID)
        return checks.existing(self._documents, "tasks", identity, owner, Fault.INVALID_TASK_ID)

    def stats(self, owner: str) -> list[SeriesStats]:
        """The figures of every series."""
        return self._events.stats(owner)

    def points(
        self, owner: str, metric: str, variants: Sequence[str], *, above: int | None, limit: int
    ) -> list[Series]:
        """Of these variants the first `limit` points above an iteration, the single value in its place among them."""
        found = [
            series
            for single in (False, True)
            for series in self._events.scalars(
                owner, metric=metric, variants=variants, single=single, above=above, limit=limit
            )
        ]
        return [_joined(parts, limit) for parts in _by_variant(found)]

    def scalars(self, owner: str, metrics: Metrics | None) -> list[Series]:
        """The curves of the owner; only these metrics (and of each only these variants), when given."""
        if metrics is None:
            return self._events.scalars(owner)
        return [
            s for metric, variants in metrics for s in self._events.scalars(owner, metric=metric, variants=variants)
        ]

    def single_values(self, owner: str, metrics: Metrics | None) -> list[Series]:
        """The single values of the owner, each a series of one point."""
        found = self._events.scalars(owner, single=True)
        if metrics is None:
            return found
        wanted = dict(metrics)
        return [
            s for s in found if s.metric in wanted and (not wanted[s.metric] or s.variant in (wanted[s.metric] or ()))
        ]

    def samples(
        self,
        owner: str,
        kind: SampleKind,
        metrics: Metrics | None = None,
        *,
        last_iterations: int | None = None,
        within: tuple[int, int] | None = None,
    ) -> list[Sample]:
        """Plots, images or vectors of the owner by (metric, variant), newest iteration first."""
        return [
            sample
            for metric, variants in (metrics if metrics is not None else _ALL)
            for sample in self._events.samples(
                owner, kind, metric=metric, variants=variants, last_iterations=last_iterations, within=within
            )
        ]

    def sample_names(self, owner: str, kind: SampleKind, metrics: Metrics | None = None) -> list[tuple[str, str, int]]:
        """(metric, variant, iteration) of what samples() would give."""
        return [
            name
            for metric, variants in (metrics if metrics is not None else _ALL)
            for name in self._events.sample_names(owner, kind, metric=metric, variants=variants)
        ]

    def timeline(
        self, owner: str, kind: EventKind, metrics: Metrics | None, *, after: Place | None, descending: bool, limit: int
    ) -> Timeline:
        """The events of a kind that can be among the first `limit` after the place, see Events.timeline; in any order."""
        parts = [
            self._events.timeline(
                owner, kind, metric=metric, variants=variants, after=after, descending=descending, limit=limit
            )
            for metric, variants in (metrics if metrics is not None else _ALL)
        ]
        return Timeline(events=[event for part in parts for event in part.events], total=sum(p.total for p in parts))

    def logs(self, owner: str, *, limit: int, earlier: bool, from_timestamp: int | None) -> LogPage:
        """A page of the console log, ascending."""
        return self._events.logs(owner, limit=limit, earlier=earlier, from_timestamp=from_timestamp)

    def all_logs(self, owner: str, *, piece: int) -> Iterator[LogEvent]:
        """The whole console log, ascending, read a piece at a time."""
        reached = None
        while events := self._events.logs(owner, limit=piece, earlier=False, from_timestamp=reached).events:
            yield from events
            reached = events[-1].timestamp

    def metrics(self, owner: str, kind: Any) -> list[tuple[str, str]]:
        """The (metric, variant) names that have events of this kind: none of console output, which is no series."""
        if kind == "log":
            return []
        return self._events.metrics(owner, kind)

    # parts of add

    def _one_at_a_time(self, owners: Iterable[str]) -> ExitStack:
        held = ExitStack()
        # In one order, so that two batches cannot wait for each other.
        for number in sorted({hash(owner) % _LOCKS for owner in owners}):
            held.enter_context(self._locks[number])
        return held

    def _problem(self, identity: Identity, owner: str, *, is_model: bool, locks: bool) -> str | None:
        try:
            _check_open(self.owner(identity, owner, is_model=is_model), locks=locks)
        except ApiError as error:
            return error.message
        return None

    def _update_owner(self, owner: str, events: list[AnyEvent], touched: list[SeriesStats], *, is_model: bool) -> None:
        now = dates.to_text(self._clock.now())
        iteration = max([e.iter for e in events if e.iter != SINGLE_VALUE], default=0)

        def change(document: Document) -> None:
            document["last_update"] = now
            document["last_iteration"] = max(document.get("last_iteration", 0), iteration)
            if touched:
                document["last_metrics"] = merge_last_metrics(document["last_metrics"], touched)

        try:
            self._documents.update("models" if is_model else "tasks", owner, change)
        except NotFound:  # deleted meanwhile: so are its events, or the next compaction of orphans takes them
            self._events.delete([owner])


def _by_variant(found: Iterable[Series]) -> list[list[Series]]:
    parts: dict[str, list[Series]] = defaultdict(list)
    for series in found:
        parts[series.variant].append(series)
    return [parts[variant] for variant in sorted(parts)]


def _joined(parts: Sequence[Series], limit: int) -> Series:
    """The first points of a curve and its single value, by iteration."""
    iters = np.concatenate([part.iters for part in parts])
    order = np.argsort(iters, kind="stable")[:limit]
    return Series(
        metric=parts[0].metric,
        variant=parts[0].variant,
        iters=iters[order],
        timestamps=np.concatenate([part.timestamps for part in parts])[order],
        values=np.concatenate([part.values for part in parts])[order],
    )


def _check_open(owner: Document, *, locks: bool) -> None:
    """Raises NO_WRITE_PERMISSION for a public owner, INVALID_TASK_STATUS or MODEL_IS_READY for a published one that locks."""
    checks.writable(owner)
    if locks and owner.get("ready"):
        raise ApiError(Fault.MODEL_IS_READY, str(owner["id"]))
    if locks and owner.get("status") == Status.PUBLISHED:
        raise ApiError(Fault.INVALID_TASK_STATUS, "the task is published", current_status=Status.PUBLISHED)


def merge_last_metrics(present: dict[str, Any], touched: list[SeriesStats]) -> dict[str, Any]:
    """Bring the figures of the touched series into last_metrics: md5(metric) -> md5(variant) -> figures, keys sorted."""
    merged = {key: dict(variants) for key, variants in present.items()}
    count = sum(len(variants) for variants in merged.values())
    # A single value that arrives with points of its own name is shown after them.
    for stats in sorted(touched, key=lambda s: s.iter == SINGLE_VALUE):
        variants = merged.setdefault(_md5(stats.metric), {})
        key = _md5(stats.variant)
        if key not in variants:
            if count >= MAX_LAST_METRICS:
                continue
            count += 1
        variants[key] = _figures(stats, variants.get(key))
    return {key: _by_key(merged[key]) for key in sorted(merged) if merged[key]}


def _by_key(variants: dict[str, Any]) -> dict[str, Any]:
    return variants if len(variants) == 1 else dict(sorted(variants.items()))


def _figures(stats: SeriesStats, former: dict[str, Any] | None) -> dict[str, Any]:
    if stats.iter == SINGLE_VALUE and former and former["iter"] != SINGLE_VALUE:
        return {**former, "value": stats.value}
    figures: dict[str, Any] = {
        "metric": stats.metric,
        "variant": stats.variant,
        "value": stats.value,
        "iter": stats.iter,
        "timestamp": stats.timestamp,
        "min_value": stats.min_value,
        "min_value_iteration": stats.min_value_iteration,
        "max_value": stats.max_value,
        "max_value_iteration": stats.max_value_iteration,
        "first_value": stats.first_value,
        "first_value_iteration": stats.first_value_iteration,
        "count": stats.count,
        "mean_value": stats.mean_value,
    }
    if stats.x_axis_label is not None:
        figures["x_axis_label"] = stats.x_axis_label
    return figures


# The same names come with every report, and a wide model has thousands.
@lru_cache(maxsize=16_384)
def _md5(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
