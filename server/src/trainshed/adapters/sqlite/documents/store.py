"""Documents in one SQLite file: a table per collection, the JSON body behind columns that carry the indexes."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as File
from typing import Any

import msgspec

from trainshed.adapters.sqlite.connection import RESERVE, Database
from trainshed.adapters.sqlite.documents import values
from trainshed.adapters.sqlite.documents.compile import Compiler, Sql, entries_of, from_scalar, page_of, tally_of
from trainshed.adapters.sqlite.documents.functions import refusal, register
from trainshed.adapters.sqlite.documents.tables import Table
from trainshed.domain.errors import NotFound, StoreError, StoreFull
from trainshed.ports.documents import COLLECTIONS, Collection, Document, Tally
from trainshed.ports.query import EVERYTHING, Filter, Page, Path, Scalar, Sort, paths

FEW = 1000  # documents whose bodies are looked through as fast as an index is made
_AT_ONCE = 8  # values that a question has brought to hand; with more it is answered from the bodies
_MANY = 5  # times as many matches: from there on a page is sooner found in the order asked for than among them


class SqliteDocuments:
    """Documents, for every thread and process of one machine. A write returns when it is on the disk.

    few: documents of a collection up to which it is searched without the help of tables of values.
    """

    def __init__(
        self,
        path: File,
        collections: dict[str, Collection] = COLLECTIONS,
        *,
        durable: bool = True,
        reserve: int = RESERVE,
        few: int = FEW,
    ) -> None:
        self._few = few
        self._tables = {name: Table(name, collection) for name, collection in collections.items()}
        self._database = Database(path, durable=durable, reserve=reserve, prepare=register)
        try:
            with self._database.write(freeing=True) as connection:  # a full disk must not keep readers out
                for table in self._tables.values():
                    table.ensure(connection)
        except BaseException:
            self._database.close()
            raise

    def insert(self, collection: str, document: Document) -> None:
        table = self._tables[collection]
        row = (document["id"], *table.derived(document), _encode(document))
        with self._database.write(freeing=table.frees) as connection:
            number = connection.execute(table.insert, row).lastrowid or 0
            kept = table.values.tables(connection)
            values.keep(connection, number, kept, [None] * len(kept), values.of(document, kept))

    def get(self, collection: str, document_id: str) -> Document | None:
        table = self._tables[collection]
        with self._database.read() as connection:
            row = connection.execute(table.body_of, (document_id,)).fetchone()
        return None if row is None else _decode(row[0])

    def find(
        self,
        collection: str,
        where: Filter = EVERYTHING,
        *,
        sort: Sequence[Sort] = (),
        page: Page = Page(),
    ) -> list[Document]:
        table = self._tables[collection]
        with self._asked(table, [*paths(where), *(part.path for part in sort)]) as (connection, compiler):
            rows = _page(connection, compiler, where, sort, page, many=self._few * _MANY)
            bodies = [connection.execute(table.body_at, row).fetchone()[0] for row in rows]
        return [_decode(body) for body in bodies]

    def count(self, collection: str, where: Filter = EVERYTHING) -> int:
        with self._asked(self._tables[collection], paths(where)) as (connection, compiler):
            counted: int = _run(connection, compiler.count(where)).fetchone()[0]
        return counted

    def distinct(self, collection: str, path: Path, where: Filter = EVERYTHING) -> list[Any]:
        with self._asked(self._tables[collection], [path, *paths(where)]) as (connection, compiler):
            return [
                from_scalar(value) for (value,) in _run(connection, compiler.distinct(path, where)) if value is not None
            ]

    def tally(
        self, collection: str, by: Sequence[Path], where: Filter = EVERYTHING, *, total: Path | None = None
    ) -> list[Tally]:
        group = Sql(f"GROUP BY {', '.join(str(number + 1) for number in range(len(by)))}") if by else None
        with self._asked(self._tables[collection], [*by, *paths(where)]) as (connection, compiler):
            rows = _run(connection, compiler.select(tally_of(compiler, by, total), where, tail=group)).fetchall()
        return [Tally(tuple(map(from_scalar, values)), count, amount) for *values, amount, count in rows if count]

    def entries(
        self, collection: str, path: Path, where: Filter = EVERYTHING, *, depth: int = 1, fields: Sequence[str] = ()
    ) -> list[tuple[Scalar, ...]]:
        with self._asked(self._tables[collection], paths(where)) as (connection, compiler):
            objects = compiler.select(compiler.object(path), where, name="object")
            rows = _run(connection, entries_of(objects, depth, fields)).fetchall()
        return [tuple(map(from_scalar, row)) for row in rows]

    def update(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        table = self._tables[collection]
        with self._database.write(freeing=table.frees) as connection:
            stored = connection.execute(table.stored, (document_id,)).fetchone()
            if stored is None:
                raise NotFound(f"{collection}: {document_id}")
            body = _change(connection, table, table.values.tables(connection), stored, change)
        return _decode(body)

    def update_many(self, collection: str, where: Filter, change: Callable[[Document], None]) -> int:
        table = self._tables[collection]
        growth = 0
        with _refusals(), self._database.write(freeing=True) as connection:
            kept = table.values.tables(connection)
            found = _run(connection, table.compiler.select("rowid, body", where, sort=())).fetchall()
            for stored in found:
                growth += len(_change(connection, table, kept, stored, change)) - len(stored[1])
            if growth > 0 and not table.frees:
                self._database.check_reserve()
        return len(found)

    def delete(self, collection: str, where: Filter) -> int:
        table = self._tables[collection]
        with _refusals(), self._database.write(freeing=True) as connection:
            return _run(connection, table.compiler.delete(where)).rowcount

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _asked(self, table: Table, asked: Iterable[Path]) -> Iterator[tuple[sqlite3.Connection, Compiler]]:
        """A connection, and the compiler for a question about these paths, with their values at hand where that helps."""
        wanted = {path for path in asked if table.values.covers(path)}
        if wanted:
            self._bring_to_hand(table, wanted)
        with _refusals(), self._database.read() as connection:
            yield connection, table.compiler.knowing(table.values.ready(connection)) if wanted else table.compiler

    def _bring_to_hand(self, table: Table, wanted: set[Path]) -> None:
        with self._database.read() as connection:
            missing = wanted - set(table.values.ready(connection))
            few = connection.execute(table.last).fetchone()[0] < self._few
        if few or len(missing) > _AT_ONCE:
            return
        for path in missing:
            ready = False
            while not ready:
                try:
                    with self._database.write() as connection:
                        ready = table.values.fill(connection, path)
                except StoreFull:  # the bodies answer too
                    return


@contextmanager
def _refusals() -> Iterator[None]:
    """Let out what a pattern was refused for, and not that some function of SQLite's failed."""
    refusal()  # of a former question
    try:
        yield
    except StoreError:
        if error := refusal():
            raise error from None
        raise


