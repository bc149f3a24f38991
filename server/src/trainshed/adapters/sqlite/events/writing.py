"""The statements that write to the events database; all of them run inside a transaction of the caller."""

import sqlite3
from collections.abc import Iterable

from trainshed.adapters.sqlite.events import figures
from trainshed.adapters.sqlite.events.batch import OwnerBatch, SeriesName
from trainshed.adapters.sqlite.events.points import pack_tail
from trainshed.ports.events import Note

_OWNERS = 1000  # whose names are remembered: far more than report at the same time

SeriesIds = dict[int, dict[SeriesName, int]]  # owner's id -> name -> series' id


class Names:
    """The ids of series, remembered between calls.

    Ids are never used again, so what was committed once stays right whatever other processes do: a series that is not
    in here is looked up, and an owner that was deleted comes back under another id.
    """

    def __init__(self) -> None:
        self._ids: SeriesIds = {}

    def of_owner(self, owner: int) -> dict[SeriesName, int]:
        """What is known of this owner."""
        return self._ids.get(owner, {})

    def remember(self, learnt: SeriesIds) -> None:
        """Add what a transaction learnt. Call it only after the commit."""
        if len(self._ids) > _OWNERS:
            self._ids = {}
        for owner, ids in learnt.items():
            self._ids[owner] = self._ids.get(owner, {}) | ids


class Writer:
    """Stores batches in one transaction. learnt: ids that Names did not know."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self.learnt: SeriesIds = {}

    def store(self, owner: str, batch: OwnerBatch) -> None:
        """Write what the owner reported."""
        owner_id = self._owner(owner)
        if batch.logs:
            self._logs(owner_id, batch.logs)
        for name, bodies in batch.samples.items():
            self._samples(self._series(owner_id, [name])[0], bodies)
        if batch.scalars:
            self._scalars(owner_id, batch)

    def _scalars(self, owner: int, batch: OwnerBatch) -> None:
        ids = self._series(owner, batch.names)
        tail = pack_tail(ids, batch.counts, batch.columns)
        self._connection.execute("INSERT INTO tail (owner, body) VALUES (?, ?)", (owner, tail))
        rows = [(series, *row) for series, row in zip(ids, batch.figures, strict=True)]
        self._connection.executemany(figures.PUT, rows)

    def _logs(self, owner: int, logs: list[tuple[int, bytes]]) -> None:
        self._connection.executemany(
            "INSERT INTO log (owner, timestamp, body) VALUES (?, ?, ?)", [(owner, *row) for row in logs]
        )
        self._connection.execute("UPDATE owner SET logs = logs + ? WHERE id = ?", (len(logs), owner))

    def _samples(self, series: int, bodies: dict[int, tuple[int, bytes]]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO sample (series, iter, timestamp, body) VALUES (?, ?, ?, ?)",
            [(series, iteration, *row) for iteration, row in bodies.items()],
        )

    def _owner(self, name: str) -> int:
        row = self._connection.execute("SELECT id FROM owner WHERE name = ?", (name,)).fetchone()
        if row is None:
            row = self._connection.execute(
                "INSERT INTO owner (name, logs) VALUES (?, 0) RETURNING id", (name,)
            ).fetchone()
        return int(row[0])

    def _series(self, owner: int, names: list[SeriesName]) -> list[int]:
        known = self._names.of_owner(owner)
        return [known[name] if name in known else self._learn(owner, name) for name in names]

    def _learn(self, owner: int, name: SeriesName) -> int:
        row = self._connection.execute(
            "SELECT id FROM series WHERE owner = ? AND metric = ? AND variant = ? AND kind = ?", (owner, *name)
        ).fetchone()
        if row is None:
            row = self._connection.execute(
                "INSERT INTO series (owner, metric, variant, kind) VALUES (?, ?, ?, ?) RETURNING id", (owner, *name)
            ).fetchone()
        self.learnt.setdefault(owner, {})[name] = int(row[0])
        return int(row[0])


def put_notes(connection: sqlite3.Connection, notes: Iterable[Note]) -> None:
    """Join each to the one that its owner may have."""
    connection.executemany(
        """INSERT INTO note (owner, is_model, moment, iteration, version) VALUES (?, ?, ?, ?, random())
        ON CONFLICT (owner) DO UPDATE SET
        moment = max(excluded.moment, moment), iteration = max(excluded.iteration, iteration), version = excluded.version""",
        [note[:4] for note in notes],
    )


def strike_notes(connection: sqlite3.Connection, notes: Iterable[Note]) -> None:
    """Remove those that are still the same. Versions are random: one that was struck and came again is another."""
    connection.executemany(
        "DELETE FROM note WHERE owner = ? AND version = ?", [(note.owner, note.version) for note in notes]
    )


def delete(connection: sqlite3.Connection, owner: str) -> None:
    """Unlink the owner: its rows stay for sweeping.step(), but nobody finds them any more."""
    connection.execute("DELETE FROM note WHERE owner = ?", (owner,))
    row = connection.execute("DELETE FROM owner WHERE name = ? RETURNING id", (owner,)).fetchone()
    if row is not None:
        connection.execute("INSERT INTO doomed (owner) VALUES (?)", row)


def delete_logs(connection: sqlite3.Connection, owner: str, ids: list[int]) -> None:
    """Remove these console events of the owner."""
    connection.executemany("DELETE FROM log WHERE id = ?", [(log,) for log in ids])
    connection.execute("UPDATE owner SET logs = logs - ? WHERE name = ?", (len(ids), owner))


def delete_samples(connection: sqlite3.Connection, series: int) -> int:
    """Remove the samples of a series; it stays itself, as its id may be remembered. How many there were."""
    return connection.execute("DELETE FROM sample WHERE series = ?", (series,)).rowcount
