"""A disk that fills up and empties again: writing is refused in clear words, reading and deleting go on, writing comes back."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from trainshed.cli import Exit
from trainshed.testing.disk import Disk, disk
from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import LOW_DISK_SPACE, NO_ROOM, Caller, Refused, caller_of, check, clients, report
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
MIB = 2**20
LEAVE = {"nothing": 0, "a little": 16 * MIB}


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path, megabytes=256) as made:
        yield made


@pytest.fixture
def server(room: Disk) -> Iterator[LiveServer]:
    live = LiveServer(room.path / "data")
    live.start()
    yield live
    live.stop(signal.SIGKILL)


def refused(call: Callable[[], object]) -> tuple[int, int]:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.pair


def new_task(caller: Caller) -> str:
    return str(caller.call("tasks.create", name="a task", type="training")["id"])


def last_iteration(caller: Caller, task: str) -> int:
    return int(caller.call("tasks.get_by_id", task=task)["task"]["last_iteration"])


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
def test_each_kind_of_write(server: LiveServer, room: Disk, leave: int) -> None:
    """Refused while there is no room, done as soon as there is; whatever reads or frees works all the time."""
    upload = bytes(20 * MIB)
    with closing(caller_of(server)) as caller:
        task, doomed, emptied, late = (new_task(caller) for _ in range(4))
        caller.post("events.add_batch", report(task, 0))
        assert last_iteration(caller, task) == 19
        for owner in (doomed, emptied, late):  # their documents do not know of it when the disk is full
            caller.post("events.add_batch", report(owner, 0))
        caller.file("PUT", "/kept", b"content")
        caller.file("PUT", "/doomed", b"content")
        writes: dict[str, Callable[[], object]] = {
            "create": lambda: new_task(caller),
            "edit": lambda: caller.call("tasks.edit", task=task, comment="written"),
            "status": lambda: caller.call("tasks.started", task=task),
            "report": lambda: caller.post("events.add_batch", report(task, 20)),
            "upload": lambda: caller.file("PUT", "/large", upload),
            "replace": lambda: caller.file("PUT", "/kept", upload),
        }
        with room.filled(leave):
            expected = dict.fromkeys(writes, LOW_DISK_SPACE) | dict.fromkeys(("upload", "replace"), NO_ROOM)
            assert {name: refused(write) for name, write in writes.items()} == expected
            found = caller.call("tasks.get_by_id", task=task)["task"]
            assert (found["status"], found.get("comment", ""), found["last_iteration"]) == ("created", "", 19)
            assert caller.call("events.get_task_log", task=task)["total"] == 1
            assert len(caller.call("events.scalar_metrics_iter_histogram", task=task)["m"]["a"]["x"]) == 20
            assert len(caller.call("tasks.get_all", only_fields=["id"])["tasks"]) == 4
            assert caller.file("GET", "/kept") == b"content"
            assert refused(lambda: caller.file("GET", "/large"))[0] == 404
            with closing(caller_of(server)) as newcomer:  # logging in is reading
                newcomer.call("users.get_current_user")
            caller.file("DELETE", "/doomed")
            if leave:
                caller.call("tasks.delete", task=doomed, force=True)
                caller.call("events.delete_for_task", task=emptied)
            assert list((server.data / "files" / ".trainshed-incoming").iterdir()) == []
        for write in writes.values():
            write()
        assert caller.file("GET", "/kept") == upload
        found = caller.call("tasks.get_by_id", task=task)["task"]
        assert (found["status"], found["comment"], found["last_iteration"]) == ("in_progress", "written", 39)
        assert last_iteration(caller, late) == 19
    server.stop()
    assert "Traceback" not in server.log()
    assert_whole(server.data)


def test_it_fills_and_empties_under_load(server: LiveServer, room: Disk, tmp_path: Path) -> None:
    for turn in range(times(1, soak=10)):
        with clients(server, tmp_path, turn=turn) as ledgers:
            for leave in (0, 40 * MIB, 0):
                time.sleep(0.3)
                with room.filled(leave):
                    time.sleep(0.3)
                    with closing(caller_of(server)) as caller:
                        caller.call("tasks.get_all_ex", size=1)
            time.sleep(0.3)
            sizes = [ledger.stat().st_size for ledger in ledgers]
            time.sleep(0.5)
            assert all(ledger.stat().st_size > size for ledger, size in zip(ledgers, sizes, strict=True)), "stuck"
            assert server.stop() == 0
        server.start()
        assert_whole(server.data)
        with closing(caller_of(server)) as caller:
            assert all(check(caller, ledger) for ledger in ledgers)


@pytest.mark.parametrize(
    ("leave", "how"), [(0, signal.SIGTERM), (MIB, signal.SIGKILL)], ids=["nothing, stopped", "a little, killed"]
)
def test_a_start_with_little_room(server: LiveServer, room: Disk, leave: int, how: signal.Signals) -> None:
    """It serves what there is, and writes as soon as there is room: nobody starts it again."""
    with closing(caller_of(server)) as caller:
        task = new_task(caller)
        caller.file("PUT", "/kept", b"content")
    server.stop(how)
    with room.filled(leave):
        server.start()
        with closing(caller_of(server)) as caller:
            assert caller.call("tasks.get_by_id", task=task)["task"]["id"] == task
            assert caller.file("GET", "/kept") == b"content"
            assert refused(lambda: new_task(caller)) == LOW_DISK_SPACE
            if leave:
                caller.call("tasks.delete", task=task, force=True)
    with closing(caller_of(server)) as caller:
        new_task(caller)


def test_a_first_start_without_room(room: Disk) -> None:
    """Refused in one line, and nothing is left that a later start would stumble over."""
    live = LiveServer(room.path / "data")
    flags = [f"--{name}-port={port}" for name, port in live.ports.items()]
    command = [sys.executable, "-m", "trainshed", "serve", f"--data-dir={live.data}", *flags]
    with room.filled(0):
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == Exit.NO_SPACE
    assert ended.stderr.startswith(f"trainshed: no space is left for {live.data}\n")
    live.start()
    assert live.stop() == 0
