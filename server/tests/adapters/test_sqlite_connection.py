"""What every store on SQLite relies on: modes, transactions, schema versions, translated errors."""

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.connection import Database
from trainshed.domain.errors import Duplicate, StoreError, StoreFull

SCHEMA = (("CREATE TABLE word (text TEXT PRIMARY KEY) STRICT",),)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "words.db", durable=False, migrations=SCHEMA)
    yield database
    database.close()


def words(database: Database) -> list[str]:
    with database.read() as connection:
        return [text for (text,) in connection.execute("SELECT text FROM word ORDER BY text")]


def insert(database: Database, *texts: str) -> None:
    with database.write() as connection:
        connection.executemany("INSERT INTO word VALUES (?)", [(text,) for text in texts])


def test_files_are_private(database: Database, tmp_path: Path) -> None:
    insert(database, "a")
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "words.db": 0o600,
        "words.db-wal": 0o600,
        "words.db-shm": 0o600,
    }


def test_pragmas(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db", durable=True, migrations=SCHEMA)
    with database.write() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    database.close()


def test_an_exception_undoes_the_block_and_comes_out(database: Database) -> None:
    def insert_and_fail() -> None:
        with database.write() as connection:
            connection.execute("INSERT INTO word VALUES ('lost')")
            raise KeyError

    with pytest.raises(KeyError):
        insert_and_fail()
    insert(database, "kept")
    assert words(database) == ["kept"]


def test_a_reader_sees_one_state(database: Database) -> None:
    insert(database, "before")
    with database.read() as connection:
        assert connection.execute("SELECT count(*) FROM word").fetchone() == (1,)
        insert(database, "after")
        assert connection.execute("SELECT count(*) FROM word").fetchone() == (1,)
    assert words(database) == ["after", "before"]


def test_errors_are_translated(database: Database) -> None:
    insert(database, "one")
    with pytest.raises(Duplicate):
        insert(database, "two", "one")
    with pytest.raises(StoreError, match="syntax error"), database.write() as connection:
        connection.execute("NONSENSE")
    assert words(database) == ["one"]


def test_a_full_disk_is_storefull_and_ends(database: Database) -> None:
    with database.write() as connection:
        connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(StoreFull):
        insert(database, "x" * 100_000)
    assert words(database) == []
    with database.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    insert(database, "y")
    assert words(database) == ["y"]


def test_the_reserve_is_for_freeing(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db", durable=False, reserve=2**62, migrations=SCHEMA)
    with pytest.raises(StoreFull, match="are free"):
        insert(database, "a")
    with database.write(freeing=True) as connection:
        connection.execute("DELETE FROM word")
    assert words(database) == []
    database.close()


def test_a_missing_folder_is_a_storeerror(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        Database(tmp_path / "none" / "a.db", durable=False)


def test_migrations_run_once_and_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    second = ("ALTER TABLE word ADD COLUMN note TEXT",)
    Database(path, durable=False, migrations=SCHEMA).close()
    for _ in range(2):
        Database(path, durable=False, migrations=(*SCHEMA, second)).close()
    with pytest.raises(StoreError, match="newer release"):
        Database(path, durable=False, migrations=SCHEMA)


def test_a_failed_migration_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with pytest.raises(StoreError):
        Database(path, durable=False, migrations=(*SCHEMA, ("CREATE TABLE other (a)", "NONSENSE")))
    Database(path, durable=False, migrations=SCHEMA).close()


def test_threads_take_turns_to_write(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: insert(database, f"{number:03}"), range(100)))
    assert words(database) == [f"{number:03}" for number in range(100)]


class Disk:
    """Syncs as often as it is let, with what had been committed each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.asked = threading.Semaphore(0)
        self.free = threading.Semaphore(1)  # of its opening
        self.synced: list[set[str]] = []
        self.broken = False

    def sync(self, file: int) -> None:
        assert os.path.samestat(os.fstat(file), Path(f"{self._path}-wal").stat())
        if self.broken:
            raise OSError(errno.EIO, "the disk is broken")
        self.asked.release()
        self.free.acquire()
        os.fdatasync(file)
        with closing(sqlite3.connect(self._path)) as connection:
            self.synced.append({text for (text,) in connection.execute("SELECT text FROM word")})


def test_a_write_ends_when_it_is_on_the_disk_and_waiting_ones_share_a_sync(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a.db")
    database = Database(tmp_path / "a.db", durable=True, migrations=SCHEMA, sync=disk.sync)
    disk.asked.acquire()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(insert, database, "first")
        disk.asked.acquire()
        others = [pool.submit(insert, database, f"other {number}") for number in range(8)]
        while len(words(database)) < 9:  # they are committed while the first one syncs
            pass
        assert not any(write.done() for write in [first, *others])
        disk.free.release(9)
        for write in [first, *others]:
            write.result(timeout=10)
    # Of its opening, of the first, and of the others together, but for those that were late to wait.
    assert len(disk.synced) < 2 + len(others)
    assert len(disk.synced[-1]) == 9
    database.close()


def test_what_need_not_last_waits_for_no_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a.db")
    database = Database(tmp_path / "a.db", durable=True, migrations=SCHEMA, sync=disk.sync)
    with database.write(lasting=False) as connection:
        connection.execute("INSERT INTO word VALUES ('a')")
    assert words(database) == ["a"]
    assert len(disk.synced) == 1  # of its opening
    database.close()


def test_a_lasting_state_has_reached_the_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a.db")
    disk.free = threading.Semaphore(9)
    database = Database(tmp_path / "a.db", durable=True, migrations=SCHEMA, sync=disk.sync)
    with database.write(lasting=False) as connection:
        connection.execute("INSERT INTO word VALUES ('a')")
    with database.read(lasting=True) as connection:
        insert(database, "b")
        assert connection.execute("SELECT text FROM word").fetchall() == [("a",)]
    assert disk.synced == [set(), {"a"}, {"a", "b"}]
    database.close()


def test_nothing_is_written_behind_what_did_not_reach_the_disk(tmp_path: Path) -> None:
    disk = Disk(tmp_path / "a.db")
    disk.free = threading.Semaphore(9)
    database = Database(tmp_path / "a.db", durable=True, migrations=SCHEMA, sync=disk.sync)
    disk.broken = True
    with pytest.raises(StoreError, match="the disk is broken"):
        insert(database, "a")
    disk.broken = False
    with pytest.raises(StoreError, match="the disk is broken"):
        insert(database, "b")
    database.close()


def test_many_may_create_the_file_together(tmp_path: Path) -> None:
    def open_and_insert(text: str) -> None:
        database = Database(tmp_path / "a.db", durable=False, migrations=SCHEMA)
        insert(database, text)
        database.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_insert, map(str, range(24))))
    database = Database(tmp_path / "a.db", durable=False, migrations=SCHEMA)
    assert len(words(database)) == 24
    database.close()


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db", durable=False, migrations=SCHEMA)
    with database.read() as connection:
        database.close()
        assert connection.execute("SELECT count(*) FROM word").fetchone() == (0,)
    with pytest.raises(StoreError, match="closed"):
        words(database)
    with pytest.raises(StoreError, match="closed"):
        insert(database, "late")
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_prepare_is_called_on_every_connection(tmp_path: Path) -> None:
    def prepare(connection: sqlite3.Connection) -> None:
        connection.create_function("twice", 1, lambda number: number * 2)

    database = Database(tmp_path / "a.db", durable=False, prepare=prepare)
    with database.write() as writer, database.read() as reader:
        assert [c.execute("SELECT twice(4)").fetchone() for c in (writer, reader)] == [(8,), (8,)]
    database.close()
