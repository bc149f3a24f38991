"""Every point of a metric, none left out, page by page: variant after variant, each by iteration, single values included."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Annotated, NamedTuple

from msgspec import Meta

from trainshed.ports.events import Int64, Series
from trainshed.services import cursors
from trainshed.services.events import EventLog

DEFAULT_SIZE = 10_000
MOST = 1_000_000  # points that a page may ever be configured to have


class _Position(NamedTuple):
    """The point that was read last, and how many a page has."""

    size: Annotated[int, Meta(ge=1, le=MOST)]
    variant: str
    iteration: Int64


def page(
    log: EventLog, owner: str, metric: str, variants: Sequence[str] | None, *, size: int | None, scroll_id: str | None
) -> tuple[list[Series], str]:
    """The next points, each variant's in a series of its own, and the id to go on with, which knows the size.

    Raises INVALID_SCROLL_ID.
    """
    position = cursors.decode(scroll_id, _Position) if scroll_id else None
    left = size = position.size if position else max(1, min(size or DEFAULT_SIZE, log.limits.raw_events))
    shown: list[Series] = []
    names = _counts(log, owner, metric, variants)
    if position and position.variant in names:  # the former page may have ended amid this one
        shown += log.points(owner, metric, [position.variant], above=position.iteration, limit=left)
        left -= sum(len(series.iters) for series in shown)
    rest = [name for name in names if position is None or name > position.variant]
    while rest and left:
        group = _enough(rest, names, left)
        rest = rest[len(group) :]
        for series in log.points(owner, metric, group, above=None, limit=left):
            if left:
                shown.append(_first(series, left))
                left -= len(shown[-1].iters)
    if shown:
        position = _Position(size, shown[-1].variant, int(shown[-1].iters[-1]))
    return shown, cursors.encode(position) if position else ""


def count(log: EventLog, owner: str, metric: str, variants: Sequence[str] | None) -> int:
    """How many points there are in all."""
    found = log.timeline(owner, "training_stats_scalar", [(metric, variants)], after=None, descending=False, limit=0)
    return found.total


def _counts(log: EventLog, owner: str, metric: str, variants: Sequence[str] | None) -> dict[str, int]:
    """The variants in order, and how often each was reported: as many points as that, or fewer."""
    counts: Counter[str] = Counter()
    for stats in log.stats(owner):
        if stats.metric == metric and (variants is None or stats.variant in variants):
            counts[stats.variant] += stats.count
    return dict(sorted(counts.items()))


def _enough(names: Sequence[str], counts: Mapping[str, int], points: int) -> list[str]:
    """The first names that may have so many points together: read at once, as each reading looks at all recent points."""
    sums = accumulate(counts[name] for name in names)
    return list(names[: 1 + sum(1 for _ in takewhile(lambda total: total < points, sums))])


def _first(series: Series, limit: int) -> Series:
    return Series(
        metric=series.metric,
        variant=series.variant,
        iters=series.iters[:limit],
        timestamps=series.timestamps[:limit],
        values=series.values[:limit],
    )
