"""Values at hand: for a path that is asked for, a side table with the value of every document, indexed both ways.

A collection may have thousands of such paths, one for each metric and hyperparameter that anybody ever had, of which people
look at few. So a table is made when its path is first asked for, in small steps beside other writers, and each write of a
document then keeps it right. The oldest go when there are too many.
"""

# ruff: noqa: S608 - names in statements are the registry's, never a caller's

import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from trainshed.adapters.sqlite.documents.compile import scalar_at, scalar_of, there_at
from trainshed.domain.values import walk
from trainshed.ports.documents import Document
from trainshed.ports.query import Path

KEPT = 64  # tables of a collection; each costs every write of a document a microsecond, and a question some megabytes
_STEP = 2000  # documents that one transaction looks through: what other writers wait for
_REGISTRY = '"values"'


class Values:
    """The side tables of one collection.

    patterns: the paths that may have one, `*` for any key. A row of a table is a document that has something other than
    null at the path; its value is the scalar, NULL for a list or an object.
    """

    def __init__(self, collection: str, patterns: Sequence[Path]) -> None:
        self._collection = collection
        self._patterns = patterns

    def covers(self, path: Path) -> bool:
        """Whether the path may have a table."""
        return any(
            len(pattern) == len(path) and all(key in ("*", own) for key, own in zip(pattern, path, strict=True))
            for pattern in self._patterns
        )

    def ensure(self, connection: sqlite3.Connection) -> None:
        """Make the registry when it is missing. filled: the last row that was looked through, NULL when all were."""
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {_REGISTRY}"
            " (number INTEGER PRIMARY KEY, collection TEXT, path TEXT, filled INTEGER, UNIQUE (collection, path))"
        )

    def ready(self, connection: sqlite3.Connection) -> dict[Path, str]:
        """path -> name of its table, of those that can answer."""
        if not self._patterns:
            return {}
        question = f"SELECT number, path FROM {_REGISTRY} WHERE collection = ? AND filled IS NULL"
        return {_path(text): self._name(number) for number, text in connection.execute(question, (self._collection,))}

    def tables(self, connection: sqlite3.Connection) -> dict[Path, str]:
        """path -> name of its table, of those that a write must keep right."""
        if not self._patterns:
            return {}
        question = f"SELECT number, path FROM {_REGISTRY} WHERE collection = ?"
        return {_path(text): self._name(number) for number, text in connection.execute(question, (self._collection,))}

    def fill(self, connection: sqlite3.Connection, path: Path) -> bool:
        """Do a bounded part of what is missing until the path's table is ready; whether it is."""
        key = (self._collection, msgspec.json.encode(path).decode())
        question = f"SELECT number, filled FROM {_REGISTRY} WHERE collection = ? AND path = ?"
        number, filled = connection.execute(question, key).fetchone() or (self._create(connection, key), 0)
        if filled is None:
            return True
        last = connection.execute(f'SELECT ifnull(max(rowid), 0) FROM "{self._collection}"').fetchone()[0]
        end = min(filled + _STEP, last)
        scalar, there = scalar_at(path), there_at(path)
        connection.execute(
            f'INSERT OR IGNORE INTO "{self._name(number)}" (row, value) SELECT rowid, {scalar.text}'
            f' FROM "{self._collection}" WHERE rowid > ? AND rowid <= ? AND {there.text}',
            (*scalar.parameters, filled, end, *there.parameters),
        )
        update = f"UPDATE {_REGISTRY} SET filled = ? WHERE number = ?"
        connection.execute(update, (None if end == last else end, number))
        return bool(end == last)

    def _create(self, connection: sqlite3.Connection, key: tuple[str, str]) -> int:
        present = f"SELECT number FROM {_REGISTRY} WHERE collection = ? ORDER BY number"
        numbers = [number for (number,) in connection.execute(present, key[:1])]
        for number in numbers[: max(0, len(numbers) - KEPT + 1)]:
            connection.execute(f'DROP TRIGGER "{self._name(number)}_gone"')
            connection.execute(f'DROP TABLE "{self._name(number)}"')
            connection.execute(f"DELETE FROM {_REGISTRY} WHERE number = ?", (number,))
        added = connection.execute(f"INSERT INTO {_REGISTRY} (collection, path, filled) VALUES (?, ?, 0)", key)
        number = added.lastrowid
        assert number is not None
        name = self._name(number)
        connection.execute(f'CREATE TABLE "{name}" (row INTEGER PRIMARY KEY, value)')
        connection.execute(f'CREATE INDEX "{name}_value" ON "{name}" (value)')
        connection.execute(
            f'CREATE TRIGGER "{name}_gone" AFTER DELETE ON "{self._collection}"'
            f' BEGIN DELETE FROM "{name}" WHERE row = old.rowid; END'
        )
        return number

    def _name(self, number: int) -> str:
        return f"{self._collection}_value_{number}"


def of(document: Document, paths: Mapping[Path, str]) -> list[Any]:
    """What the tables of the paths have of the document, None where they have no row of it."""
    return [_entry(walk(document, path)) for path in paths]


def keep(
    connection: sqlite3.Connection, row: int, tables: Mapping[Path, str], before: Sequence[Any], after: Sequence[Any]
) -> None:
    """Bring the tables from what they had of a row to what they shall have."""
    for table, old, new in zip(tables.values(), before, after, strict=True):
        if old == new:
            continue
        if new is None:
            connection.execute(f'DELETE FROM "{table}" WHERE row = ?', (row,))
        else:
            connection.execute(f'INSERT OR REPLACE INTO "{table}" (row, value) VALUES (?, ?)', (row, *new))


def _entry(value: Any) -> tuple[Any] | None:
    return None if value is None else (scalar_of(value),)


@lru_cache(maxsize=1024)
def _path(text: str) -> Path:
    return tuple(msgspec.json.decode(text))
