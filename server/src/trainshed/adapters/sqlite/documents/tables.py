"""The table of one collection: its columns and indexes, and the statements that write it.

Columns and indexes are derived from the bodies, so they are no schema versions: what is missing is added and filled when
the file is opened. Each opening notes which columns it keeps; so those that a release did not know in between, and left as
they were, are filled again.
"""

# ruff: noqa: S608 - names in statements are the registry's, never a caller's

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from trainshed.adapters.sqlite.documents.compile import Compiler, scalar_of
from trainshed.adapters.sqlite.documents.values import Values
from trainshed.domain.values import walk
from trainshed.ports.documents import Collection, Document
from trainshed.ports.query import Path

_NOTES = '"columns"'


class Table:
    """One collection's table."""

    def __init__(self, name: str, collection: Collection) -> None:
        self.name = name
        self.frees = collection.frees
        self.values = Values(name, collection.searched)
        self._collection = collection
        self._scalars = {path: _column("v", path) for path in collection.columns}
        self._lists = {path: _column("l", path) for path in collection.lists}
        self._columns = [*self._scalars.values(), *self._lists.values()]
        self.compiler = Compiler(name, {("id",): "id", **self._scalars}, self._lists)
        columns = ["id", *self._columns, "body"]
        self.insert = f'INSERT INTO "{name}" ({", ".join(columns)}) VALUES ({", ".join("?" * len(columns))})'
        self.stored = f'SELECT rowid, body FROM "{name}" WHERE id = ?'
        self.body_of = f'SELECT body FROM "{name}" WHERE id = ?'
        self.body_at = f'SELECT body FROM "{name}" WHERE rowid = ?'
        self.last = f'SELECT ifnull(max(rowid), 0) FROM "{name}"'
        self._update = cache(self._update_statement)

    def derived(self, document: Document) -> list[Any]:
        """What the columns hold of a document."""
        scalars = [scalar_of(walk(document, path)) for path in self._scalars]
        return [*scalars, *(_list_of(walk(document, path)) for path in self._lists)]

    def update(
        self, connection: sqlite3.Connection, row: int, before: Sequence[Any], after: Sequence[Any], body: str
    ) -> None:
        """Store a body with the columns that it changes: only their indexes are written."""
        changed = [number for number, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        values = [after[number] for number in changed]
        connection.execute(self._update(tuple(self._columns[number] for number in changed)), (*values, body, row))

    def ensure(self, connection: sqlite3.Connection) -> None:
        """Make the table, its columns and indexes as far as they are missing."""
        # The id has no declared type, as TEXT would make the number 5 equal to "5". The body comes last: it is long, and
        # what stands behind it is read slowly.
        columns = "".join(f"{column}, " for column in self._columns)
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{self.name}" (id NOT NULL PRIMARY KEY, {columns}body TEXT NOT NULL)'
        )
        there = {row[1] for row in connection.execute(f'PRAGMA table_info("{self.name}")')}
        for column in self._columns:
            if column not in there:
                connection.execute(f'ALTER TABLE "{self.name}" ADD COLUMN {column}')
        self._fill(connection)
        self.values.ensure(connection)
        columns_of = {("id",): "id"} | self._scalars | self._lists
        for unique, groups in (("", self._collection.indexes), ("UNIQUE", self._collection.unique)):
            for group in groups:
                self._index(connection, unique, [columns_of[path] for path in group])

    def _fill(self, connection: sqlite3.Connection) -> None:
        """Fill the columns that the file was not kept with, and note those that it is kept with from now on."""
        connection.execute(f"CREATE TABLE IF NOT EXISTS {_NOTES} (collection TEXT PRIMARY KEY, names TEXT NOT NULL)")
        noted = connection.execute(f"SELECT names FROM {_NOTES} WHERE collection = ?", (self.name,)).fetchone()
        names = msgspec.json.encode(self._columns).decode()
        if noted and noted[0] == names:
            return
        if not set(self._columns) <= set(msgspec.json.decode(noted[0]) if noted else ()):
            statement = self._update(tuple(self._columns))
            for (row,) in connection.execute(f'SELECT rowid FROM "{self.name}"').fetchall():
                (body,) = connection.execute(self.body_at, (row,)).fetchone()
                connection.execute(statement, (*self.derived(msgspec.json.decode(body)), body, row))
        connection.execute(f"INSERT OR REPLACE INTO {_NOTES} (collection, names) VALUES (?, ?)", (self.name, names))

    def _index(self, connection: sqlite3.Connection, unique: str, columns: list[str]) -> None:
        name = "_".join([self.name, *columns])
        connection.execute(f'CREATE {unique} INDEX IF NOT EXISTS "{name}" ON "{self.name}" ({", ".join(columns)})')

    def _update_statement(self, columns: tuple[str, ...]) -> str:
        settings = "".join(f"{column} = ?, " for column in columns)
        return f'UPDATE "{self.name}" SET {settings}body = ? WHERE rowid = ?'


def _list_of(value: Any) -> str | None:
    return msgspec.json.encode(value).decode() if isinstance(value, list | tuple) else None


def _column(kind: str, path: Path) -> str:
    """v_project, l_tags: v for a scalar, l for a list."""
    name = "_".join([kind, *path])
    if not name.isidentifier():
        raise ValueError(f"{path} cannot name a column")
    return name
