"""SQLite keeps the Events contract, and what only it has to keep."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.events import SqliteEvents
from trainshed.ports.events import AnyEvent, Events, SeriesStats
from trainshed.testing.events_conformance import EventsConformance


class TestSqliteEvents(EventsConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Callable[[], Events]:
        return lambda: SqliteEvents(tmp_path / "events.db", durable=False)


class AlwaysCompact(SqliteEvents):
    """Compacts at every moment: no answer may change."""

    def add(self, events: Iterable[AnyEvent]) -> dict[str, list[SeriesStats]]:
        stats = super().add(events)
        while self.compact():
            pass
        return stats


class TestCompactedSqliteEvents(EventsConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Callable[[], Events]:
        return lambda: AlwaysCompact(tmp_path / "events.db", durable=False)
