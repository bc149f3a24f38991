"""The cache in memory keeps the port's promises."""

import pytest

from trainshed.adapters.memory.cache import MemoryCache
from trainshed.testing.cache_conformance import CacheConformance
from trainshed.testing.clock import FakeClock


class TestMemoryCache(CacheConformance):
    @pytest.fixture
    def cache(self, clock: FakeClock) -> MemoryCache:
        return MemoryCache(clock)