def _page(
    connection: sqlite3.Connection, compiler: Compiler, where: Filter, sort: Sequence[Sort], page: Page, *, many: int
) -> list[tuple[int]]:
    """The rows of a page. Row numbers first and bodies after: an index may do for the first, and no sort carries bodies."""

    def counts(question: Sql) -> bool:
        return bool(_run(connection, question).fetchone()[0] >= many)

    if all(map(counts, compiler.parts(where, limit=many))):
        compiler = compiler.broadly()
    walk = compiler.walk(where, sort, page)
    if walk and counts(compiler.count(where, limit=many)):
        rows = _run(connection, walk).fetchall()
        if len(rows) == page.limit:
            return rows
    return _run(connection, compiler.select("rowid", where, sort=sort, tail=page_of(page))).fetchall()


def _change(
    connection: sqlite3.Connection,
    table: Table,
    kept: dict[Path, str],
    stored: tuple[int, str],
    change: Callable[[Document], None],
) -> str:
    """Apply the change to a row and its body, and store it; return the new body."""
    row, document = stored[0], _decode(stored[1])
    document_id, columns, entries = document["id"], table.derived(document), values.of(document, kept)
    change(document)
    if document["id"] != document_id:
        raise ValueError(f"{table.name}: a change must leave the id {document_id}")
    body = _encode(document)
    table.update(connection, row, columns, table.derived(document), body)
    values.keep(connection, row, kept, entries, values.of(document, kept))
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
