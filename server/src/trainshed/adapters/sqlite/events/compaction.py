"""Packing tails into chunks, in bounded steps that are prepared outside of the write lock.

Chunks of a series are ordered by age, later ones win. Only the youngest ones are ever merged, and only with one that is not
much larger, so that a point is rewritten about log2(n) times however the points arrive.
"""

import sqlite3
from dataclasses import dataclass

from trainshed.adapters.sqlite.events.points import Points, decode, encode, join, latest, unpack_tails

_STEP_BYTES = 2**21  # of tails a step: about 90,000 points, some 20 ms
_CHUNK_POINTS = 2**15  # chunks side by side grow to this size: larger ones neither compress nor read better
_MERGE_POINTS = 2**22  # chunks that overlap grow to this size, to be rid of points that were overwritten


@dataclass(frozen=True, kw_only=True)
class Packing:
    """A prepared step: tails first..last of the owner and the chunks `merged` become the chunks `rows`."""

    owner: int
    first_tail: int
    last_tail: int
    tails: int
    tail_bytes: int
    merged: list[int]
    rows: list[tuple[int, int, int, int, int, int, bytes]]  # of the table, but for the id


def prepare(connection: sqlite3.Connection) -> Packing | None:
    """The next step, beginning at the oldest tail; None when there is none."""
    oldest = connection.execute("SELECT owner FROM tail ORDER BY id LIMIT 1").fetchone()
    if oldest is None:
        return None
    ids, bodies = _oldest_tails(connection, oldest[0])
    merged: list[int] = []
    rows = []
    for series, points in unpack_tails(bodies).items():
        points, replaced = _with_young_chunks(connection, series, latest(points))
        merged += replaced
        rows.append(_row(series, points))
    return Packing(
        owner=oldest[0],
        first_tail=ids[0],
        last_tail=ids[-1],
        tails=len(ids),
        tail_bytes=sum(map(len, bodies)),
        merged=merged,
        rows=rows,
    )


class Outdated(Exception):
    """The sources of a step are not there any more: the owner was deleted, or another process packed the same."""


def apply(connection: sqlite3.Connection, packing: Packing) -> None:
    """Write the step. Raises Outdated, and then the transaction must be undone."""
    tails = connection.execute(
        "DELETE FROM tail WHERE owner = ? AND id BETWEEN ? AND ?",
        (packing.owner, packing.first_tail, packing.last_tail),
    )
    chunks = connection.executemany("DELETE FROM chunk WHERE id = ?", [(chunk,) for chunk in packing.merged])
    if tails.rowcount != packing.tails or (packing.merged and chunks.rowcount != len(packing.merged)):
        raise Outdated
    connection.executemany(
        "INSERT INTO chunk (series, low, high, earliest, latest, count, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        packing.rows,
    )


def _row(series: int, points: Points) -> tuple[int, int, int, int, int, int, bytes]:
    iters, times = points.iters, points.timestamps
    return series, int(iters[0]), int(iters[-1]), int(times.min()), int(times.max()), len(iters), encode(points)


def _oldest_tails(connection: sqlite3.Connection, owner: int) -> tuple[list[int], list[bytes]]:
    ids, bodies, size = [], [], 0
    for tail, body in connection.execute("SELECT id, body FROM tail WHERE owner = ? ORDER BY id", (owner,)):
        ids.append(tail)
        bodies.append(body)
        size += len(body)
        if size >= _STEP_BYTES:
            break
    return ids, bodies


def _with_young_chunks(connection: sqlite3.Connection, series: int, points: Points) -> tuple[Points, list[int]]:
    """The points, merged with the youngest chunks as long as it pays; and the ids of those chunks."""
    merged: list[int] = []
    chunks = connection.execute(
        "SELECT id, low, high, count, body FROM chunk WHERE series = ? ORDER BY id DESC", (series,)
    )
    for chunk, low, high, count, body in chunks:
        overlap = low <= points.iters[-1] and points.iters[0] <= high
        if count > 2 * len(points.iters) or count + len(points.iters) > (_MERGE_POINTS if overlap else _CHUNK_POINTS):
            break
        points = latest(join([decode(body, count), points]))
        merged.append(chunk)
    return points, merged
