"""The cache in SQLite keeps the port's promises, and those of a shared file."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.cache import SqliteCache
from trainshed.testing.cache_conformance import CacheConformance
from trainshed.testing.clock import FakeClock


class TestSqliteCache(CacheConformance):
    @pytest.fixture
    def cache(self, clock: FakeClock, tmp_path: Path) -> Iterator[SqliteCache]:
        cache = SqliteCache(tmp_path / "cache.sqlite", clock)
        yield cache
        cache.close()

    def test_two_processes_see_each_other(self, cache: SqliteCache, clock: FakeClock, tmp_path: Path) -> None:
        other = SqliteCache(tmp_path / "cache.sqlite", clock)
        cache.add("lease", b"mine", ttl=10)
        assert not other.add("lease", b"theirs", ttl=10)
        assert other.get("lease") == b"mine"
        other.close()

    def test_what_has_ended_leaves_the_file(self, cache: SqliteCache, clock: FakeClock, tmp_path: Path) -> None:
        for number in range(100):
            cache.set(str(number), b"value", ttl=10)
        clock.advance(10)
        cache.set("last", b"value", ttl=10)
        connection = sqlite3.connect(tmp_path / "cache.sqlite")
        assert connection.execute("SELECT key FROM entries").fetchall() == [("last",)]
        connection.close()
