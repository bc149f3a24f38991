"""The table of one collection: its columns and indexes, and the statements on it.

Columns and indexes are derived from the bodies, so they are no schema versions: what is missing is added when the file
is opened, and an older release that does not know a column keeps it right all the same.
"""

# ruff: noqa: S608 - names in statements are the registry's, never a caller's

import sqlite3
from collections.abc import Sequence

from trainshed.adapters.sqlite.documents.compile import Compiler, Sql, column_definition
from trainshed.ports.documents import Collection
from trainshed.ports.query import Filter, Path, Sort


class Table:
    """One collection's table."""

    def __init__(self, name: str, collection: Collection) -> None:
        self.name = name
        self._collection = collection
        self._scalars = {path: _column("v", path) for path in collection.columns}
        self._lists = {path: _column("l", path) for path in collection.lists}
        self.compiler = Compiler({("id",): "id", **self._scalars}, self._lists)
        self.insert = f'INSERT INTO "{name}" (id, body) VALUES (?, ?)'
        self.update = f'UPDATE "{name}" SET body = ? WHERE id = ?'
        self.body_of = f'SELECT body FROM "{name}" WHERE id = ?'
        self.body_at = f'SELECT body FROM "{name}" WHERE rowid = ?'

    def select(
        self,
        what: str | Sql,
        where: Filter,
        *,
        name: str = "value",
        sort: Sequence[Sort] | None = None,
        tail: Sql | None = None,
    ) -> Sql:
        """SELECT `what` AS `name` of the rows that match; in order when a sort is given. tail: what comes after that."""
        what = Sql(what) if isinstance(what, str) else what
        condition = self.compiler.where(where)
        parts = [what, Sql(f'AS {name} FROM "{self.name}" WHERE'), condition]
        if sort is not None:
            parts += [Sql("ORDER BY"), self.compiler.order(sort)]
        if tail is not None:
            parts.append(tail)
        return _statement("SELECT", parts)

    def delete(self, where: Filter) -> Sql:
        """DELETE of the rows that match."""
        return _statement(f'DELETE FROM "{self.name}" WHERE', [self.compiler.where(where)])

    def ensure(self, connection: sqlite3.Connection) -> None:
        """Make the table, its columns and indexes as far as they are missing."""
        # The id has no declared type: TEXT would make the number 5 equal to "5".
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{self.name}" (id NOT NULL PRIMARY KEY, body TEXT NOT NULL)')
        there = {row[1] for row in connection.execute(f'PRAGMA table_xinfo("{self.name}")')}
        for columns, is_list in ((self._scalars, False), (self._lists, True)):
            for path, column in columns.items():
                if column not in there:
                    definition = column_definition(path, is_list=is_list)
                    connection.execute(
                        f'ALTER TABLE "{self.name}" ADD COLUMN {column} GENERATED ALWAYS AS ({definition}) VIRTUAL'
                    )
        for unique, groups in (("", self._collection.indexes), ("UNIQUE", self._collection.unique)):
            for group in groups:
                self._index(connection, unique, [(self._scalars | self._lists)[path] for path in group])

    def _index(self, connection: sqlite3.Connection, unique: str, columns: list[str]) -> None:
        name = "_".join([self.name, *columns])
        connection.execute(f'CREATE {unique} INDEX IF NOT EXISTS "{name}" ON "{self.name}" ({", ".join(columns)})')


def _column(kind: str, path: Path) -> str:
    """v_project, l_tags: v for a scalar, l for a list."""
    name = "_".join([kind, *path])
    if not name.isidentifier():
        raise ValueError(f"{path} cannot name a column")
    return name


def _statement(verb: str, parts: list[Sql]) -> Sql:
    text = " ".join([verb, *(part.text for part in parts)])
    return Sql(text, tuple(value for part in parts for value in part.parameters))
