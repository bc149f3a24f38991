"""`kill -9` at random moments: what was acknowledged is there, the databases are whole, and nobody lends a hand."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.ports.events import LogEvent, ScalarEvent
from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import caller_of, check, clients
from trainshed.testing.process import cpu_seconds
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
READY_CPU_SECONDS = 3  # of the processor: twice the usual, and the machine of the tests may be busy
REPORTS = 60  # of a thousand points: some tenths of a second to pack


def started_in_time(server: LiveServer) -> float:
    """Start it; how long that took, by the processor."""
    server.start()
    seconds = cpu_seconds(server.pid)
    assert seconds < READY_CPU_SECONDS
    return seconds


def test_under_load(server: LiveServer, tmp_path: Path) -> None:
    chance = random.Random(1)
    acknowledged, slowest = 0, 0.0
    for turn in range(times(4, soak=60)):
        with clients(server, tmp_path, turn=turn) as ledgers:
            time.sleep(chance.uniform(0, 1.5))
            server.stop(signal.SIGKILL)
        slowest = max(slowest, started_in_time(server))
        assert_whole(server.data)
        with closing(caller_of(server)) as caller:
            acknowledged += sum(check(caller, ledger) for ledger in ledgers)
    with closing(caller_of(server)) as caller:  # later rounds took nothing from those before
        for ledger in tmp_path.glob("ledger-*"):
            check(caller, ledger)
    server.stop()
    assert "Traceback" not in server.log()
    print(f"{acknowledged} calls acknowledged, costliest start {slowest:.2f} s of the processor")


def test_at_the_first_start(tmp_path: Path) -> None:
    """Whenever it dies, the next start ends with a server, keys that work and a queue."""
    chance = random.Random(2)
    for turn in range(times(6, soak=50)):
        server = LiveServer(tmp_path / f"data{turn}")
        process = server.launch()
        while not (server.data / "documents.db").exists():
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.wait()
        server.start()
        assert server.call("queues.get_all")["queues"], server.log()
        assert_whole(server.data)
        server.stop()


# They say a line when they begin, and DELETE another one when the call returned.
COMPACT = """
import sys, pathlib
from trainshed.adapters.sqlite.events.store import SqliteEvents
events = SqliteEvents(pathlib.Path(sys.argv[1]))
print(flush=True)
while events.compact():
    pass
"""
DELETE = """
import sys, pathlib
from trainshed.adapters.sqlite.events.store import SqliteEvents
events = SqliteEvents(pathlib.Path(sys.argv[1]))
print(flush=True)
events.delete(["big"])
print(flush=True)
while events.compact():
    pass
"""


def killed(script: str, path: Path, seconds: float) -> int:
    """Run the script on the database, kill it so long after it began; how many lines it said."""
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        return 1 + len(process.stdout.readlines())


def fill(events: SqliteEvents, owner: str) -> None:
    for report in range(REPORTS):
        iterations = range(report * 100, report * 100 + 100)
        points = [
            ScalarEvent(task=owner, metric="m", variant=f"v{v}", iter=i, value=float(i), timestamp=i)
            for i in iterations
            for v in range(10)
        ]
        events.add([*points, LogEvent(task=owner, msg="line " * 50, timestamp=report)])


def is_filled(events: SqliteEvents, owner: str) -> bool:
    curves = [series.values.tolist() for series in events.scalars(owner)]
    return curves == [[float(i) for i in range(REPORTS * 100)]] * 10 and events.logs(owner, limit=1).total == REPORTS


def compact_fully(events: SqliteEvents) -> None:
    while events.compact():
        pass


def test_during_compaction(tmp_path: Path) -> None:
    chance = random.Random(3)
    owners = [f"task {turn}" for turn in range(times(3, soak=50))]
    for owner in owners:
        with closing(SqliteEvents(tmp_path / "events.db", durable=False)) as events:
            fill(events, owner)
        killed(COMPACT, tmp_path / "events.db", chance.uniform(0, 0.2))
        assert_whole(tmp_path, ("events.db",))
    with closing(SqliteEvents(tmp_path / "events.db")) as events:
        assert all(is_filled(events, owner) for owner in owners)
        compact_fully(events)
        assert all(is_filled(events, owner) for owner in owners)


def test_during_the_deletion_of_a_big_task(tmp_path: Path) -> None:
    chance = random.Random(4)
    for _ in range(times(3, soak=50)):
        with closing(SqliteEvents(tmp_path / "events.db", durable=False)) as events:
            fill(events, "big")
            if not events.scalars("kept"):
                fill(events, "kept")
        said = killed(DELETE, tmp_path / "events.db", chance.uniform(0, 0.2))
        assert_whole(tmp_path, ("events.db",))
        with closing(SqliteEvents(tmp_path / "events.db")) as events:
            is_gone = not events.scalars("big") and not events.logs("big", limit=1).total and not events.stats("big")
            assert is_gone or (said == 1 and is_filled(events, "big"))
            events.delete(["big"])
            compact_fully(events)
            assert is_filled(events, "kept")
        with closing(sqlite3.connect(tmp_path / "events.db")) as database:
            assert database.execute("SELECT count(*) FROM log").fetchone() == (REPORTS,)
