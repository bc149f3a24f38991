"""The events store when it is large: python bench/scale.py [--points 100000000] [--json]

Fills a store through the engine itself, packing beside it as the server does, and compares its figures at the first million
points and at the last. Then a task of ten million points is deleted while another process goes on reporting.
Needs some 10 bytes of disk a point, and a CPU-second a million points.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np

from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.ports.events import ScalarEvent

BATCH, SERIES = 1000, 10  # points of a report, and their series
TASK_POINTS = 1_000_000
EARLY, DELETED = 1_000_000, 10_000_000
PROBE = 300  # reports that are timed
ROUNDS = 7
PACK_SECONDS = 15.0  # as the server does
RETURN_SECONDS = 60.0  # promised


def reports(task: str, points: int) -> Iterator[list[ScalarEvent]]:
    """Noisy curves with jitter in their timestamps, in reports of SERIES series. The list is one and the same every time."""
    chance = np.random.default_rng(len(task))
    events = [ScalarEvent(task=task, metric="loss", variant=f"v{n % SERIES}", value=0.0) for n in range(BATCH)]
    steps = np.repeat(np.arange(BATCH // SERIES), SERIES)
    for start in range(0, points // SERIES, BATCH // SERIES):
        iters = steps + start
        moments = 1_767_225_600_000 + iters * 250 + chance.integers(0, 50, BATCH)
        values = 1 / (iters + 1) + chance.normal(0, 0.01, BATCH)
        for event, *point in zip(events, iters.tolist(), moments.tolist(), values.tolist(), strict=True):
            event.iter, event.timestamp, event.value = point
        yield events


def used_bytes(path: Path) -> int:
    """Of the database's files on the disk."""
    return sum(file.stat().st_blocks * 512 for file in path.parent.glob(path.name + "*"))


def wal_bytes(path: Path) -> int:
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def compact(events: SqliteEvents) -> None:
    while events.compact():
        pass


def milliseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times) * 1000


class Packer:
    """Packs in a thread of its own from start to stop, as the server's job does; notes what it saw."""

    def __init__(self, events: SqliteEvents, path: Path) -> None:
        self._events, self._path = events, path
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.most_tails = self.largest_wal = self.leftover_tails = 0
        self.longest_turn = 0.0

    def __enter__(self) -> "Packer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(PACK_SECONDS):
            self.most_tails = max(self.most_tails, self._tails())
            began = time.perf_counter()
            compact(self._events)
            self.longest_turn = max(self.longest_turn, time.perf_counter() - began)
            self.leftover_tails = self._tails()
            self.largest_wal = max(self.largest_wal, wal_bytes(self._path))

    def _tails(self) -> int:
        with self._events.database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM tail").fetchone()[0])


def probe(events: SqliteEvents, name: str) -> dict[str, float]:
    """What a report and a reading cost at this moment."""
    task = f"probe {name}"
    wall = cpu = 0.0
    for batch in reports(task, PROBE * BATCH):
        began, start = time.perf_counter(), time.process_time()
        events.add(batch)
        wall, cpu = wall + time.perf_counter() - began, cpu + time.process_time() - start
    fresh = milliseconds(lambda: events.scalars(task, metric="loss", variants=["v1"]))
    compact(events)
    return {
        f"{name}: points per CPU-second": PROBE * BATCH / cpu,
        f"{name}: points per second": PROBE * BATCH / wall,
        f"{name}: a series of 30,000 points just reported, ms": fresh,
        f"{name}: the same packed, ms": milliseconds(lambda: events.scalars(task, metric="loss", variants=["v1"])),
        f"{name}: ten series of 30,000 points, ms": milliseconds(lambda: events.scalars(task)),
        f"{name}: last values, ms": milliseconds(lambda: events.stats(task)),
    }


def fill(events: SqliteEvents, path: Path, points: int) -> dict[str, float]:
    """Report by report, packing beside it."""
    began, cpu, slowest, done = time.perf_counter(), time.process_time(), 0.0, 0
    with Packer(events, path) as packer:
        for number in range(max(1, points // TASK_POINTS)):
            for batch in reports(f"task {number}", min(points, TASK_POINTS)):
                start = time.perf_counter()
                events.add(batch)
                slowest = max(slowest, time.perf_counter() - start)
                done += len(batch)
            if number % 10 == 9:
                say(
                    f"{done:,} points, {done / (time.perf_counter() - began):,.0f} a second, {packer.leftover_tails} tails left"
                )
    figures = {
        "filling, packing included: points per second": done / (time.perf_counter() - began),
        "filling, packing included: points per CPU-second": done / (time.process_time() - cpu),
        "slowest report, ms": slowest * 1000,
        "most tails": packer.most_tails,
        "tails after a turn of packing": packer.leftover_tails,
        "longest turn of packing, s": packer.longest_turn,
        "largest write-ahead log, MB": packer.largest_wal / 2**20,
        "most memory of the process, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    compact(events)
    return figures


def report_on(path: str, until: Event, answer: Any) -> None:
    """Report twenty times a second until told to end; answer with how long each took."""
    events, times = SqliteEvents(Path(path), durable=True), []
    for batch in reports("the other", 10**9):
        if until.is_set():
            break
        began = time.perf_counter()
        events.add(batch)
        times.append(time.perf_counter() - began)
        time.sleep(0.05)
    answer.send(times)
    events.close()


def delete(events: SqliteEvents, path: Path) -> dict[str, float]:
    """A task of many points goes while others report; how long each thing takes."""
    context = multiprocessing.get_context("spawn")
    before = used_bytes(path)
    for batch in reports("doomed", DELETED):
        events.add(batch)
    compact(events)
    compact(events)
    full = used_bytes(path)
    until, (here, there) = context.Event(), context.Pipe()
    other = context.Process(target=report_on, args=(str(path), until, there))
    other.start()
    time.sleep(2)
    began = time.perf_counter()
    events.delete(["doomed"])
    answered = time.perf_counter() - began
    compact(events)
    swept = time.perf_counter() - began
    while used_bytes(path) > before + (full - before) * 0.1 and time.perf_counter() - began < RETURN_SECONDS:
        time.sleep(0.1)
    returned, left = time.perf_counter() - began, used_bytes(path)
    until.set()
    times = sorted(here.recv())
    other.join()
    return {
        "delete of 10 million points: MB they took": (full - before) / 2**20,
        "delete: answered, ms": answered * 1000,
        "delete: rows removed, s": swept,
        "delete: nine tenths of the bytes back, s": returned,
        "delete: MB still taken, the other's included": (left - before) / 2**20,
        "delete: the other's slowest report, ms": times[-1] * 1000,
        "delete: the other's median report, ms": times[len(times) // 2] * 1000,
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=100_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.db"
        events = SqliteEvents(path, durable=True)
        fill(events, path, EARLY)
        figures = probe(events, "1 million")
        figures |= fill(events, path, options.points)
        figures["bytes a point"] = used_bytes(path) / (options.points + EARLY + PROBE * BATCH)
        figures |= probe(events, f"{options.points // 10**6} million")
        say("deleting")
        figures |= delete(events, path)
        events.close()
    if options.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:56}{value:14,.1f}")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
