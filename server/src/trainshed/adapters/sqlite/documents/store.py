"""Documents in one SQLite file: a table per collection, the JSON body beside generated columns that carry the indexes."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path as File
from typing import Any

import msgspec

from trainshed.adapters.sqlite.connection import Database
from trainshed.adapters.sqlite.documents.compile import Sql, entries_of, from_scalar, members_of, page_of, tally_of
from trainshed.adapters.sqlite.documents.functions import register
from trainshed.adapters.sqlite.documents.tables import Table
from trainshed.domain.errors import NotFound, StoreError
from trainshed.ports.documents import COLLECTIONS, Collection, Document, Tally
from trainshed.ports.query import EVERYTHING, Filter, Page, Path, Scalar, Sort


class SqliteDocuments:
    """Documents, for every thread and process of one machine. A write returns when it is on the disk."""

    def __init__(self, path: File, collections: dict[str, Collection] = COLLECTIONS, *, durable: bool = True) -> None:
        self._tables = {name: Table(name, collection) for name, collection in collections.items()}
        self._database = Database(path, durable=durable, prepare=register)
        try:
            with self._database.write() as connection:
                for table in self._tables.values():
                    table.ensure(connection)
        except BaseException:
            self._database.close()
            raise

    def insert(self, collection: str, document: Document) -> None:
        table = self._tables[collection]
        with self._database.write() as connection:
            connection.execute(table.insert, (document["id"], _encode(document)))

    def get(self, collection: str, document_id: str) -> Document | None:
        table = self._tables[collection]
        with self._database.read() as connection:
            return _get(connection, table, document_id)

    def find(
        self,
        collection: str,
        where: Filter = EVERYTHING,
        *,
        sort: Sequence[Sort] = (),
        page: Page = Page(),
    ) -> list[Document]:
        table = self._tables[collection]
        # Row numbers first and bodies after: an index may answer the first part alone, and no sort carries bodies.
        listing = table.select("rowid", where, sort=sort, tail=page_of(page))
        with self._database.read() as connection:
            rows = _run(connection, listing).fetchall()
            bodies = [connection.execute(table.body_at, row).fetchone()[0] for row in rows]
        return [_decode(body) for body in bodies]

    def count(self, collection: str, where: Filter = EVERYTHING) -> int:
        with self._database.read() as connection:
            counted: int = _run(connection, self._tables[collection].select("count(*)", where)).fetchone()[0]
        return counted

    def distinct(self, collection: str, path: Path, where: Filter = EVERYTHING) -> list[Any]:
        table = self._tables[collection]
        scalars = table.select(table.compiler.scalar(path), where)
        listed = members_of(table.select(table.compiler.list(path), where, name="list"))
        both = Sql(f"{scalars.text} UNION {listed.text} ORDER BY 1", scalars.parameters + listed.parameters)
        with self._database.read() as connection:
            return [from_scalar(value) for (value,) in _run(connection, both) if value is not None]

    def tally(
        self, collection: str, by: Sequence[Path], where: Filter = EVERYTHING, *, total: Path | None = None
    ) -> list[Tally]:
        table = self._tables[collection]
        group = Sql(f"GROUP BY {', '.join(str(number + 1) for number in range(len(by)))}") if by else None
        question = table.select(tally_of(table.compiler, by, total), where, tail=group)
        with self._database.read() as connection:
            rows = _run(connection, question).fetchall()
        return [Tally(tuple(map(from_scalar, values)), count, amount) for *values, amount, count in rows if count]

    def entries(
        self, collection: str, path: Path, where: Filter = EVERYTHING, *, depth: int = 1, fields: Sequence[str] = ()
    ) -> list[tuple[Scalar, ...]]:
        table = self._tables[collection]
        objects = table.select(table.compiler.object(path), where, name="object")
        with self._database.read() as connection:
            rows = _run(connection, entries_of(objects, depth, fields)).fetchall()
        return [tuple(map(from_scalar, row)) for row in rows]

    def update(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        table = self._tables[collection]
        with self._database.write() as connection:
            document = _get(connection, table, document_id)
            if document is None:
                raise NotFound(f"{collection}: {document_id}")
            return _decode(_change(connection, table, document, change))

    def update_many(self, collection: str, where: Filter, change: Callable[[Document], None]) -> int:
        table = self._tables[collection]
        chosen = table.select("body", where, sort=())
        with self._database.write() as connection:
            bodies = _run(connection, chosen).fetchall()
            for (body,) in bodies:
                _change(connection, table, _decode(body), change)
        return len(bodies)

    def delete(self, collection: str, where: Filter) -> int:
        table = self._tables[collection]
        with self._database.write(freeing=True) as connection:
            return _run(connection, table.delete(where)).rowcount

    def close(self) -> None:
        self._database.close()


def _get(connection: sqlite3.Connection, table: Table, document_id: str) -> Document | None:
    row = connection.execute(table.body_of, (document_id,)).fetchone()
    return None if row is None else _decode(row[0])


def _change(
    connection: sqlite3.Connection, table: Table, document: Document, change: Callable[[Document], None]
) -> str:
    """Apply the change and store the document; return the new body."""
    document_id = document["id"]
    change(document)
    if document["id"] != document_id:
        raise ValueError(f"{table.name}: a change must leave the id {document_id}")
    body = _encode(document)
    connection.execute(table.update, (body, document_id))
    return body


def _run(connection: sqlite3.Connection, statement: Sql) -> sqlite3.Cursor:
    return connection.execute(statement.text, statement.parameters)


def _encode(document: Document) -> str:
    return msgspec.json.encode(document).decode()


def _decode(body: str) -> Document:
    try:
        document: Document = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"a stored document cannot be read: {error}") from error
    return document
