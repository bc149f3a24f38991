"""The running figures of a series: of a batch, joined to those that are stored, and read back."""

import math
from collections.abc import Sequence
from typing import Any

from trainshed.ports.events import ScalarEvent, SeriesStats

COLUMNS = (
    "value, iter, timestamp, min_value, min_iter, max_value, max_iter, first_value, first_iter, count, mean, label"
)
Row = tuple[Any, ...]  # the values of COLUMNS

# Extends what is stored by what came after it. In SQL, as the way through Python costs three times as much. Rounding must
# not move a mean out of the range of the values.
PUT = f"""INSERT INTO figures (series, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (series) DO UPDATE SET
    value = iif(excluded.iter >= iter, excluded.value, value),
    timestamp = iif(excluded.iter >= iter, excluded.timestamp, timestamp),
    iter = max(excluded.iter, iter),
    min_iter = iif(excluded.min_value < min_value, excluded.min_iter, min_iter),
    min_value = min(excluded.min_value, min_value),
    max_iter = iif(excluded.max_value > max_value, excluded.max_iter, max_iter),
    max_value = max(excluded.max_value, max_value),
    first_value = iif(excluded.first_iter < first_iter, excluded.first_value, first_value),
    first_iter = min(excluded.first_iter, first_iter),
    mean = max(min(excluded.min_value, min_value), min(max(excluded.max_value, max_value),
        mean * (1.0 * count / (count + excluded.count))
        + excluded.mean * (1.0 * excluded.count / (count + excluded.count)))),
    count = count + excluded.count,
    label = ifnull(excluded.label, label)"""  # noqa: S608 - no input


def of_point(event: ScalarEvent) -> Row:
    """The figures of a point. Raises ValueError when its value is not finite."""
    value, iteration = event.value, event.iter
    if not math.isfinite(value):
        raise ValueError("a value is not finite")
    pair = (value, iteration)
    return (*pair, event.timestamp, *pair, *pair, *pair, 1, value, event.x_axis_label)


def of_points(events: Sequence[ScalarEvent], iters: list[int], values: list[float]) -> Row:
    """The figures of these points of one series, in order of arrival. Raises ValueError when a value is not finite."""
    mean = _mean(values)
    low, high, first, latest = min(values), max(values), min(iters), max(iters)
    newest = events[-1]
    if newest.iter != latest:
        newest = events[len(iters) - 1 - iters[::-1].index(latest)]
    return (
        newest.value,
        latest,
        newest.timestamp,
        low,
        iters[values.index(low)],
        high,
        iters[values.index(high)],
        values[iters.index(first)],
        first,
        len(values),
        mean,
        _label(events),
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


def from_row(metric: str, variant: str, row: Sequence[Any]) -> SeriesStats:
    """The figures of the series of that name."""
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
