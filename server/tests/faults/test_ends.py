"""The other ends of a server: told to stop under load, and a second one beside it on the same data."""

import signal
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import caller_of, check, clients
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
STOP_SECONDS = 10


def test_told_to_stop_under_load(server: LiveServer, tmp_path: Path) -> None:
    for turn in range(times(2, soak=20)):
        with clients(server, tmp_path, turn=turn) as ledgers:
            time.sleep(0.5)
            begin = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - begin < STOP_SECONDS
        server.start()
        with closing(caller_of(server)) as caller:
            assert all(check(caller, ledger) for ledger in ledgers)
    assert "Traceback" not in server.log()


def test_two_servers_on_the_same_data(server: LiveServer, tmp_path: Path) -> None:
    """Both serve it, neither harms it, and what one was told the other knows; the death of one is none of the other's."""
    second = LiveServer(tmp_path / "data")
    second.start()
    try:
        with ExitStack() as stack:
            ledgers = [
                ledger
                for turn, one in enumerate((server, second))
                for ledger in stack.enter_context(clients(one, tmp_path, turn=turn))
            ]
            time.sleep(1)
            server.stop(signal.SIGKILL)
            time.sleep(0.3)
            assert second.stop() == 0
        assert_whole(server.data)
        second.start()
        with closing(caller_of(second)) as caller:
            assert all(check(caller, ledger) for ledger in ledgers)
    finally:
        second.stop(signal.SIGKILL)
