"""Events of one kind in the order of their places, of which a page reads little more than it shows."""

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainshed.adapters.sqlite.events.points import Points, take
from trainshed.adapters.sqlite.events.stretches import Stretch, of_series
from trainshed.ports.events import Place, ScalarEvent

_INT64 = range(-(2**63), 2**63)

Named = tuple[int, str, str]  # (series, metric, variant)
_Edge = tuple[int, float]  # (timestamp, iteration): events beyond it are on the page


class Window(NamedTuple):
    """What is asked for. after: as in Events.timeline."""

    after: Place | None
    descending: bool
    limit: int

    def edge(self, metric: str, variant: str) -> _Edge | None:
        """The place as the events of one name see it."""
        if self.after is None:
            return None
        here, there = (metric, variant), (self.after.metric, self.after.variant)
        if here == there:
            iteration = self.after.iteration
            return self.after.timestamp, iteration if iteration in _INT64 else math.copysign(math.inf, iteration)
        # Of two events of one moment, the one with the later name comes later.
        return self.after.timestamp, -math.inf if here > there else math.inf


# samples


def samples(connection: sqlite3.Connection, series: Iterable[Named], window: Window) -> tuple[list[bytes], int]:
    """The bodies of the page, and how many samples there are in all."""
    found: list[tuple[Place, int]] = []
    total = 0
    for number, metric, variant in series:
        total += connection.execute("SELECT count(*) FROM sample WHERE series = ?", (number,)).fetchone()[0]
        found += [
            (Place(timestamp, metric, variant, iteration), row)
            for timestamp, iteration, row in _sample_rows(connection, number, window.edge(metric, variant), window)
        ]
        if len(found) > 4 * window.limit:
            found = _first(found, window)
    page = [
        connection.execute("SELECT body FROM sample WHERE rowid = ?", (row,)).fetchone()[0]
        for _, row in _first(found, window)
    ]
    return page, total


def _first(found: list[tuple[Place, int]], window: Window) -> list[tuple[Place, int]]:
    return sorted(found, reverse=window.descending)[: window.limit]


def _sample_rows(
    connection: sqlite3.Connection, series: int, edge: _Edge | None, window: Window
) -> list[tuple[int, int, int]]:
    operator, order = ("<", "DESC") if window.descending else (">", "ASC")
    beyond, values = ("", ()) if edge is None else (f" AND (timestamp, iter) {operator} (?, ?)", edge)
    return connection.execute(
        f"SELECT timestamp, iter, rowid FROM sample WHERE series = ?{beyond}"  # noqa: S608 - operators, no input
        f" ORDER BY timestamp {order}, iter {order} LIMIT ?",
        (series, *values, window.limit),
    ).fetchall()


# points


class _Points(NamedTuple):
    """Points of several series, each with the rank of its name."""

    ranks: NDArray[np.int64]
    iters: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


def points(
    connection: sqlite3.Connection, owner: str, series: Sequence[Named], young: Mapping[int, Points], window: Window
) -> tuple[list[ScalarEvent], int]:
    """The page, and how many points there are in all. young: the points in tails."""
    names = sorted({(metric, variant) for _, metric, variant in series})  # a curve and a single value may share one
    ranks = {name: rank for rank, name in enumerate(names)}
    stretches = [
        (stretch, ranks[metric, variant])
        for number, metric, variant in series
        for stretch in of_series(connection, number, young.get(number))
    ]
    total = sum(stretch.count(connection) for stretch, _ in stretches)
    page = _page(connection, stretches, names, window)
    rows = zip(*(column.tolist() for column in page), strict=True)
    return [
        ScalarEvent(task=owner, metric=names[rank][0], variant=names[rank][1], iter=i, timestamp=t, value=value)
        for rank, i, t, value in rows
    ], total


def _page(
    connection: sqlite3.Connection, stretches: list[tuple[Stretch, int]], names: list[tuple[str, str]], window: Window
) -> _Points:
    """The points of the page in their order. Stretches that lie before its first moment or behind its last are not read."""
    stretches = [one for one in stretches if not _is_passed(one[0], window)]
    stretches.sort(key=lambda one: -one[0].latest if window.descending else one[0].earliest)
    found = [_Points(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    count, last = 0, None  # the moment at which the page ends, as far as it is known
    for stretch, rank in stretches:
        if not window.limit or (last is not None and _is_behind(stretch, last, window)):
            break
        points = _beyond(stretch.points(connection), window.edge(*names[rank]), window)
        found.append(_Points(np.full(len(points.iters), rank), *points))
        count += len(points.iters)
        if count >= window.limit * (1 if last is None else 2):
            found = [_best(found, window)]
            count, last = window.limit, int(found[0].timestamps[-1])
    return _best(found, window)


def _is_passed(stretch: Stretch, window: Window) -> bool:
    if window.after is None:
        return False
    moment = window.after.timestamp
    return stretch.earliest > moment if window.descending else stretch.latest < moment


def _is_behind(stretch: Stretch, last: int, window: Window) -> bool:
    return stretch.latest < last if window.descending else stretch.earliest > last


def _beyond(points: Points, edge: tuple[int, float] | None, window: Window) -> Points:
    if edge is None:
        return points
    moment, iteration = edge
    if window.descending:
        chosen = (points.timestamps < moment) | ((points.timestamps == moment) & (points.iters < iteration))
    else:
        chosen = (points.timestamps > moment) | ((points.timestamps == moment) & (points.iters > iteration))
    return take(points, chosen)


def _best(found: list[_Points], window: Window) -> _Points:
    """The first points of the page among these, in its order."""
    ranks, iters, timestamps = (np.concatenate([one[column] for one in found]) for column in range(3))
    values = np.concatenate([one.values for one in found])
    order = np.lexsort((iters, ranks, timestamps))
    chosen = (order[::-1] if window.descending else order)[: window.limit]
    return _Points(ranks[chosen], iters[chosen], timestamps[chosen], values[chosen])
