"""What a backup copies, while others write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.adapters.files.snapshots import FolderSource
from trainshed.adapters.sqlite.connection import Database
from trainshed.adapters.sqlite.snapshots import SqliteSource, check_whole, in_use
from trainshed.domain.errors import StoreError
from trainshed.ports.backups import Source
from trainshed.testing.sources_conformance import Kept, SourceConformance, contents, nothing


@dataclass
class Words:
    """Words in a database."""

    source: Source
    database: Database

    def add(self, word: str) -> None:
        with self.database.write() as connection:
            connection.execute("INSERT INTO words VALUES (?)", (word,))

    def remove(self, word: str) -> None:
        with self.database.write() as connection:
            connection.execute("DELETE FROM words WHERE word = ?", (word,))

    def words(self, contents: dict[str, bytes]) -> set[str]:
        (content,) = contents.values()
        with closing(sqlite3.connect(":memory:")) as copy:
            copy.deserialize(content[:18] + b"\x01\x01" + content[20:])  # without a write-ahead log, in memory
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return {word for (word,) in copy.execute("SELECT word FROM words")}


class TestSqliteSource(SourceConformance):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Iterator[Kept]:
        (tmp_path / "scratch").mkdir()
        path = tmp_path / "words.db"
        with closing(Database(path, durable=False, migrations=[["CREATE TABLE words (word TEXT)"]])) as database:
            yield Words(SqliteSource(path, tmp_path / "scratch"), database)
        assert list((tmp_path / "scratch").iterdir()) == []


@dataclass
class Files:
    """Words as names of files."""

    source: Source
    blobs: FileBlobs

    def add(self, word: str) -> None:
        self.blobs.put(f"deep/{len(word)}/{word[:3]}", [word.encode()])

    def remove(self, word: str) -> None:
        self.blobs.delete(f"deep/{len(word)}/{word[:3]}")

    def words(self, contents: dict[str, bytes]) -> set[str]:
        found = {content.decode() for content in contents.values()}
        assert set(contents) == {f"files/deep/{len(word)}/{word[:3]}" for word in found}
        return found


class TestFolderSource(SourceConformance):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Kept:
        root = tmp_path / "files"
        return Files(FolderSource(root, "files"), FileBlobs(root))


def test_names_of_any_length_and_no_links_nor_files_of_our_own(tmp_path: Path) -> None:
    root, source = tmp_path / "files", FolderSource(tmp_path / "files", "files")
    blobs = FileBlobs(root)
    blobs.put("ä" * 200, [b"long"])
    blobs.put(".trainshed-mine", [b"odd"])
    (tmp_path / "outside").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "links").symlink_to(tmp_path)
    (root / ".trainshed-incoming" / "half").write_text("half")
    (root / ".trainshed-frozen-of-one-that-was-killed").mkdir()
    with source.hold(), source.freeze(nothing) as parts:
        assert sorted(contents(parts).values()) == [b"long", b"odd"]
    assert not list(root.glob(".trainshed-frozen*"))


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "none", "files")
    with source.hold(), source.freeze(nothing) as parts:
        assert parts == list(source.parts()) == []
    assert not (tmp_path / "none").exists()


def test_a_database_that_is_not_there_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    source = SqliteSource(tmp_path / "none.db", tmp_path)
    with pytest.raises(StoreError), source.hold():
        pass
    assert list(tmp_path.iterdir()) == []


def test_whether_a_database_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    assert not in_use(path)
    with closing(Database(path, durable=False, migrations=[["CREATE TABLE words (word TEXT)"]])):
        assert in_use(path)
    assert not in_use(path)
    path.write_bytes(b"no database" * 1000)
    assert not in_use(path)


def test_a_database_with_a_lost_page(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    database = Database(path, durable=False, migrations=[["CREATE TABLE words (word TEXT)"]])
    with database.write() as connection:
        connection.executemany("INSERT INTO words VALUES (?)", [(f"word {n}",) for n in range(5000)])
    database.close()
    check_whole(path)
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"malformed|words\.db"):
        check_whole(path)
