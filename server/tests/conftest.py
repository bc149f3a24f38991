"""What the tests share: a server in this process, over each engine, and one in a process of its own."""

import gc
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ENGINES, ApiClient, serve
from trainshed.testing.live import LiveServer


def pytest_collection_finish() -> None:
    """What was imported and collected stays for good: each look for garbage would walk through it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=ENGINES)
def engines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engines]:
    opened = ENGINES[request.param](tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def api(engines: Engines) -> ApiClient:
    return serve(engines)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path / "data")
    live.start()
    yield live
    live.stop(signal.SIGKILL)


@pytest.fixture
def no_stack_traces(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails the test when the server met an error of its own."""
    with caplog.at_level(logging.ERROR, logger="trainshed"):
        yield
    assert [record.getMessage() for record in caplog.records] == []
