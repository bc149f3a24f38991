"""Lost power: the process dies and so does what no fsync brought to the disk. A file system of its own is shut down for that."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.domain.errors import NotFound
from trainshed.testing.disk import Disk, disk
from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import caller_of, check, clients
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults


@pytest.fixture
def power(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path, megabytes=1024) as made:  # for all that fifty turns upload
        yield made


def test_a_cut_loses_what_was_not_synced(power: Disk) -> None:
    """What the other tests stand on."""
    for name, is_synced in (("lost", False), ("kept", True)):
        with (power.path / name).open("wb") as file:
            file.write(b"content")
            file.flush()
            if is_synced:
                os.fsync(file.fileno())
    (power.path / "late").write_bytes(b"content")
    power.cut_power()
    power.unmount()
    power.mount()
    assert (power.path / "kept").read_bytes() == b"content"
    assert not (power.path / "late").exists()
    assert (power.path / "lost").read_bytes() == b""


def test_a_deleted_file_does_not_come_back(power: Disk) -> None:
    blobs = FileBlobs(power.path / "files")
    for key in ("a/b", "a/c", "d"):
        blobs.put(key, [b"content"])
    for key in ("a/b", "d"):
        blobs.delete(key)
    power.cut_power()
    power.unmount()
    power.mount()
    after = FileBlobs(power.path / "files")
    for key in ("a/b", "d"):
        with pytest.raises(NotFound):
            after.info(key)
    assert after.info("a/c").size == len(b"content")


def test_power_is_cut_under_load(power: Disk, tmp_path: Path) -> None:
    chance = random.Random(5)
    server = LiveServer(power.path / "data")
    server.start()
    acknowledged = 0
    try:
        for turn in range(times(3, soak=50)):
            with clients(server, tmp_path, turn=turn) as ledgers:
                time.sleep(chance.uniform(0, 1.5))
                # First: a sync that ends while the journal is given up may be told of success, and a server that has
                # outlived its power would pass that on.
                server.freeze()
                power.cut_power()
                server.stop(signal.SIGKILL)
            power.unmount()
            power.mount()
            server.start()
            assert_whole(server.data)
            with closing(caller_of(server)) as caller:
                acknowledged += sum(check(caller, ledger) for ledger in ledgers)
    finally:
        server.stop(signal.SIGKILL)
    print(f"{acknowledged} calls acknowledged")
