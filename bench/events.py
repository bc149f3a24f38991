"""Figures of the embedded events store: what a CPU-second takes in, what a point weighs, how fast a series is read.

    .venv/bin/python bench/events.py [--points 1000000] [--json]

CPU-seconds are the process's own, so that they hold on a busy machine; milliseconds are the best of several tries.
"""

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.ports.events import ScalarEvent

TASKS = 10  # that report in turn
READ_POINTS = 100_000
TRIES = 5


class Shape(NamedTuple):
    """How a task reports: `batch` events a call, of `series` series."""

    batch: int
    series: int


SHAPES = {
    "1,000 events of 10 series a call": Shape(1000, 10),
    "1,000 events of 1,000 series a call": Shape(1000, 1000),
    "10 events of 10 series a call": Shape(10, 10),
}


class Ingest(msgspec.Struct, frozen=True):
    """points_per_cpu_s: by add() alone. ms_worst_add: by the wall clock. bytes: a point, free pages not counted."""

    points_per_cpu_s: int
    ms_per_add: float
    ms_worst_add: float
    compacted_points_per_cpu_s: int
    bytes_before: float
    bytes_after: float


class Read(msgspec.Struct, frozen=True):
    """Milliseconds by the wall clock for all points of one series, in tails and in chunks, and for its stats."""

    tails_ms: float
    chunks_ms: float
    stats_ms: float


def batches(points: int, shape: Shape, tasks: int = TASKS) -> Iterator[list[ScalarEvent]]:
    """Reports of noisy curves, as a trainer makes them: full 64-bit floats, timestamps with jitter."""
    noise = random.Random(1)
    iterations = shape.batch // shape.series
    for number in range(points // shape.batch):
        start = number // tasks * iterations
        yield [
            ScalarEvent(
                task=f"{number % tasks:032x}",
                iter=iteration,
                timestamp=1_700_000_000_000 + iteration * 250 + noise.randrange(50),
                metric="loss",
                variant=f"v{series}",
                value=math.exp(-iteration / 1e4) + noise.gauss(0, 0.01),
            )
            for iteration in range(start, start + iterations)
            for series in range(shape.series)
        ]


def compact(events: SqliteEvents) -> None:
    """Until nothing is left to do."""
    while events.compact():
        pass


def ingest(folder: Path, points: int, shape: Shape, *, durable: bool) -> Ingest:
    """Write the points report by report, then compact."""
    events, cpu, worst = SqliteEvents(folder / "events.db", durable=durable), 0.0, 0.0
    for batch in batches(points, shape):
        wall, start = time.perf_counter(), time.process_time()
        events.add(batch)
        cpu += time.process_time() - start
        worst = max(worst, time.perf_counter() - wall)
    before, start = used_bytes(events), time.process_time()
    compact(events)
    compacting = time.process_time() - start
    after = used_bytes(events)
    events.close()
    return Ingest(
        points_per_cpu_s=round(points / cpu),
        ms_per_add=round(cpu / (points // shape.batch) * 1e3, 3),
        ms_worst_add=round(worst * 1e3, 1),
        compacted_points_per_cpu_s=round(points / compacting),
        bytes_before=round(before / points, 1),
        bytes_after=round(after / points, 1),
    )


def used_bytes(events: SqliteEvents) -> int:
    """Of the file, without the free pages that the next events will take."""
    with events.database.read() as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def best_ms(action: Callable[[], object]) -> float:
    """The shortest of TRIES."""
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(min(times) * 1e3, 2)


def read(folder: Path) -> Read:
    """Read one long series, fresh and compacted."""
    events = SqliteEvents(folder / "events.db", durable=False)
    for batch in batches(READ_POINTS, Shape(1000, 1), tasks=1):
        events.add(batch)
    (owner,) = {event.task for event in batch}
    tails = best_ms(lambda: events.scalars(owner))
    compact(events)
    chunks = best_ms(lambda: events.scalars(owner))
    stats = best_ms(lambda: events.stats(owner))
    events.close()
    return Read(tails_ms=tails, chunks_ms=chunks, stats_ms=stats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000, help="of each shape; few events a call get a tenth")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    for name, shape in SHAPES.items():
        for durable in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                points = arguments.points if shape.batch >= 100 else arguments.points // 10
                figures = ingest(Path(folder), points, shape, durable=durable)
            results[f"{name}, {'durable' if durable else 'not durable'}"] = msgspec.to_builtins(figures)
    with tempfile.TemporaryDirectory() as folder:
        results[f"one series of {READ_POINTS:,} points"] = msgspec.to_builtins(read(Path(folder)))
    print(json.dumps(results, indent=2) if arguments.json else table(results))


def table(results: dict[str, dict[str, float]]) -> str:
    """A line for each figure under its heading."""
    lines = []
    for name, figures in results.items():
        lines += [name, *(f"  {key:28} {value:>12,}" for key, value in figures.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
