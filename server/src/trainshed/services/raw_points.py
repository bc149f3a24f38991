"""Every point of a metric, none left out, page by page: variant after variant, each by iteration, single values included."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from msgspec import Meta

from trainshed.ports.events import Int64, Series
from trainshed.services import cursors
from trainshed.services.events import EventLog

DEFAULT_SIZE = 10_000
MAX_SIZE = 200_000


class _Position(NamedTuple):
    """The point that was read last, and how many a page has."""

    size: Annotated[int, Meta(ge=1, le=MAX_SIZE)]
    variant: str
    iteration: Int64


def page(
    log: EventLog, owner: str, metric: str, variants: Sequence[str] | None, *, size: int | None, scroll_id: str | None
) -> tuple[list[Series], str]:
    """The next points, each variant's in a series of its own, and the id to go on with, which knows the size.

    Raises INVALID_SCROLL_ID.
    """
    position = cursors.decode(scroll_id, _Position) if scroll_id else None
    left = size = position.size if position else max(1, min(size or DEFAULT_SIZE, MAX_SIZE))
    shown: list[Series] = []
    for series in _series(log, owner, metric, _names(log, owner, metric, variants, position)):
        part = _part(series, position, left)
        if len(part.iters):
            shown.append(part)
            left -= len(part.iters)
        if not left:
            break
    if shown:
        position = _Position(size, shown[-1].variant, int(shown[-1].iters[-1]))
    return shown, cursors.encode(position) if position else ""


def count(log: EventLog, owner: str, metric: str, variants: Sequence[str] | None) -> int:
    """How many points there are in all."""
    return sum(len(series.iters) for series in _series(log, owner, metric, _names(log, owner, metric, variants, None)))


def _names(
    log: EventLog, owner: str, metric: str, variants: Sequence[str] | None, position: _Position | None
) -> list[str]:
    names = [variant for name, variant in log.metrics(owner, "training_stats_scalar") if name == metric]
    return [
        name
        for name in names
        if (variants is None or name in variants) and (position is None or name >= position.variant)
    ]


def _series(log: EventLog, owner: str, metric: str, variants: Sequence[str]) -> Iterator[Series]:
    """One by one, as a page seldom needs all."""
    for variant in variants:
        chosen = [(metric, [variant])]
        parts = [*log.single_values(owner, chosen), *log.scalars(owner, chosen)]
        if not parts:  # deleted since its name was read
            continue
        iters = np.concatenate([part.iters for part in parts])
        order = np.argsort(iters, kind="stable")
        yield Series(
            metric=metric,
            variant=variant,
            iters=iters[order],
            timestamps=np.concatenate([part.timestamps for part in parts])[order],
            values=np.concatenate([part.values for part in parts])[order],
        )


def _part(series: Series, position: _Position | None, limit: int) -> Series:
    after = position.iteration if position and position.variant == series.variant else None
    start = 0 if after is None else int(np.searchsorted(series.iters, after, side="right"))
    part = slice(start, start + limit)
    return Series(
        metric=series.metric,
        variant=series.variant,
        iters=series.iters[part],
        timestamps=series.timestamps[part],
        values=series.values[part],
    )
