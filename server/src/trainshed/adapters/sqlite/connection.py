"""One SQLite file: its connections, transactions, schema versions and the translation of its errors."""

import errno
import os
import sqlite3
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from trainshed.domain.errors import Duplicate, StoreError, StoreFull

# A version of the schema: the statements that lead to it from the one before.
Migration = Sequence[str]

_BUSY_MS = 30_000  # another process may hold the write lock for a long update; give up only when it looks stuck
_MMAP_BYTES = 128 * 2**20  # large blobs are read without a copy; address space, not memory
RESERVE = 32 * 2**20  # bytes of the disk that are kept for deleting: even that has to write
_WAL_BYTES = 64 * 2**20  # what a burst may leave in the write-ahead log after a checkpoint

Sync = Callable[[int], None]
FDATASYNC: Sync = getattr(os, "fdatasync", os.fsync)  # macOS has but the latter

_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,  # quota, or a limit on the size of a file
    sqlite3.SQLITE_IOERR_SHMSIZE,  # no room for the index of the write-ahead log
}
_UNIQUE = {sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY}


@contextmanager
def translated() -> Iterator[None]:
    """Let sqlite3's errors out as StoreFull, Duplicate or StoreError; everything else as it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code in _FULL:
            raise StoreFull(str(error)) from error
        if code in _UNIQUE:
            raise Duplicate(str(error)) from error
        raise StoreError(str(error)) from error


def _create(path: Path) -> None:
    """Make an empty database file if there is none, private and in its final format from its first moment on.

    Under another name first, as SQLite cannot switch the journal's mode while a second process opens the file. And never
    by opening a file that is there: closing it again would drop the locks this process holds on it.
    """
    if path.exists():
        return
    try:
        handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # with mode 0600
        os.close(handle)
        try:
            with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table
                connection.execute("PRAGMA journal_mode = WAL")
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster; its file is as good
        finally:
            Path(draft).unlink()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StoreFull if full else StoreError)(f"{path}: {error.strerror}") from error


class _Syncs:
    """Brings what was committed to the disk; those who come while one is at it share the next round.

    A commit of SQLite's own waits for the disk with the file locked, so that as many writers as come wait one by one.
    """

    def __init__(self, path: Path, sync: Sync) -> None:
        self._path = path
        self._sync = sync
        self._file = os.open(path, os.O_RDONLY)
        self._lock = threading.Lock()
        self._begun = 0
        self._refusal = ""

    def sync(self) -> None:
        """Return when everything that was written before is on the disk. Raises StoreError, for good after a failure."""
        begun = self._begun
        with self._lock:
            if self._refusal:
                raise StoreError(self._refusal)
            if self._begun > begun:
                return  # one that began after this call did its work
            self._begun += 1
            try:
                self._sync(self._file)
            except OSError as error:
                # The kernel gave up what it could not write and says so but once: what is written from now on may stand
                # behind a hole.
                self._refusal = f"{self._path} did not reach the disk: {error.strerror}; start the server anew"
                raise StoreError(self._refusal) from error

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._refusal = f"{self._path} is closed"
            os.close(self._file)


class Database:
    """A database file that threads and processes share. Open it after a fork, never before.

    path: the file; made with mode 0600 when missing, its folder must be there. durable: a commit survives the loss of
    power, not only of the process. reserve: bytes; when less is free on the disk, only what frees space may be written.
    migrations: the schema's versions, oldest first; append, never edit. prepare: called with every new connection, to
    define functions and collations. sync: brings what was written to an open file to the disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool,
        reserve: int = RESERVE,
        migrations: Sequence[Migration] = (),
        prepare: Callable[[sqlite3.Connection], object] = lambda connection: None,
        sync: Sync = FDATASYNC,
    ) -> None:
        self._path = path
        self._reserve = reserve
        self._prepare = prepare
        self._idle: deque[sqlite3.Connection] = deque()
        self._lock = threading.RLock()
        self._closed = False
        self._syncs: _Syncs | None = None
        with translated():
            _create(path)
            self._writer = self._open()
            try:
                self._migrate(migrations)
                if durable:
                    # The log is there from the first transaction to the last.
                    self._syncs = _Syncs(Path(f"{path}-wal"), sync)
                    self._syncs.sync()
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def read(self, *, lasting: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the database until the block ends. It is for this block and thread alone.

        lasting: that state has reached the disk, if the database is durable.
        """
        with translated():
            connection = self._take()
            try:
                connection.execute("BEGIN")
                if lasting and self._syncs:
                    connection.execute("SELECT 1 FROM sqlite_schema").fetchone()  # the first reading fixes the state
                    self._syncs.sync()
                yield connection
            finally:
                connection.rollback()
                self._give(connection)

    @contextmanager
    def write(self, *, freeing: bool = False, lasting: bool = True) -> Iterator[sqlite3.Connection]:
        """The writing connection, in a transaction that commits at the block's end and is undone by an exception.

        One block at a time in all processes. Inside it, read through this connection: read() sees the state before.
        Others see what was written a moment before this returns, which is when it has reached the disk.
        freeing: the block makes room, so it may use the reserve. lasting: wait for the disk, if the database is durable.
        """
        if not freeing:
            self.check_reserve()
        with translated(), self._lock:
            connection = self._writer
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()  # does nothing when SQLite did it by itself, as on a full disk
                raise
        if self._syncs and lasting:
            self._syncs.sync()

    def close(self) -> None:
        """Close every connection that is not in use; those in use close when their block ends."""
        with translated(), self._lock:
            self._closed = True
            self._writer.close()
            if self._syncs:
                self._syncs.close()
            self._drain()

    def check_reserve(self) -> None:
        """Raise StoreFull before the disk is so full that not even deleting works: the log and its checkpoint need room."""
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < self._reserve:
            raise StoreFull(f"less than {self._reserve} bytes are free for {self._path}")

    def _open(self) -> sqlite3.Connection:
        # Threads pass connections on, one at a time: the pool and the lock see to that.
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        try:
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
            # So that the log is on the disk before it is brought into the file; what is durable syncs it more often.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            connection.execute("PRAGMA secure_delete = FAST")  # some builds wipe every freed page: slow
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        with self.write(freeing=True) as connection:  # a full disk must not keep readers out
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise StoreError(
                    f"{self._path} has schema {version}, made by a newer release; this one knows {len(migrations)}"
                )
            for statement in (statement for migration in migrations[version:] for statement in migration):
                connection.execute(statement)
            if version < len(migrations):
                connection.execute(f"PRAGMA user_version = {len(migrations):d}")

    def _take(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        try:
            return self._idle.pop()  # the one used last: its cache is warm
        except IndexError:
            return self._open()

    def _give(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if self._closed:
            self._drain()

    def _drain(self) -> None:
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return
