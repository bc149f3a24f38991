"""What is free between things in use goes back to the machine."""

import sys

import pytest

from trainshed.adapters.system.memory import Memory, _glibc, _held

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux" or not _glibc(), reason="another C library")
def test_free_memory_goes_back() -> None:
    memory = Memory()
    memory.give_back()
    before = _held()
    kept = [bytearray(4 * 1024) for _ in range(16 * 1024)]  # too small to be mappings of their own
    assert _held() - before > 60 * MIB
    del kept[:-1]
    after_all = _held()
    assert not memory.give_back()
    assert _held() - before < 8 * MIB, after_all - before


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainshed.adapters.system.memory._glibc", lambda: None)
    assert not Memory().give_back()
