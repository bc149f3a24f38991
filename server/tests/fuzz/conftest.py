"""One live server for all of it, with something of everything in it, and a caller who may call every endpoint."""

from collections.abc import Iterator

import pytest

from trainshed.testing.fuzzed import FuzzedServer

# Bytes that it may ever hold: the largest body, unpacked and decoded, and a few at once.
MAX_RESIDENT = 800 * 1024 * 1024


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedServer]:
    fuzzed = FuzzedServer(tmp_path_factory.mktemp("server") / "data")
    yield fuzzed
    peak = fuzzed.peak_memory()
    assert fuzzed.live.stop() == 0
    assert "Traceback" not in fuzzed.live.log()
    assert peak < MAX_RESIDENT
