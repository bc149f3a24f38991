"""Removing the rows of deleted owners and giving free space back to the file system, in bounded steps."""

import sqlite3
from collections.abc import Iterable, Iterator

_STEP_BYTES = 2**20  # of rows a step: a quarter of a thousand pages, some milliseconds
_STEP_PAGES = 256  # given back in a step
_ROW_BYTES = 100  # what a row without a body counts for


def anything(connection: sqlite3.Connection) -> bool:
    """Whether something is left to remove."""
    return connection.execute("SELECT 1 FROM doomed").fetchone() is not None


def step(connection: sqlite3.Connection) -> None:
    """Remove some rows of an owner that was deleted, if there is one, and give back the pages that this frees.

    For each of them at most one is moved, so it costs no more than the deletion; and the list of free pages, which is
    searched for each page that is given back, stays short.
    """
    doomed = connection.execute("SELECT owner FROM doomed LIMIT 1").fetchone()
    if doomed is None:
        return
    before = _free_pages(connection)
    for table, row in _bounded(_rows(connection, doomed[0])):
        connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))  # noqa: S608 - a table's name
    give_back(connection, _free_pages(connection) - before)


def give_back(connection: sqlite3.Connection, pages: int) -> None:
    """Cut so many free pages off the file; what lies in the way moves into them."""
    for _ in range(pages):
        # One by one: of more, execute() would only do the first, and executescript() would end the transaction.
        connection.execute("PRAGMA incremental_vacuum(1)")


def spare_pages(connection: sqlite3.Connection, *, keep: int) -> int:
    """How many free pages beyond so many bytes of them a step should give back."""
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return max(0, min(_free_pages(connection) - keep // int(size), _STEP_PAGES))


def _free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _rows(connection: sqlite3.Connection, owner: int) -> Iterator[tuple[str, int, int]]:
    """(table, row, bytes) of everything that the owner has. What leads to other rows comes after them."""
    for table in ("tail", "log"):
        found = connection.execute(f"SELECT rowid, length(body) FROM {table} WHERE owner = ?", (owner,))  # noqa: S608
        yield from ((table, row, size) for row, size in found)
    for (series,) in connection.execute("SELECT id FROM series WHERE owner = ?", (owner,)):
        for table in ("chunk", "sample"):
            found = connection.execute(f"SELECT rowid, length(body) FROM {table} WHERE series = ?", (series,))  # noqa: S608
            yield from ((table, row, size) for row, size in found)
        yield "figures", series, _ROW_BYTES
        yield "series", series, _ROW_BYTES
    yield "doomed", owner, _ROW_BYTES


def _bounded(rows: Iterable[tuple[str, int, int]]) -> list[tuple[str, int]]:
    """The first rows, up to the bytes of a step."""
    chosen, size = [], 0
    for table, row, length in rows:
        chosen.append((table, row))
        size += length + _ROW_BYTES
        if size >= _STEP_BYTES:
            break
    return chosen
