"""Stored events as they were reported, page by page: a page begins after the last event of the former, whatever came since."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainshed.ports.events import Int64, LogEvent, SampleKind, Series
from trainshed.services import cursors
from trainshed.services.events import EventLog

SCALAR, LOG = "training_stats_scalar", "log"
SAMPLE_KINDS: tuple[SampleKind, ...] = ("plot", "training_debug_image", "training_stats_vector")
KINDS = (SCALAR, LOG, *SAMPLE_KINDS)
Metrics = Sequence[tuple[str, Sequence[str] | None]]
_FIRST_MOMENT = -(2**63)


class _Place(NamedTuple):
    """Where an event stands in the order of pages. number: among the console events of a moment, in order of arrival."""

    timestamp: Int64
    kind: str
    metric: str
    variant: str
    iteration: Int64
    number: Int64


class Page(NamedTuple):
    """Events, how many there are in all, and the id to go on with."""

    events: list[Any]
    total: int
    scroll_id: str


class _Found(NamedTuple):
    candidates: list[tuple[_Place, Any]]
    total: int


class _Question(NamedTuple):
    log: EventLog
    owner: str
    metrics: Metrics | None
    size: int
    descending: bool
    after: _Place | None


def page(
    log: EventLog,
    owner: str,
    kinds: Iterable[str],
    metrics: Metrics | None,
    *,
    size: int,
    descending: bool = False,
    scroll_id: str | None = None,
) -> Page:
    """The next `size` events of these kinds by timestamp. Raises INVALID_SCROLL_ID."""
    after = cursors.decode(scroll_id, _Place) if scroll_id else None
    question = _Question(log, owner, metrics, size, descending, after)
    found = [_of_kind(question, kind) for kind in kinds]
    candidates = [one for part in found for one in part.candidates if _is_beyond(one[0], question)]
    candidates.sort(key=lambda one: one[0], reverse=descending)
    shown = candidates[:size]
    last = shown[-1][0] if shown else after
    return Page([event for _, event in shown], sum(part.total for part in found), cursors.encode(last) if last else "")


def _is_beyond(place: _Place, question: _Question) -> bool:
    if question.after is None:
        return True
    return place < question.after if question.descending else place > question.after


def _of_kind(question: _Question, kind: str) -> _Found:
    """Every event of the kind that can be on the page, and perhaps some more."""
    if kind == LOG:
        return _logs(question)
    if kind == SCALAR:
        return _points(question)
    return _samples(question, next(sample for sample in SAMPLE_KINDS if sample == kind))


def _samples(question: _Question, kind: SampleKind) -> _Found:
    samples = question.log.samples(question.owner, kind, question.metrics)
    return _Found([(_Place(s.timestamp, kind, s.metric, s.variant, s.iter, 0), s) for s in samples], len(samples))


def _logs(question: _Question) -> _Found:
    log, owner, descending = question.log, question.owner, question.descending
    start = question.after.timestamp if question.after else None
    page = log.logs(owner, limit=question.size, earlier=descending, from_timestamp=start)
    events = page.events
    if start is not None:  # the former page may have ended amid the events of one moment
        same = log.logs(owner, limit=1, earlier=False, from_timestamp=max(start - 1, _FIRST_MOMENT)).events
        events = [event for event in same if event.timestamp == start] + events
    return _Found(list(_numbered(events)), page.total)


def _numbered(events: Iterable[LogEvent]) -> Iterator[tuple[_Place, LogEvent]]:
    seen: Counter[int] = Counter()
    for event in events:
        yield _Place(event.timestamp, LOG, event.metric, event.variant, event.iter, seen[event.timestamp]), event
        seen[event.timestamp] += 1


def _points(question: _Question) -> _Found:
    log, owner, metrics = question.log, question.owner, question.metrics
    series = [*log.scalars(owner, metrics), *log.single_values(owner, metrics)]
    times = np.concatenate([one.timestamps for one in series]) if series else np.empty(0, np.int64)
    low, high = _window(times, question)
    return _Found([point for one in series for point in _between(owner, one, low, high)], len(times))


def _window(times: NDArray[np.int64], question: _Question) -> tuple[int, int]:
    """The first and last moment of the page's points, so that no others are made into objects."""
    start = question.after.timestamp if question.after else None
    if start is not None:
        times = times[times <= start] if question.descending else times[times >= start]
    if not len(times):
        return 0, -1
    # Some of the first moment's points may have been on the former page.
    count = min(question.size + int(np.count_nonzero(times == start)), len(times))
    if question.descending:
        return int(np.partition(times, len(times) - count)[len(times) - count]), int(times.max())
    return int(times.min()), int(np.partition(times, count - 1)[count - 1])


def _between(owner: str, series: Series, low: int, high: int) -> Iterator[tuple[_Place, dict[str, Any]]]:
    chosen = (series.timestamps >= low) & (series.timestamps <= high)
    columns = (series.iters[chosen], series.timestamps[chosen], series.values[chosen])
    for iteration, timestamp, value in zip(*(column.tolist() for column in columns), strict=True):
        yield (
            _Place(timestamp, SCALAR, series.metric, series.variant, iteration, 0),
            {
                "type": SCALAR,
                "task": owner,
                "metric": series.metric,
                "variant": series.variant,
                "iter": iteration,
                "timestamp": timestamp,
                "value": value,
            },
        )
