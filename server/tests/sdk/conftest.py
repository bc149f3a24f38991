"""One live server for all tests of the client."""

from collections.abc import Iterator

import pytest

from trainshed.testing.live import LiveServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("server") / "data")
    live.start()
    yield live
    assert live.stop() == 0
    assert "Traceback" not in live.log()
