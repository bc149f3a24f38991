"""Walking through plots and debug samples iteration by iteration, newest first, over a snapshot."""

from collections import defaultdict
from collections.abc import Mapping, Set
from typing import NamedTuple

import msgspec

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.ids import new_id
from trainshed.ports.events import ImageEvent, Sample, SampleKind
from trainshed.services.events import EventLog, Metrics

Groups = list[tuple[int, list[Sample]]]


class SampleName(NamedTuple):
    metric: str
    variant: str
    iteration: int


class _Position(msgspec.Struct):
    """Where a walk stands in one task: iterations low..high were shown last; above `top` came after the walk began."""

    top: int
    low: int
    high: int


def navigate(
    log: EventLog,
    kind: SampleKind,
    wanted: Mapping[str, Metrics | None],
    *,
    iterations: int,
    earlier: bool,
    refresh: bool,
    scroll_id: str | None,
) -> tuple[str, dict[str, Groups]]:
    """The next iterations of each task, newest first, with their samples; and the id to go on with.

    Of plots, which are large, only those are read that are shown.

    wanted: task -> metrics (None: all). refresh: begin anew at the newest. A walk that is at its end gives no samples.
    scroll_id: may be of a walk through samples of another kind, which keeps its place. Raises INVALID_SCROLL_ID.
    """
    positions = {} if refresh or not scroll_id else _load(log, scroll_id)
    found: dict[str, Groups] = {}
    for task, metrics in wanted.items():
        there = names(log, task, kind, metrics)
        key = f"{kind}:{task}"
        shown, positions[key] = _step(
            sorted({name.iteration for name in there}, reverse=True), positions.get(key), iterations, earlier=earlier
        )
        found[task] = _groups(log, task, kind, metrics, shown, there)
    scroll_id = scroll_id or new_id()
    log.cache.set(f"samples:{scroll_id}", msgspec.json.encode(positions), log.limits.scroll)
    return scroll_id, found


def forget(log: EventLog, scroll_id: str) -> None:
    """End a walk."""
    log.cache.delete(f"samples:{scroll_id}")


def _load(log: EventLog, scroll_id: str) -> dict[str, _Position]:
    stored = log.cache.get(f"samples:{scroll_id}")
    if stored is None:
        raise ApiError(Fault.INVALID_SCROLL_ID)
    return msgspec.json.decode(stored, type=dict[str, _Position])


def names(log: EventLog, owner: str, kind: SampleKind, metrics: Metrics | None) -> set[SampleName]:
    """What there is to show: all, but for images whose file a later iteration wrote over, as it shows another one now."""
    if kind != "training_debug_image":
        return {SampleName(*name) for name in log.sample_names(owner, kind, metrics)}
    newest: dict[str, int] = {}
    images = [image for image in log.samples(owner, kind, metrics) if isinstance(image, ImageEvent)]
    for image in images:
        newest[image.url] = max(newest.get(image.url, image.iter), image.iter)
    return {SampleName(image.metric, image.variant, image.iter) for image in images if image.iter == newest[image.url]}


def read(
    log: EventLog,
    owner: str,
    kind: SampleKind,
    metrics: Metrics | None,
    *,
    within: tuple[int, int],
    there: Set[SampleName],
) -> list[Sample]:
    """The samples of these iterations that are there to show, newest first."""
    found = log.samples(owner, kind, metrics, within=within)
    found.sort(key=lambda sample: -sample.iter)
    return [sample for sample in found if (sample.metric, sample.variant, sample.iter) in there]


def _step(there: list[int], position: _Position | None, count: int, *, earlier: bool) -> tuple[list[int], _Position]:
    """The iterations to show."""
    if position is None:
        shown = there[:count]
        top = shown[0] if shown else -1
    else:
        top = position.top
        seen = [iteration for iteration in there if iteration <= top]
        if earlier:
            shown = [iteration for iteration in seen if iteration < position.low][:count]
        else:
            shown = [iteration for iteration in seen if iteration > position.high][-count:]
    if shown:
        return shown, _Position(top, shown[-1], shown[0])
    return [], position or _Position(top, top, top)


def _groups(
    log: EventLog, owner: str, kind: SampleKind, metrics: Metrics | None, shown: list[int], there: Set[SampleName]
) -> Groups:
    """The iterations, which are neighbours, with their samples."""
    if not shown:
        return []
    groups: dict[int, list[Sample]] = defaultdict(list)
    for sample in read(log, owner, kind, metrics, within=(shown[-1], shown[0]), there=there):
        groups[sample.iter].append(sample)
    return list(groups.items())
