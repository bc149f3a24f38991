"""Events: what experiments report, and every way of reading it back."""

import hashlib
import threading
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import numpy as np

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault
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
    Note,
    Noted,
    Place,
    Sample,
    SampleKind,
    Series,
    SeriesStats,
    Timeline,
)
from trainshed.ports.query import Eq, Has, In, Or, Path
from trainshed.services import checks
from trainshed.services.file_deletion import TRASH
from trainshed.services.limits import LIMITS, Limits

Metrics = Sequence[tuple[str, Sequence[str] | None]]  # metric -> variants, None: all of them

_ALL: Sequence[tuple[str | None, Sequence[str] | None]] = [(None, None)]
_AT_ONCE = 32  # documents that a step of settling changes, with all their figures in memory
# By whether it is a model: the fields of an owner that decide whether it takes events.
_GATES: dict[bool, tuple[Path, ...]] = {
    False: (("id",), ("company",), ("status",)),
    True: (("id",), ("company",), ("ready",)),
}
# map() with these reads a field of every event; a loop of Python's own takes several times as long.
_OWNER, _TIMESTAMP, _ITERATION = attrgetter("task", "model_event"), attrgetter("timestamp"), attrgetter("iter")


@dataclass(slots=True)
class Report:
    """How many events were stored, how many were not, and why (message -> how many)."""

    added: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def fail(self, message: str, count: int = 1) -> None:
        self.errors[message] = self.errors.get(message, 0) + count


class EventLog:
    """The use cases of events."""

    def __init__(
        self, *, documents: Documents, events: Events, cache: Cache, clock: Clock, limits: Limits = LIMITS
    ) -> None:
        self._documents = documents
        self._events = events
        self.cache = cache
        self.limits = limits
        self._clock = clock
        self.accepted = 0  # events, since this process began
        self._counting = threading.Lock()
        self._settling = threading.Lock()
        self._rounds = 0  # of settling that were begun, but for those that failed
        # What was stored last, and what of it the documents know: at first nothing of what a former process left.
        self._latest, self._settled = object(), object()

    # writing

    def add(
        self, identity: Identity, events: Iterable[AnyEvent], report: Report, *, unlocked: Collection[str] = ()
    ) -> None:
        """Store the events of known owners, whose documents learn of them by settle().

        A published owner takes none, unless it is among the `unlocked`.
        What cannot be stored is counted in the report. Raises EVENTS_NOT_ADDED when nothing could be.
        """
        now = self._clock.now()
        by_owner = _by_owner(_with_moments(list(events), int(now.timestamp() * 1000)))
        good: list[AnyEvent] = []
        notes: list[Note] = []
        problems = self._problems(identity, by_owner, unlocked)
        for (owner, is_model), group in by_owner.items():
            if problem := problems.get((owner, is_model)):
                report.fail(problem, len(group))
                continue
            fitting = [e for e in group if not isinstance(e, LogEvent)] if is_model else group
            if len(fitting) < len(group):
                report.fail("a model has no console log", len(group) - len(fitting))
            notes.append(Note(owner, is_model, dates.to_text(now), _highest_iteration(fitting)))
            good += fitting
        if not good:
            raise ApiError(Fault.EVENTS_NOT_ADDED, "; ".join(report.errors) or "there were none", errors=report.errors)
        self._events.add(good, notes)
        self._latest = object()  # after the commit: who settles then finds it
        report.added += len(good)
        with self._counting:
            self.accepted += len(good)

    def settle(self) -> None:
        """Bring what was stored to the documents of its owners: last update, last iteration and last values.

        It costs nothing when this process has stored nothing since. What another process has stored it settles itself;
        what one left that died is settled at the start of the next. Raises StoreFull: it is done when there is room.
        """
        if self._settled is self._latest:
            return
        begun = self._rounds
        with self._settling:  # who comes second waits: the documents are not right before
            if self._rounds > begun or self._settled is self._latest:
                return  # one that began after this call did its work
            self._rounds += 1
            try:
                self._settle()
            except BaseException:
                self._rounds -= 1
                raise

    def _settle(self) -> None:
        latest = self._latest
        notes = self._events.notes()
        for start in range(0, len(notes), _AT_ONCE):
            self._tell_documents(notes[start : start + _AT_ONCE])
        self._settled = latest

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

    def _problems(
        self, identity: Identity, owners: Iterable[tuple[str, bool]], unlocked: Collection[str]
    ) -> dict[tuple[str, bool], str]:
        """Why events of these owners are refused, of those that are."""
        problems = {}
        for is_model, gates in _GATES.items():
            ids = tuple(owner for owner, its_kind in owners if its_kind is is_model)
            # Of each document only these: a document may be large, and a report that follows another is not.
            found = self._documents.tally(_collection(is_model), gates, In(("id",), ids)) if ids else []
            documents = {tally.values[0]: dict(zip(_names(gates), tally.values, strict=True)) for tally in found}
            for owner in ids:
                try:
                    _check_seen(documents.get(owner), identity, owner, is_model=is_model)
                    _check_open(documents[owner], locks=owner not in unlocked)
                except ApiError as error:
                    problems[owner, is_model] = error.message
        return problems

    def _tell_documents(self, notes: Sequence[Note]) -> None:
        told: dict[str, Note | None] = {}
        for is_model in _GATES:
            owners = [note.owner for note in notes if note.is_model is is_model]
            if owners:
                told |= self._tell(owners, is_model=is_model)
        without = [note for note in notes if note.owner not in told]
        # Reports that came when their owner was deleted.
        if gone := [note.owner for note in without if not self._is_in_trash(note.owner)]:
            self._events.delete(gone)
        self._events.strike(without + [note for note in told.values() if note])

    def _tell(self, owners: Sequence[str], *, is_model: bool) -> dict[str, Note | None]:
        """Bring what is noted to the documents of these owners; of each that is there the note that it has learnt."""
        most = self.limits.last_metrics
        noted: dict[str, Noted] = {}
        told: dict[str, Note | None] = {}

        def change(document: Document) -> None:
            if not told:
                # Asked for here, where others cannot write the documents: so the figures in them only ever become
                # newer, and those that a reset has removed do not come back.
                noted.update(self._events.noted(owners, first=most))
            owner = document["id"]
            told[owner] = None
            if owner in noted:
                note, stats = noted[owner]
                told[owner] = note
                document["last_update"] = max(document["last_update"], note.moment)
                document["last_iteration"] = max(document.get("last_iteration", 0), note.iteration)
                document["last_metrics"] = merge_last_metrics(document["last_metrics"], stats, most)

        self._documents.update_many(_collection(is_model), In(("id",), tuple(owners)), change)
        return told

    def _is_in_trash(self, owner: str) -> bool:
        inside = Has(("models",), owner, key="id")
        return bool(self._documents.count(TRASH, Or((Eq(("id",), owner), inside))))


