"""The running figures of a series: of a batch, of both of two parts, and as a row."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from trainshed.ports.events import ScalarEvent, SeriesStats

COLUMNS = (
    "value, iter, timestamp, min_value, min_iter, max_value, max_iter, first_value, first_iter, count, mean, label"
)


def of_batch(events: Sequence[ScalarEvent]) -> SeriesStats:
    """The figures of these points of one series, in order of arrival. Raises ValueError when a value is not finite."""
    iters, values = [event.iter for event in events], [event.value for event in events]
    mean = _mean(values)
    if len(events) == 1:  # the usual report of a wide model: do without the searching
        low = high = first = last = 0
    else:
        low, high = values.index(min(values)), values.index(max(values))
        first = iters.index(min(iters))
        last = len(iters) - 1 - iters[::-1].index(max(iters))
    newest = events[last]
    return SeriesStats(
        metric=newest.metric,
        variant=newest.variant,
        value=newest.value,
        iter=newest.iter,
        timestamp=newest.timestamp,
        min_value=values[low],
        min_value_iteration=iters[low],
        max_value=values[high],
        max_value_iteration=iters[high],
        first_value=values[first],
        first_value_iteration=iters[first],
        count=len(values),
        mean_value=mean,
        x_axis_label=_label(events),
    )


def _label(events: Sequence[ScalarEvent]) -> str | None:
    """The latest that was given."""
    for event in reversed(events):
        if event.x_axis_label is not None:
            return event.x_axis_label
    return None


def _mean(values: Sequence[float]) -> float:
    total = sum(values)
    if math.isfinite(total):
        return total / len(values)
    if not all(map(math.isfinite, values)):
        raise ValueError("a value is not finite")
    mean = sum(value / len(values) for value in values)  # as the sum alone is out of range
    return min(max(mean, min(values)), max(values))  # and rounding may leave it once more


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
