"""What every Cache engine must do. Bind it with a subclass that has a fixture `cache`, built on the fixture `clock`."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from trainshed.ports.cache import Cache
from trainshed.testing.clock import FakeClock


class CacheConformance:
    """One test per promise of the port."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        return FakeClock()

    def test_a_value_is_there_until_its_time_ends(self, cache: Cache, clock: FakeClock) -> None:
        cache.set("key", b"value", ttl=10)
        clock.advance(9.5)
        assert cache.get("key") == b"value"
        clock.advance(0.5)
        assert cache.get("key") is None

    def test_what_was_never_put_is_none(self, cache: Cache) -> None:
        assert cache.get("key") is None

    def test_set_replaces_value_and_time(self, cache: Cache, clock: FakeClock) -> None:
        cache.set("key", b"first", ttl=10)
        cache.set("key", b"second", ttl=100)
        clock.advance(50)
        assert cache.get("key") == b"second"

    def test_add_takes_only_a_free_key(self, cache: Cache) -> None:
        assert cache.add("lease", b"first", ttl=10)
        assert not cache.add("lease", b"second", ttl=10)
        assert cache.get("lease") == b"first"

    def test_a_refused_add_does_not_prolong(self, cache: Cache, clock: FakeClock) -> None:
        cache.add("lease", b"first", ttl=10)
        clock.advance(9)
        cache.add("lease", b"second", ttl=10)
        clock.advance(1)
        assert cache.get("lease") is None

    def test_add_takes_a_key_that_has_ended(self, cache: Cache, clock: FakeClock) -> None:
        cache.add("lease", b"first", ttl=10)
        clock.advance(10)
        assert cache.add("lease", b"second", ttl=10)
        assert cache.get("lease") == b"second"

    def test_a_clock_that_is_set_back_prolongs_no_lease(self, cache: Cache, clock: FakeClock) -> None:
        cache.add("lease", b"", ttl=300)
        clock.advance(100)
        cache.set("other", b"", ttl=10)
        clock.advance(-86_400)
        assert not cache.add("lease", b"", ttl=300)
        clock.advance(199)
        assert not cache.add("lease", b"", ttl=300)
        clock.advance(1)
        assert cache.add("lease", b"", ttl=300)

    def test_a_clock_that_is_set_back_ends_nothing_early(self, cache: Cache, clock: FakeClock) -> None:
        cache.set("revoked", b"", ttl=1000)
        clock.advance(-86_400)
        cache.set("other", b"", ttl=10)
        clock.advance(999)
        assert cache.get("revoked") == b""

    def test_delete_frees_the_key(self, cache: Cache) -> None:
        cache.set("key", b"value", ttl=10)
        cache.delete("key")
        assert cache.get("key") is None
        assert cache.add("key", b"value", ttl=10)

    def test_delete_of_nothing_is_no_error(self, cache: Cache) -> None:
        cache.delete("key")

    @pytest.mark.parametrize("ttl", [0, -1])
    def test_a_value_without_time_has_ended(self, cache: Cache, ttl: float) -> None:
        cache.set("key", b"value", ttl=ttl)
        assert cache.get("key") is None

    @pytest.mark.parametrize("value", [b"", b"\x00\xff", b"x" * 100_000], ids=["empty", "binary", "large"])
    @pytest.mark.parametrize("key", ["", "a b/c'd\"e%", "ключ"], ids=["empty", "marks", "unicode"])
    def test_any_key_and_value(self, cache: Cache, key: str, value: bytes) -> None:
        cache.set(key, value, ttl=10)
        assert cache.get(key) == value

    def test_of_many_threads_one_takes_the_lease(self, cache: Cache) -> None:
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda number: cache.add("lease", b"%d" % number, ttl=10), range(40)))
        assert sum(taken) == 1
        assert cache.get("lease") == b"%d" % taken.index(True)