def _with_moments(events: list[AnyEvent], now: int) -> list[AnyEvent]:
    """The events; those without a timestamp have got this one."""
    if 0 in map(_TIMESTAMP, events):
        for event in events:
            event.timestamp = event.timestamp or now
    return events


def _by_owner(events: list[AnyEvent]) -> dict[tuple[str, bool], list[AnyEvent]]:
    """(owner, whether it is a model) -> its events."""
    owners = set(map(_OWNER, events))
    if len(owners) == 1:  # nearly always
        return {owners.pop(): events}
    groups: dict[tuple[str, bool], list[AnyEvent]] = defaultdict(list)
    for event in events:
        groups[event.task, event.model_event].append(event)
    return groups


def _highest_iteration(events: Iterable[AnyEvent]) -> int:
    return max(set(map(_ITERATION, events)) - {SINGLE_VALUE}, default=0)


def _collection(is_model: bool) -> str:
    return "models" if is_model else "tasks"


def _names(paths: Iterable[Path]) -> list[str]:
    return [name for (name,) in paths]


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


def _check_seen(document: Document | None, identity: Identity, owner: str, *, is_model: bool) -> None:
    """Raises INVALID_TASK_ID or INVALID_MODEL_ID."""
    if document is None or document["company"] not in (identity.company, ""):
        raise ApiError(Fault.INVALID_MODEL_ID if is_model else Fault.INVALID_TASK_ID, owner)


def _check_open(owner: Document, *, locks: bool) -> None:
    """Raises NO_WRITE_PERMISSION for a public owner, INVALID_TASK_STATUS or MODEL_IS_READY for a published one that locks."""
    checks.writable(owner)
    if locks and owner.get("ready"):
        raise ApiError(Fault.MODEL_IS_READY, str(owner["id"]))
    if locks and owner.get("status") == Status.PUBLISHED:
        raise ApiError(Fault.INVALID_TASK_STATUS, "the task is published", current_status=Status.PUBLISHED)


def merge_last_metrics(present: dict[str, Any], touched: list[SeriesStats], most: int) -> dict[str, Any]:
    """Bring the figures of the touched series into last_metrics: md5(metric) -> md5(variant) -> figures, keys sorted.

    most: series that it holds.
    """
    merged = {key: dict(variants) for key, variants in present.items()}
    count = sum(len(variants) for variants in merged.values())
    # A single value beside points of its own name is the last value of both unless a point has a later moment.
    for stats in sorted(touched, key=lambda s: s.iter == SINGLE_VALUE):
        variants = merged.setdefault(_md5(stats.metric), {})
        key = _md5(stats.variant)
        if key not in variants:
            if count >= most:
                continue
            count += 1
        variants[key] = _figures(stats, variants.get(key))
    return {key: _by_key(merged[key]) for key in sorted(merged) if merged[key]}


def _by_key(variants: dict[str, Any]) -> dict[str, Any]:
    return variants if len(variants) == 1 else dict(sorted(variants.items()))


def _figures(stats: SeriesStats, former: dict[str, Any] | None) -> dict[str, Any]:
    if stats.iter == SINGLE_VALUE and former and former["iter"] != SINGLE_VALUE:
        return former if stats.timestamp < former["timestamp"] else {**former, "value": stats.value}
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
