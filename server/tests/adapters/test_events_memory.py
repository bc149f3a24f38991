"""The memory engine keeps the Events contract."""

from collections.abc import Callable

import pytest

from trainshed.adapters.memory.events import MemoryEvents
from trainshed.ports.events import Events
from trainshed.testing.events_conformance import EventsConformance


class TestMemoryEvents(EventsConformance):
    persistent = False

    @pytest.fixture
    def engine(self) -> Callable[[], Events]:
        return MemoryEvents
