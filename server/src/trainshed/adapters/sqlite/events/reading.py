"""The queries of the events database."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from trainshed.adapters.sqlite.events.figures import COLUMNS
from trainshed.adapters.sqlite.events.points import Points, decode, join, latest, unpack_tails
from trainshed.adapters.sqlite.events.schema import CURVE, SINGLE
from trainshed.ports.events import Note, Series

_Row = tuple[Any, ...]


_NOTE = "SELECT owner, is_model, moment, iteration, version FROM note"


def notes(connection: sqlite3.Connection) -> list[Note]:
    """All, by owner."""
    return [_note(row) for row in connection.execute(f"{_NOTE} ORDER BY owner")]


def note_of(connection: sqlite3.Connection, owner: str) -> Note | None:
    """The owner's."""
    row = connection.execute(f"{_NOTE} WHERE owner = ?", (owner,)).fetchone()
    return None if row is None else _note(row)


def _note(row: _Row) -> Note:
    return Note(row[0], bool(row[1]), *row[2:])


def figures(connection: sqlite3.Connection, owner: str, first: int | None = None) -> list[_Row]:
    """(metric, variant, *COLUMNS) of the series of scalars, in the order of stats(). first: only the so many oldest."""
    return connection.execute(
        f"""SELECT metric, variant, {COLUMNS} FROM (
            SELECT id, metric, variant, kind FROM series
            WHERE owner = (SELECT id FROM owner WHERE name = ?) AND kind IN ({CURVE}, {SINGLE}) ORDER BY id LIMIT ?
        ) JOIN figures ON series = id ORDER BY metric, variant, kind""",  # noqa: S608 - no input
        (owner, -1 if first is None else first),
    ).fetchall()


def find_series(
    connection: sqlite3.Connection,
    owner: str,
    *,
    kinds: Sequence[int],
    metric: str | None = None,
    variants: Sequence[str] | None = None,
) -> list[tuple[int, str, str]]:
    """(id, metric, variant) of the owner's series of these kinds, by name."""
    chosen, values = ("", ()) if metric is None else (" AND metric = ?", (metric,))
    rows = connection.execute(
        "SELECT series.id, metric, variant FROM owner JOIN series ON series.owner = owner.id"  # noqa: S608 - no input
        f" WHERE owner.name = ?{chosen} AND kind IN ({', '.join('?' * len(kinds))}) ORDER BY metric, variant, kind",
        (owner, *values, *kinds),
    ).fetchall()
    return [row for row in rows if variants is None or row[2] in variants]


def has_samples(connection: sqlite3.Connection, series: int) -> bool:
    """Whether the series has any plot, image or vector."""
    return connection.execute("SELECT 1 FROM sample WHERE series = ? LIMIT 1", (series,)).fetchone() is not None


def chunks(connection: sqlite3.Connection, series: int) -> list[Points]:
    """The chunks of the series, oldest first."""
    rows = connection.execute("SELECT body, count FROM chunk WHERE series = ? ORDER BY id", (series,)).fetchall()
    return [decode(body, count) for body, count in rows]


def young(connection: sqlite3.Connection, owner: str, wanted: Collection[int] | None) -> dict[int, Points]:
    """The points that are in tails, of these series or of all, in order of arrival."""
    rows = connection.execute(
        "SELECT body FROM tail WHERE owner = (SELECT id FROM owner WHERE name = ?) ORDER BY id", (owner,)
    )
    return unpack_tails((body for (body,) in rows), wanted)


def series_of(metric: str, variant: str, older: list[Points], youngest: Points | None) -> Series:
    """The series of these parts, of which later ones win."""
    points = latest(join([*older, youngest] if youngest else older))
    return Series(
        metric=metric, variant=variant, iters=points.iters, timestamps=points.timestamps, values=points.values
    )


def samples(
    connection: sqlite3.Connection, series: int, *, within: tuple[int, int] | None, limit: int | None
) -> list[bytes]:
    """The bodies of the series' samples from the highest iteration down."""
    inside, values = ("", ()) if within is None else (" AND iter BETWEEN ? AND ?", within)
    rows = connection.execute(
        f"SELECT body FROM sample WHERE series = ?{inside} ORDER BY iter DESC LIMIT ?",  # noqa: S608 - no input
        (series, *values, -1 if limit is None else limit),
    )
    return [body for (body,) in rows]


def sample_iterations(connection: sqlite3.Connection, series: int) -> list[int]:
    """The iterations of the series' samples from the highest down."""
    rows = connection.execute("SELECT iter FROM sample WHERE series = ? ORDER BY iter DESC", (series,))
    return [iteration for (iteration,) in rows]


def logs(
    connection: sqlite3.Connection, owner: str, *, limit: int, earlier: bool, from_timestamp: int | None
) -> tuple[int, list[bytes]]:
    """How many console events the owner has, and the bodies of a page, as Events.logs defines it."""
    row = connection.execute("SELECT id, logs FROM owner WHERE name = ?", (owner,)).fetchone()
    if row is None:
        return 0, []
    owner_id, total = row
    beyond, order = ("<", "DESC") if earlier else (">", "ASC")
    start, bound = ("", ()) if from_timestamp is None else (f" AND timestamp {beyond} ?", (from_timestamp,))
    page = connection.execute(
        f"SELECT id, timestamp, body FROM log WHERE owner = ?{start}"  # noqa: S608 - operators, no input
        f" ORDER BY timestamp {order}, id {order} LIMIT ?",
        (owner_id, *bound, limit),
    ).fetchall()
    if page:
        last_id, edge, _ = page[-1]
        page += connection.execute(
            f"SELECT id, timestamp, body FROM log WHERE owner = ? AND timestamp = ? AND id {beyond} ?"  # noqa: S608
            f" ORDER BY id {order}",
            (owner_id, edge, last_id),
        ).fetchall()
    bodies = [body for _, _, body in page]
    return total, bodies[::-1] if earlier else bodies


def logs_before(connection: sqlite3.Connection, owner: str, before: int | None) -> Iterator[tuple[int, bytes]]:
    """(id, body) of the owner's console events before a moment (None: all)."""
    return connection.execute(
        "SELECT log.id, body FROM owner JOIN log ON log.owner = owner.id"
        " WHERE owner.name = ? AND (? IS NULL OR timestamp < ?)",
        (owner, before, before),
    )
