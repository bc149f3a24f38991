"""Stored events as they were reported, page by page: a page begins after the last event of the former, whatever came since."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from trainshed.ports import events as port
from trainshed.ports.events import EventKind, Int64, LogEvent, SampleKind, ScalarEvent
from trainshed.services import cursors
from trainshed.services.events import EventLog, Metrics

SCALAR, LOG = "training_stats_scalar", "log"
SAMPLE_KINDS: tuple[SampleKind, ...] = ("plot", "training_debug_image", "training_stats_vector")
KINDS = (SCALAR, LOG, *SAMPLE_KINDS)
_FIRST_MOMENT = -(2**63)


class _Place(NamedTuple):
    """Where an event stands in the order of pages.

    Console events have no name here, but a number among those of their moment, in order of arrival.
    """

    timestamp: Int64
    metric: str
    variant: str
    iteration: Int64
    kind: str
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
    question = _Question(log, owner, metrics, min(size, log.limits.raw_events), descending, after)
    found = [_of_kind(question, kind) for kind in kinds]
    candidates = [one for part in found for one in part.candidates if _is_beyond(one[0], question)]
    candidates.sort(key=lambda one: one[0], reverse=descending)
    shown = candidates[: question.size]
    last = shown[-1][0] if shown else after
    return Page([event for _, event in shown], sum(part.total for part in found), cursors.encode(last) if last else "")


def _is_beyond(place: _Place, question: _Question) -> bool:
    if question.after is None:
        return True
    return place < question.after if question.descending else place > question.after


def _of_kind(question: _Question, kind: str) -> _Found:
    """Every event of the kind that can be on the page, and perhaps some more."""
    return _logs(question) if kind == LOG else _named(question, msgspec.convert(kind, EventKind))


def _named(question: _Question, kind: EventKind) -> _Found:
    found = question.log.timeline(
        question.owner,
        kind,
        question.metrics,
        after=_before_kinds(question),
        descending=question.descending,
        limit=question.size + 1,  # the event at the place itself may come once more
    )
    return _Found(
        [
            (_Place(e.timestamp, e.metric, e.variant, e.iter, kind, 0), _plain(e) if isinstance(e, ScalarEvent) else e)
            for e in found.events
        ],
        found.total,
    )


def _before_kinds(question: _Question) -> port.Place | None:
    """The place before all kinds that share the name, the iteration and the moment of the last event."""
    if question.after is None:
        return None
    timestamp, metric, variant, iteration, *_ = question.after
    return port.Place(timestamp, metric, variant, iteration + (1 if question.descending else -1))


def _plain(event: ScalarEvent) -> dict[str, Any]:
    return {
        "type": SCALAR,
        "task": event.task,
        "metric": event.metric,
        "variant": event.variant,
        "iter": event.iter,
        "timestamp": event.timestamp,
        "value": event.value,
    }


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
        yield _Place(event.timestamp, "", "", 0, LOG, seen[event.timestamp]), event
        seen[event.timestamp] += 1
