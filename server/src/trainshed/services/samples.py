"""Walking through plots and debug samples iteration by iteration, newest first, over a snapshot."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.ids import new_id
from trainshed.ports.events import ImageEvent, Sample, SampleKind
from trainshed.services.events import EventLog
from trainshed.services.listing import SCROLL_TTL

Metrics = Sequence[tuple[str, Sequence[str] | None]]
Groups = list[tuple[int, list[Sample]]]


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

    wanted: task -> metrics (None: all). refresh: begin anew at the newest. A walk that is at its end gives no samples.
    scroll_id: may be of a walk through samples of another kind, which keeps its place. Raises INVALID_SCROLL_ID.
    """
    positions = {} if refresh or not scroll_id else _load(log, scroll_id)
    found: dict[str, Groups] = {}
    for task, metrics in wanted.items():
        groups = _by_iteration(log.samples(task, kind, metrics))
        key = f"{kind}:{task}"
        found[task], positions[key] = _step(groups, positions.get(key), iterations, earlier=earlier)
    scroll_id = scroll_id or new_id()
    log.cache.set(f"samples:{scroll_id}", msgspec.json.encode(positions), SCROLL_TTL)
    return scroll_id, found


def forget(log: EventLog, scroll_id: str) -> None:
    """End a walk."""
    log.cache.delete(f"samples:{scroll_id}")


def _load(log: EventLog, scroll_id: str) -> dict[str, _Position]:
    stored = log.cache.get(f"samples:{scroll_id}")
    if stored is None:
        raise ApiError(Fault.INVALID_SCROLL_ID)
    return msgspec.json.decode(stored, type=dict[str, _Position])


def _step(groups: Groups, position: _Position | None, count: int, *, earlier: bool) -> tuple[Groups, _Position]:
    if position is None:
        shown = groups[:count]
        top = shown[0][0] if shown else -1
    else:
        top = position.top
        seen = [group for group in groups if group[0] <= top]
        if earlier:
            shown = [group for group in seen if group[0] < position.low][:count]
        else:
            shown = [group for group in seen if group[0] > position.high][-count:]
    if shown:
        return shown, _Position(top, shown[-1][0], shown[0][0])
    return [], position or _Position(top, top, top)


def _by_iteration(samples: list[Sample]) -> Groups:
    groups: dict[int, list[Sample]] = defaultdict(list)
    for sample in newest_first(samples):
        groups[sample.iter].append(sample)
    return list(groups.items())


def newest_first(samples: Iterable[Sample]) -> Iterator[Sample]:
    """By iteration, without those whose file a later iteration wrote over: it shows another sample now."""
    newest: dict[str, int] = {}
    for sample in sorted(samples, key=lambda s: -s.iter):
        if isinstance(sample, ImageEvent) and newest.setdefault(sample.url, sample.iter) != sample.iter:
            continue
        yield sample
