"""A database as it is at one moment, copied while others write to it."""

import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from trainshed.adapters.sqlite.connection import translated
from trainshed.domain.errors import StoreError
from trainshed.ports.backups import PIECE, Part

# SQLite's own waiting sleeps a hundred times as long and would find a busy database busy for ever.
_POLL_SECONDS = 0.001
_PATIENCE_SECONDS = 60.0
_STEP_PAGES = 2048  # copied before another thread gets a turn


class SqliteSource:
    """The Source port on one database file. scratch: a folder with room for a copy of it."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self._path = path
        self._scratch = scratch

    def parts(self) -> Iterator[Part]:
        with translated(), closing(self._connect()) as connection:
            yield self._part(connection)

    @contextmanager
    def hold(self) -> Iterator[None]:
        with translated(), closing(self._connect()) as connection:
            _begin_writing(connection)
            try:
                yield
            finally:
                connection.rollback()

    @contextmanager
    def freeze(self, seen: Callable[[Part], bool]) -> Iterator[list[Part]]:
        with translated(), closing(self._connect()) as connection:
            connection.execute("BEGIN")
            yield [self._part(connection)]  # the question for its size is the reading that fixes what it sees

    def _connect(self) -> sqlite3.Connection:
        # mode=rw: a missing file is an error and not an empty database.
        return sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=0)

    def _part(self, connection: sqlite3.Connection) -> Part:
        (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return Part(self._path.name, "", pages * size, lambda: self._content(connection))

    def _content(self, connection: sqlite3.Connection) -> Iterator[bytes]:
        handle, name = tempfile.mkstemp(dir=self._scratch)  # with mode 0600
        try:
            with translated(), closing(sqlite3.connect(name, isolation_level=None)) as copy:
                copy.execute("PRAGMA journal_mode = OFF")  # a copy that was cut is thrown away
                copy.execute("PRAGMA synchronous = OFF")
                connection.backup(copy, pages=_STEP_PAGES)
            with os.fdopen(handle, "rb", closefd=False) as file:
                while piece := file.read(PIECE):
                    yield piece
        finally:
            os.close(handle)
            Path(name).unlink()


def _begin_writing(connection: sqlite3.Connection) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(_POLL_SECONDS)


def in_use(path: Path) -> bool:
    """Whether some process has the database open."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    except sqlite3.DatabaseError:  # no database at all
        return False
    return False


def check_schema(path: Path, known: int) -> None:
    """Raise StoreError for a database of a newer release. known: the last version of its schema that this one knows."""
    with translated(), closing(_reading(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > known:
        raise StoreError(f"it has schema {version}, made by a newer release; this one knows {known}")


def latest_of(path: Path, table: str, column: str) -> str | None:
    """The greatest value of a column; None where there is none."""
    try:
        with closing(_reading(path)) as connection:
            row: tuple[str | None] = connection.execute(f'SELECT max("{column}") FROM "{table}"').fetchone()  # noqa: S608
            return row[0]
    except sqlite3.Error:
        return None


def _reading(path: Path) -> sqlite3.Connection:
    # Not mode=ro: such a connection leaves files beside the database that it cannot remove.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5)


def check_whole(path: Path) -> None:
    """Raise StoreError unless the database's pages fit together; it reads them all."""
    with translated(), closing(_reading(path)) as connection:
        found = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise StoreError(f"{path}: {'; '.join(found)}")
