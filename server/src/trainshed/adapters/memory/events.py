"""Events in dicts: short enough to be believed, so that the other engines are measured by it."""

import itertools
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import msgspec
import numpy as np

from trainshed.ports.events import (
    SINGLE_VALUE,
    AnyEvent,
    EventKind,
    LogEvent,
    LogPage,
    Note,
    Noted,
    Place,
    Sample,
    SampleKind,
    ScalarEvent,
    Series,
    SeriesStats,
    Timeline,
)

_Name = tuple[str, str]  # (metric, variant)
_SeriesName = tuple[str, str, bool]  # (metric, variant, whether it is a single value): in the order of stats()
_INT64 = range(-(2**63), 2**63)


@dataclass
class _Owner:
    stats: dict[_SeriesName, SeriesStats] = field(default_factory=dict)
    points: defaultdict[_SeriesName, dict[int, tuple[int, float]]] = field(default_factory=lambda: defaultdict(dict))
    samples: defaultdict[tuple[str, _Name], dict[int, Sample]] = field(default_factory=lambda: defaultdict(dict))
    logs: list[LogEvent] = field(default_factory=list)


class MemoryEvents:
    """The Events port on dicts. Nothing survives the process."""

    def __init__(self) -> None:
        self._owners: defaultdict[str, _Owner] = defaultdict(_Owner)
        self._notes: dict[str, Note] = {}
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, events: Iterable[AnyEvent], notes: Iterable[Note] = ()) -> None:
        batch = [_checked(event) for event in events]
        with self._lock:
            for event in batch:
                _store(self._owners[event.task], event)
            for note in notes:
                old = self._notes.get(note.owner, note)
                self._notes[note.owner] = note._replace(
                    moment=max(old.moment, note.moment),
                    iteration=max(old.iteration, note.iteration),
                    version=next(self._versions),
                )

    def notes(self) -> list[Note]:
        with self._lock:
            return [self._notes[name] for name in sorted(self._notes)]

    def noted(self, owners: Sequence[str], *, first: int) -> dict[str, Noted]:
        with self._lock:
            return {
                owner: Noted(self._notes[owner], self._stats(owner, first)) for owner in owners if owner in self._notes
            }

    def strike(self, notes: Iterable[Note]) -> None:
        with self._lock:
            for note in notes:
                if self._notes.get(note.owner) == note:
                    del self._notes[note.owner]

    def stats(self, owner: str) -> list[SeriesStats]:
        with self._lock:
            return self._stats(owner)

    def scalars(
        self,
        owner: str,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        single: bool = False,
        above: int | None = None,
        limit: int | None = None,
    ) -> list[Series]:
        with self._lock:
            found = self._peek(owner).points
            series = [
                _series(name, found[name], above, limit)
                for name in sorted(found)
                if name[2] is single and _chosen(name[:2], metric, variants)
            ]
        return [one for one in series if len(one.iters)]

    def logs(self, owner: str, *, limit: int, earlier: bool = True, from_timestamp: int | None = None) -> LogPage:
        with self._lock:
            logs = sorted(self._peek(owner).logs, key=lambda event: event.timestamp)
        side = [event for event in logs if _beyond(event.timestamp, from_timestamp, earlier)]
        if earlier:
            side.reverse()
        page = side[:limit]
        page += [event for event in side[limit:] if page and event.timestamp == page[-1].timestamp]
        if earlier:
            page.reverse()
        return LogPage(events=deepcopy(page), total=len(logs))

    def samples(
        self,
        owner: str,
        kind: SampleKind,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        last_iterations: int | None = None,
        within: tuple[int, int] | None = None,
    ) -> list[Sample]:
        found: list[Sample] = []
        with self._lock:
            for (its_kind, name), by_iteration in sorted(self._peek(owner).samples.items()):
                if its_kind == kind and _chosen(name, metric, variants):
                    inside = [i for i in by_iteration if within is None or within[0] <= i <= within[1]]
                    found += [by_iteration[i] for i in sorted(inside, reverse=True)[:last_iterations]]
        return deepcopy(found)

    def sample_names(
        self, owner: str, kind: SampleKind, *, metric: str | None = None, variants: Sequence[str] | None = None
    ) -> list[tuple[str, str, int]]:
        return [(s.metric, s.variant, s.iter) for s in self.samples(owner, kind, metric=metric, variants=variants)]

    def timeline(
        self,
        owner: str,
        kind: EventKind,
        *,
        metric: str | None = None,
        variants: Sequence[str] | None = None,
        after: Place | None = None,
        descending: bool = False,
        limit: int,
    ) -> Timeline:
        if kind == "training_stats_scalar":
            found = [
                point
                for single in (False, True)
                for series in self.scalars(owner, metric=metric, variants=variants, single=single)
                for point in _points(owner, series)
            ]
        else:
            found = [(_place(s), s) for s in self.samples(owner, kind, metric=metric, variants=variants)]
        found.sort(key=lambda one: one[0], reverse=descending)
        beyond = [e for place, e in found if after is None or (place < after if descending else place > after)]
        return Timeline(events=beyond[:limit], total=len(found))

    def metrics(self, owner: str, kind: EventKind) -> list[tuple[str, str]]:
        with self._lock:
            entry = self._peek(owner)
            if kind == "training_stats_scalar":
                return sorted({name[:2] for name in entry.points})
            return sorted({name for its_kind, name in entry.samples if its_kind == kind})

    def delete(self, owners: Sequence[str]) -> None:
        with self._lock:
            for owner in owners:
                self._owners.pop(owner, None)
                self._notes.pop(owner, None)

    def delete_logs(self, owner: str, *, before: int | None, chosen: Callable[[LogEvent], bool] | None = None) -> int:
        with self._lock:
            entry = self._peek(owner)
            kept = [
                event
                for event in entry.logs
                if not _beyond(event.timestamp, before, True) or (chosen is not None and not chosen(event))
            ]
            deleted = len(entry.logs) - len(kept)
            entry.logs = kept
        return deleted

    def delete_samples(self, owner: str, kind: SampleKind, *, metric: str, variant: str) -> int:
        with self._lock:
            return len(self._peek(owner).samples.pop((kind, (metric, variant)), ()))

    def compact(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def _stats(self, owner: str, first: int | None = None) -> list[SeriesStats]:
        stats = self._peek(owner).stats
        return [stats[name] for name in sorted(list(stats)[:first])]

    def _peek(self, owner: str) -> _Owner:
        return self._owners.get(owner) or _Owner()


def _checked(event: AnyEvent) -> AnyEvent:
    """A copy of the event. Raises ValueError when it is outside the port's ranges."""
    f"{event.task}{event.metric}{event.variant}".encode()  # a lone surrogate raises: UTF-8 cannot carry it
    if event.iter not in _INT64 or event.timestamp not in _INT64:
        raise ValueError("an iteration or timestamp does not fit into 64 bits")
    if isinstance(event, ScalarEvent) and not math.isfinite(event.value):
        raise ValueError("a value is not finite")
    return deepcopy(event)


def _store(owner: _Owner, event: AnyEvent) -> None:
    """Put the event in its place."""
    if isinstance(event, LogEvent):
        owner.logs.append(event)
        return
    if not isinstance(event, ScalarEvent):
        owner.samples[str(event.__struct_config__.tag), (event.metric, event.variant)][event.iter] = event
        return
    name = (event.metric, event.variant, event.iter == SINGLE_VALUE)
    owner.points[name][event.iter] = (event.timestamp, event.value)
    owner.stats[name] = _extended(owner.stats[name], event) if name in owner.stats else _begun(event)


def _begun(event: ScalarEvent) -> SeriesStats:
    return SeriesStats(
        metric=event.metric,
        variant=event.variant,
        value=event.value,
        iter=event.iter,
        timestamp=event.timestamp,
        min_value=event.value,
        min_value_iteration=event.iter,
        max_value=event.value,
        max_value_iteration=event.iter,
        first_value=event.value,
        first_value_iteration=event.iter,
        count=1,
        mean_value=event.value,
        x_axis_label=event.x_axis_label,
    )


def _extended(stats: SeriesStats, event: ScalarEvent) -> SeriesStats:
    count = stats.count + 1
    changed: dict[str, object] = {
        "count": count,
        "mean_value": stats.mean_value + (event.value / count - stats.mean_value / count),
    }
    if event.iter >= stats.iter:
        changed |= {"value": event.value, "iter": event.iter, "timestamp": event.timestamp}
    if event.value < stats.min_value:
        changed |= {"min_value": event.value, "min_value_iteration": event.iter}
    if event.value > stats.max_value:
        changed |= {"max_value": event.value, "max_value_iteration": event.iter}
    if event.iter < stats.first_value_iteration:
        changed |= {"first_value": event.value, "first_value_iteration": event.iter}
    if event.x_axis_label is not None:
        changed["x_axis_label"] = event.x_axis_label
    return msgspec.structs.replace(stats, **changed)


def _place(event: ScalarEvent | Sample) -> Place:
    return Place(event.timestamp, event.metric, event.variant, event.iter)


def _points(owner: str, series: Series) -> Iterator[tuple[Place, ScalarEvent | Sample]]:
    columns = (series.iters.tolist(), series.timestamps.tolist(), series.values.tolist())
    for iteration, timestamp, value in zip(*columns, strict=True):
        event = ScalarEvent(
            task=owner,
            metric=series.metric,
            variant=series.variant,
            iter=iteration,
            timestamp=timestamp,
            value=value,
        )
        yield _place(event), event


def _series(name: _SeriesName, points: dict[int, tuple[int, float]], above: int | None, limit: int | None) -> Series:
    iters = [iteration for iteration in sorted(points) if above is None or iteration > above][:limit]
    return Series(
        metric=name[0],
        variant=name[1],
        iters=np.array(iters, np.int64),
        timestamps=np.array([points[i][0] for i in iters], np.int64),
        values=np.array([points[i][1] for i in iters], np.float64),
    )


def _chosen(name: _Name, metric: str | None, variants: Sequence[str] | None) -> bool:
    return (metric is None or name[0] == metric) and (variants is None or name[1] in variants)


def _beyond(timestamp: int, start: int | None, earlier: bool) -> bool:
    return start is None or (timestamp < start if earlier else timestamp > start)
