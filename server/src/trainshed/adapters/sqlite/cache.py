"""The cache in a small SQLite file of its own, so that its many writes never wait for those that must reach the disk."""

import sqlite3
from pathlib import Path

from trainshed.adapters.sqlite.connection import Database
from trainshed.ports.clock import Clock

MIGRATIONS = (
    (
        "CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL NOT NULL) WITHOUT ROWID",
        "CREATE INDEX entries_by_end ON entries (ends)",
    ),
    ("CREATE TABLE clock (latest REAL NOT NULL)", "INSERT INTO clock VALUES (0)"),
)
_PUT = "INSERT OR REPLACE INTO entries (key, value, ends) VALUES (?, ?, ?)"


class SqliteCache:
    """Cache, for every thread and process of one machine. What has ended is removed at the next write."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database = Database(path, durable=False, migrations=MIGRATIONS)

    def get(self, key: str) -> bytes | None:
        with self._database.read() as connection:
            found = "SELECT value FROM entries WHERE key = ? AND ends > ?"
            row: tuple[bytes] | None = connection.execute(found, (key, self._now())).fetchone()
        return None if row is None else row[0]

    # Reading goes on when the disk is full, and paging needs its positions: what is written here is small and ends by itself.
    def set(self, key: str, value: bytes, ttl: float) -> None:
        with self._database.write(freeing=True) as connection:
            now = self._purge(connection)
            connection.execute(_PUT, (key, value, now + ttl))

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self._database.write(freeing=True) as connection:
            now = self._purge(connection)
            if connection.execute("SELECT 1 FROM entries WHERE key = ?", (key,)).fetchone():
                return False
            connection.execute(_PUT, (key, value, now + ttl))
            return True

    def delete(self, key: str) -> None:
        with self._database.write(freeing=True) as connection:
            connection.execute("DELETE FROM entries WHERE key = ?", (key,))

    def close(self) -> None:
        self._database.close()

    def _purge(self, connection: sqlite3.Connection) -> float:
        """Remove what has ended, by its index; return the present time.

        A clock that went back since the write before takes the ends with it: a lease would be held for as long as it went.
        """
        now = self._now()
        (latest,) = connection.execute("SELECT latest FROM clock").fetchone()
        if now < latest:
            connection.execute("UPDATE entries SET ends = ends - ?", (latest - now,))
        connection.execute("UPDATE clock SET latest = ?", (now,))
        connection.execute("DELETE FROM entries WHERE ends <= ?", (now,))
        return now

    def _now(self) -> float:
        return self._clock.now().timestamp()
