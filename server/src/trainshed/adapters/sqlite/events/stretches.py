"""A series as stretches of iterations that do not overlap, so that a page of it need not read all of it."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from trainshed.adapters.sqlite.events.points import Points, decode, join, latest, take


@dataclass(frozen=True)
class Stretch:
    """Every point of the series from iteration `low` to `high`, all of them of the moments earliest..latest.

    chunks: (id, count), oldest first. young: points of tails, later than the chunks.
    """

    low: int
    high: int
    earliest: int
    latest: int
    chunks: tuple[tuple[int, int], ...]
    young: Points | None = None

    def points(self, connection: sqlite3.Connection) -> Points:
        """By iteration, one an iteration."""
        parts = [
            decode(connection.execute("SELECT body FROM chunk WHERE id = ?", (chunk,)).fetchone()[0], count)
            for chunk, count in self.chunks
        ]
        if self.young is not None:
            parts.append(self.young)
        return parts[0] if len(parts) == 1 else latest(join(parts))

    def count(self, connection: sqlite3.Connection) -> int:
        """How many points; it reads them only where reports overlap."""
        if len(self.chunks) == 1 and self.young is None:
            return self.chunks[0][1]
        return len(self.points(connection).iters)


def of_series(connection: sqlite3.Connection, series: int, young: Points | None) -> list[Stretch]:
    """The stretches of the series by iteration. young: what its tails have, in order of arrival."""
    parts = [
        Stretch(low, high, earliest, latest, ((chunk, count),))
        for low, high, earliest, latest, chunk, count in connection.execute(
            "SELECT low, high, earliest, latest, id, count FROM chunk WHERE series = ?", (series,)
        )
    ]
    if young is not None:
        parts.append(_of_tails(latest(young)))
    return _disjoint(sorted(parts, key=lambda part: part.low))


def _of_tails(points: Points) -> Stretch:
    iters, times = points.iters, points.timestamps
    return Stretch(int(iters[0]), int(iters[-1]), int(times.min()), int(times.max()), (), points)


def _disjoint(parts: Iterable[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for part in parts:
        if merged and part.low <= merged[-1].high:
            merged[-1] = _both(merged[-1], part)
        else:
            merged.append(part)
    return merged


def _both(one: Stretch, other: Stretch) -> Stretch:
    return Stretch(
        min(one.low, other.low),
        max(one.high, other.high),
        min(one.earliest, other.earliest),
        max(one.latest, other.latest),
        tuple(sorted(one.chunks + other.chunks)),
        one.young or other.young,
    )


def first_points(
    connection: sqlite3.Connection, stretches: Iterable[Stretch], above: int | None, limit: int | None
) -> Iterator[Points]:
    """The points above an iteration, at most so many."""
    for stretch in stretches:
        if above is not None and stretch.high <= above:
            continue
        points = stretch.points(connection)
        start = 0 if above is None else int(np.searchsorted(points.iters, above, side="right"))
        part = take(points, slice(start, None if limit is None else start + limit))
        yield part
        if limit is not None and (limit := limit - len(part.iters)) <= 0:
            return
