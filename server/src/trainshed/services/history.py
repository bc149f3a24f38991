"""What workers, queues and serving containers report of themselves over time.

Kept in the Events port, which packs series well and reads them as columns. An owner there is one reporter's one day, so that
forgetting what is old is deleting a few owners.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainshed.domain.errors import ApiError, Fault
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.events import Events, ScalarEvent

KEPT_DAYS = 35  # a month of a chart, and some
MAX_BUCKETS = 10_000  # of a chart: wider ones beyond that

_DAY = 24 * 3600 * 1000  # milliseconds
# How many days before the kept ones are looked at for something to delete: a reporter may have been silent.
_DAYS_TO_CLEAN = 30

Name = tuple[str, str]  # (metric, variant)


@dataclass(frozen=True, slots=True)
class Buckets:
    """Equal parts of a span of time, in milliseconds; the last one may be a little longer or shorter."""

    start: int
    end: int
    width: int
    count: int

    def of(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of each time's bucket."""
        return np.minimum((times - self.start) // self.width, self.count - 1)

    def date(self, number: int) -> int:
        """Where a bucket begins."""
        return self.start + int(number) * self.width


@dataclass(frozen=True, slots=True)
class Points:
    """Values and when they were reported, in milliseconds."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]


def buckets(from_date: float, to_date: float, interval: int, *, at_least: int) -> Buckets:
    """The span from and to so many seconds since the epoch, in parts of `interval` seconds. Raises VALIDATION_ERROR."""
    if not from_date < to_date:
        raise ApiError(Fault.VALIDATION_ERROR, "from_date must be before to_date")
    span = to_date - from_date
    seconds = max(interval, at_least, math.ceil(span / MAX_BUCKETS))
    count = max(1, round(span / seconds))
    return Buckets(start=int(from_date * 1000), end=math.ceil(to_date * 1000), width=seconds * 1000, count=count)


class History:
    """Series of reporters, each under a name of its own."""

    def __init__(self, *, events: Events, cache: Cache, clock: Clock) -> None:
        self._events = events
        self._cache = cache
        self._clock = clock

    def add(self, reporter: str, values: Mapping[Name, float], *, moment: int | None = None) -> None:
        """Note the values, as of a moment in milliseconds; one that is not within the kept days is taken for now."""
        if not values:
            return
        now = self._now()
        if moment is None or not now - KEPT_DAYS * _DAY < moment <= now + _DAY:
            moment = now
        day = moment // _DAY
        owner = _owner(reporter, day)
        self._events.add(
            ScalarEvent(task=owner, timestamp=moment, iter=moment, metric=metric, variant=variant, value=value)
            for (metric, variant), value in values.items()
        )
        if self._cache.add(f"history:{owner}", b"", _DAY / 1000):  # the first report of the day cleans up
            last = now // _DAY - KEPT_DAYS
            self._events.delete([_owner(reporter, old) for old in range(last - _DAYS_TO_CLEAN, last)])

    def read(self, reporter: str, within: Buckets, *, metric: str | None = None) -> dict[Name, Points]:
        """The points of each series in the span."""
        found: dict[Name, list[Points]] = {}
        for day in self._days(within.start, within.end):
            for series in self._events.scalars(_owner(reporter, day), metric=metric):
                inside = (series.iters >= within.start) & (series.iters <= within.end)
                if inside.any():
                    points = Points(series.iters[inside], series.values[inside])
                    found.setdefault((series.metric, series.variant), []).append(points)
        return {name: joined(parts) for name, parts in found.items()}

    def metrics(self, reporter: str) -> list[str]:
        """The metrics that were ever noted of the kept days, sorted."""
        now = self._now()
        days = self._days(now - KEPT_DAYS * _DAY, now + _DAY)
        found = (self._events.metrics(_owner(reporter, day), "training_stats_scalar") for day in days)
        return sorted({metric for names in found for metric, _ in names})

    def forget(self, reporter: str) -> None:
        """Delete everything noted of it."""
        now = self._now()
        self._events.delete([_owner(reporter, day) for day in self._days(now - KEPT_DAYS * _DAY, now + _DAY)])

    def _days(self, start: int, end: int) -> range:
        now = self._now()
        first, last = max(start, now - KEPT_DAYS * _DAY), min(end, now + _DAY)
        return range(first // _DAY, last // _DAY + 1)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def joined(parts: Iterable[Points]) -> Points:
    """The points of all parts as of one series, in no order."""
    listed = list(parts)
    return Points(np.concatenate([p.times for p in listed]), np.concatenate([p.values for p in listed]))


def _owner(reporter: str, day: int) -> str:
    return f"{reporter}@{day}"
