"""Looking at one plot or debug sample after the other: next to it, or an iteration on, over a snapshot."""

from collections.abc import Iterable, Set
from typing import NamedTuple

import msgspec

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.ids import new_id
from trainshed.ports.events import Sample, SampleKind
from trainshed.services.events import EventLog, Metrics
from trainshed.services.samples import SampleName, names, read


class _Place(NamedTuple):
    """What is shown at once: an image, or the plots of all variants of a metric (variant is empty then)."""

    iteration: int
    metric: str
    variant: str


class _State(msgspec.Struct):
    """Where somebody stands. top: what came above it came after the snapshot. metric: the one to stay in, None for all."""

    top: int
    metric: str | None
    place: _Place | None


class Shown(NamedTuple):
    """Samples of one place, none when there is no such place; the first and last iteration that its metric and variant have."""

    scroll_id: str
    samples: list[Sample]
    first_iteration: int | None = None
    last_iteration: int | None = None


class _View(NamedTuple):
    """What can be walked through: the samples of one metric, or of all."""

    log: EventLog
    owner: str
    kind: SampleKind
    metric: str | None

    @property
    def metrics(self) -> Metrics | None:
        return None if self.metric is None else [(self.metric, None)]


def show(
    log: EventLog,
    owner: str,
    kind: SampleKind,
    *,
    metric: str,
    variant: str = "",
    iteration: int | None,
    within_metric: bool,
    refresh: bool,
    scroll_id: str | None,
) -> Shown:
    """The sample at the iteration or the last one before it, the newest when none is given.

    within_metric: later steps stay in the metric. Raises INVALID_SCROLL_ID.
    """
    former = _load(log, owner, kind, scroll_id) if scroll_id else None
    view = _View(log, owner, kind, metric if within_metric else None)
    there = names(log, owner, kind, view.metrics)
    top = former.top if former and not refresh else max((name.iteration for name in there), default=-1)
    line = [p for p in _places(view, there) if (p.metric, p.variant) == (metric, variant) and p.iteration <= top]
    place = max((p for p in line if iteration is None or p.iteration <= iteration), default=None)
    state = _State(top, metric if within_metric else None, place)
    return _shown(view, there, state, _save(log, owner, kind, scroll_id or new_id(), state))


def step(log: EventLog, owner: str, kind: SampleKind, *, scroll_id: str, earlier: bool, next_iteration: bool) -> Shown:
    """The place before or after the present one, by iteration, metric and variant; next_iteration: not of this iteration.

    At the end there is none, and the place stays. Raises INVALID_SCROLL_ID.
    """
    state = _load(log, owner, kind, scroll_id)
    view = _View(log, owner, kind, state.metric)
    there = names(log, owner, kind, view.metrics)
    new = _neighbour(_places(view, there), state, earlier=earlier, next_iteration=next_iteration)
    if new is None:
        return Shown(scroll_id, [])
    state.place = new
    return _shown(view, there, state, _save(log, owner, kind, scroll_id, state))


def _neighbour(places: Set[_Place], state: _State, *, earlier: bool, next_iteration: bool) -> _Place | None:
    here = state.place
    if here is None:
        return None
    size = 1 if next_iteration else len(here)  # of the part of a place that must differ
    if earlier:
        return max((place for place in places if place[:size] < here[:size]), default=None)
    return min((place for place in places if place[:size] > here[:size] and place.iteration <= state.top), default=None)


def _shown(view: _View, there: Set[SampleName], state: _State, scroll_id: str) -> Shown:
    here = state.place
    if here is None:
        return Shown(scroll_id, [])
    line = [p.iteration for p in _places(view, there) if p[1:] == here[1:] and p.iteration <= state.top]
    metrics = [(here.metric, None if view.kind == "plot" else [here.variant])]
    within = (here.iteration, here.iteration)
    found = read(view.log, view.owner, view.kind, metrics, within=within, there=there)
    return Shown(scroll_id, found, min(line), max(line))


def _places(view: _View, there: Iterable[SampleName]) -> set[_Place]:
    return {_Place(n.iteration, n.metric, "" if view.kind == "plot" else n.variant) for n in there}


def _key(owner: str, kind: SampleKind, scroll_id: str) -> str:
    return f"sample:{kind}:{owner}:{scroll_id}"


def _save(log: EventLog, owner: str, kind: SampleKind, scroll_id: str, state: _State) -> str:
    log.cache.set(_key(owner, kind, scroll_id), msgspec.json.encode(state), log.limits.scroll)
    return scroll_id


def _load(log: EventLog, owner: str, kind: SampleKind, scroll_id: str) -> _State:
    stored = log.cache.get(_key(owner, kind, scroll_id))
    if stored is None:
        raise ApiError(Fault.INVALID_SCROLL_ID)
    return msgspec.json.decode(stored, type=_State)
