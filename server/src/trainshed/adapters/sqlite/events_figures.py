"""The running figures of a series: of a batch, of both of two parts, and as a row."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from trainshed.ports.events import SeriesStats

COLUMNS = (
    "value, iter, timestamp, min_value, min_iter, max_value, max_iter, first_value, first_iter, count, mean, label"
)


def of_batch(
    metric: str,
    variant: str,
    *,
    iters: Sequence[int],
    timestamps: Sequence[int],
    values: Sequence[float],
    label: str | None,
) -> SeriesStats:
    """The figures of these points, in order of arrival. Raises ValueError when a value is not finite."""
    low, high, first, last = min(values), max(values), min(iters), max(iters)
    newest = len(iters) - 1 if iters[-1] == last else len(iters) - 1 - iters[::-1].index(last)
    return SeriesStats(
        metric=metric,
        variant=variant,
        value=values[newest],
        iter=last,
        timestamp=timestamps[newest],
        min_value=low,
        min_value_iteration=iters[values.index(low)],
        max_value=high,
        max_value_iteration=iters[values.index(high)],
        first_value=values[iters.index(first)],
        first_value_iteration=first,
        count=len(values),
        mean_value=_mean(values),
        x_axis_label=label,
    )


def _mean(values: Sequence[float]) -> float:
    total = sum(values)
    if math.isfinite(total):
        return total / len(values)
    if not all(map(math.isfinite, values)):
        raise ValueError("a value is not finite")
    return sum(value / len(values) for value in values)  # the sum alone is out of range


def combined(old: SeriesStats, new: SeriesStats) -> SeriesStats:
    """The figures of both, `new` having arrived after `old`."""
    count = old.count + new.count
    lowest = new if new.min_value < old.min_value else old
    highest = new if new.max_value > old.max_value else old
    first = new if new.first_value_iteration < old.first_value_iteration else old
    last = new if new.iter >= old.iter else old
    mean = old.mean_value * (old.count / count) + new.mean_value * (new.count / count)
    return SeriesStats(
        metric=new.metric,
        variant=new.variant,
        value=last.value,
        iter=last.iter,
        timestamp=last.timestamp,
        min_value=lowest.min_value,
        min_value_iteration=lowest.min_value_iteration,
        max_value=highest.max_value,
        max_value_iteration=highest.max_value_iteration,
        first_value=first.first_value,
        first_value_iteration=first.first_value_iteration,
        count=count,
        mean_value=min(max(mean, lowest.min_value), highest.max_value),  # rounding must not leave the range
        x_axis_label=old.x_axis_label if new.x_axis_label is None else new.x_axis_label,
    )


def to_row(stats: SeriesStats) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    return msgspec.structs.astuple(stats)[2:]


def from_row(metric: str, variant: str, row: Sequence[Any]) -> SeriesStats:
    """The inverse of to_row."""
    value, iteration, timestamp, low, low_iter, high, high_iter, first, first_iter, count, mean, label = row
    return SeriesStats(
        metric=metric,
        variant=variant,
        value=value,
        iter=iteration,
        timestamp=timestamp,
        min_value=low,
        min_value_iteration=low_iter,
        max_value=high,
        max_value_iteration=high_iter,
        first_value=first,
        first_value_iteration=first_iter,
        count=count,
        mean_value=mean,
        x_axis_label=label,
    )
