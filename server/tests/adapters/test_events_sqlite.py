"""SQLite keeps the Events contract, and what only it has to keep: crashes, several processes, a full disk, space."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trainshed.adapters.sqlite.events import compaction, records, store, stretches, sweeping
from trainshed.adapters.sqlite.events.points import Points, decode, encode
from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.domain.errors import StoreFull
from trainshed.ports.events import AnyEvent, Events, Note, Place
from trainshed.testing.events_conformance import (
    OTHER,
    TASK,
    EventsConformance,
    curve,
    log,
    messages,
    plot,
    points,
    scalar,
)
from trainshed.testing.soak import KILLS


class TestSqliteEvents(EventsConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Callable[[], Events]:
        return lambda: SqliteEvents(tmp_path / "events.db", durable=False)


class AlwaysCompact(SqliteEvents):
    """Compacts at every moment: no answer may change."""

    def add(self, events: Iterable[AnyEvent], notes: Iterable[Note] = ()) -> None:
        super().add(events, notes)
        compact_fully(self)


class TestCompactedSqliteEvents(EventsConformance):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Callable[[], Events]:
        return lambda: AlwaysCompact(tmp_path / "events.db", durable=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def events(path: Path) -> Iterator[SqliteEvents]:
    events = SqliteEvents(path, durable=False)
    yield events
    events.close()


def test_what_is_noted_has_reached_the_disk(path: Path) -> None:
    """Else a document would know of events that are gone after a loss of power."""
    synced: list[int] = []
    events = SqliteEvents(path, sync=synced.append)
    events.add([scalar(1, 1.0)], [Note(TASK, False, "a", 1)])
    before = len(synced)
    assert list(events.noted([TASK], first=1)) == [TASK]
    assert len(synced) == before + 1
    events.close()


def compact_fully(events: SqliteEvents) -> None:
    while events.compact():
        pass


def pragma(events: SqliteEvents, name: str) -> int:
    with events.database.write() as connection:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def chunk_sizes(events: SqliteEvents) -> list[int]:
    with events.database.read() as connection:
        return [count for (count,) in connection.execute("SELECT count FROM chunk ORDER BY id")]


def steps(start: int, count: int, *, seed: int = 0) -> list[AnyEvent]:
    """A noisy curve with full floats and jitter, as one is reported."""
    noise = random.Random(start + seed)
    return [
        scalar(i, noise.gauss(1, 0.1), timestamp=1_700_000_000_000 + i * 250 + noise.randrange(50))
        for i in range(start, start + count)
    ]


# --- crashes and processes

WRITER = """
import sys
from pathlib import Path
from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.ports.events import LogEvent, ScalarEvent

path, task, adds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
events = SqliteEvents(path, durable=True)
for number in range(adds):
    events.add(
        [ScalarEvent(task=task, metric="m", variant=variant, iter=number, value=number) for variant in "ab"]
        + [ScalarEvent(task="shared", metric="m", variant=task, iter=number, value=number)]
        + [LogEvent(task=task, timestamp=number, msg=str(number))]
    )
    print(number, flush=True)
    if number % 7 == 0:
        events.compact()
"""


def start_writer(path: Path, task: str, adds: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), task, str(adds)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("repetition", range(KILLS))
def test_what_was_acknowledged_survives_kill_9(path: Path, repetition: int) -> None:
    with start_writer(path, TASK, 10**9) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(random.Random(repetition).randrange(1, 100))]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    acknowledged = len(told)
    events = SqliteEvents(path)
    written = len(messages(events, limit=10**9))
    assert written in (acknowledged, acknowledged + 1)  # the last one may have been killed before it told
    expected = [(number, 0, float(number)) for number in range(written)]
    assert points(events.scalars(TASK)) == {("m", "a"): expected, ("m", "b"): expected}
    assert [stats.count for stats in events.stats(TASK)] == [written, written]
    compact_fully(events)
    assert points(events.scalars("shared")) == {("m", TASK): expected}
    events.close()


def test_processes_share_a_database(path: Path, events: SqliteEvents) -> None:
    writers = [start_writer(path, task, 60) for task in (TASK, OTHER)]
    for writer in writers:
        with writer:
            assert writer.stdout is not None
            writer.stdout.read()
        assert writer.returncode == 0
    compact_fully(events)
    expected = [(number, 0, float(number)) for number in range(60)]
    assert points(events.scalars("shared")) == {("m", TASK): expected, ("m", OTHER): expected}
    assert points(events.scalars(TASK)) == {("m", "a"): expected, ("m", "b"): expected}
    assert [stats.count for owner in (TASK, OTHER, "shared") for stats in events.stats(owner)] == [60] * 6


def test_remembered_names_stay_right_beside_another_process(path: Path, events: SqliteEvents) -> None:
    other = SqliteEvents(path, durable=False)
    other.add([scalar(1, 1.0)])
    events.add([scalar(2, 2.0), scalar(1, 1.0, metric="new")])
    other.add([scalar(3, 3.0), scalar(2, 2.0, metric="new")])
    assert points(events.scalars(TASK)) == {
        ("loss", "train"): [(1, 1001, 1.0), (2, 1002, 2.0), (3, 1003, 3.0)],
        ("new", "train"): [(1, 1001, 1.0), (2, 1002, 2.0)],
    }
    events.delete([TASK])
    other.add([scalar(4, 4.0)])
    events.add([scalar(5, 5.0)])
    assert curve(events) == {4: 4.0, 5: 5.0}
    assert [stats.count for stats in events.stats(TASK)] == [2]
    other.close()


# --- a full disk


def test_a_full_disk_stops_writing_only(events: SqliteEvents) -> None:
    events.add(steps(0, 100))
    before = curve(events)
    pragma(events, "max_page_count = 1")  # SQLite takes the present size for it
    with pytest.raises(StoreFull):
        events.add([log(1, "x"), scalar(1, 0.0, task=OTHER), scalar(1, 0.0, metric="new"), *steps(0, 10_000)])
    assert curve(events) == before
    assert events.logs(TASK, limit=1).total == 0
    assert events.stats(OTHER) == []
    pragma(events, "max_page_count = 1000000")
    events.add([scalar(-1, 1.0), log(-1, "again"), scalar(1, 2.0, metric="new")])
    assert curve(events, metric="loss")[-1] == 1.0
    assert curve(events, metric="new") == {1: 2.0}
    assert messages(events, limit=1, earlier=False) == ["again"]


def test_a_disk_that_is_nearly_full_has_room_for_reading_and_deleting(path: Path) -> None:
    events = SqliteEvents(path, durable=False)
    events.add([*steps(0, 100), scalar(1, 1.0, task=OTHER)])
    events.close()
    full = SqliteEvents(path, durable=False, reserve=2**62)
    with pytest.raises(StoreFull):
        full.add([scalar(1, 1.0)])
    compact_fully(full)
    assert len(curve(full)) == 100
    full.delete([TASK])
    assert full.stats(TASK) == []
    assert len(full.stats(OTHER)) == 1
    full.close()


def test_a_full_disk_leaves_compaction_for_later(events: SqliteEvents) -> None:
    for start in range(0, 20_000, 1000):
        events.add(steps(start, 1000))
    before = points(events.scalars(TASK))
    pragma(events, "max_page_count = 1")
    with pytest.raises(StoreFull):
        events.add(plot(number, f"{random.Random(number).random()}" * 10_000) for number in range(100))
    compact_fully(events)  # tails give back more than the chunks take
    assert points(events.scalars(TASK)) == before
    events.add([scalar(-1, 1.0)])


# --- space


def test_files_are_private(events: SqliteEvents, path: Path) -> None:
    events.add([scalar(1, 1.0)])
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_point_weighs_little_after_compaction(events: SqliteEvents) -> None:
    for start in range(0, 50_000, 1000):
        events.add(steps(start, 1000))
    compact_fully(events)
    used = (pragma(events, "page_count") - pragma(events, "freelist_count")) * pragma(events, "page_size")
    assert used / 50_000 <= 16


@pytest.mark.parametrize("packed", [0, 10_000, 20_000], ids=["tails", "both", "chunks"])
def test_what_an_owner_had_goes_back_to_the_file_system(events: SqliteEvents, packed: int) -> None:
    def used() -> int:
        return pragma(events, "page_count") - pragma(events, "freelist_count")

    events.add([scalar(1, 1.0, task=OTHER), plot(1, "x" * 9999, task=OTHER)])
    empty, before = used(), points(events.scalars(OTHER))
    for start in range(0, 20_000, 1000):
        if start == packed:
            compact_fully(events)
        events.add([*steps(start, 1000), log(start, f"{start}" * 1000), plot(start, f"{start}" * 1000)])
    if packed:
        compact_fully(events)
    pages, taken = pragma(events, "page_count"), used()
    events.delete([TASK])
    compact_fully(events)
    assert used() <= empty + 1  # the page of the packed points of the other one
    assert pages - pragma(events, "page_count") >= taken - empty - 1
    assert points(events.scalars(OTHER)) == before
    assert events.samples(OTHER, "plot") == [plot(1, "x" * 9999, task=OTHER)]


def test_a_deleted_owner_is_gone_before_its_rows_are(events: SqliteEvents, path: Path) -> None:
    events.add([*steps(0, 100), log(1, "old"), plot(1, "old")])
    events.delete([TASK])
    events.add([scalar(7, 7.0)])
    events.delete([OTHER])
    events.close()
    again = SqliteEvents(path, durable=False)
    assert curve(again) == {7: 7.0}
    assert again.samples(TASK, "plot") == []
    assert messages(again, limit=1) == []
    compact_fully(again)
    assert curve(again) == {7: 7.0}
    with again.database.read() as connection:
        rows = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("owner", "series", "figures", "chunk", "tail", "sample", "log", "doomed")
        ]
    assert rows == [1, 1, 1, 1, 0, 0, 0, 0]
    again.close()


def test_pages_that_nobody_needs_go_back(events: SqliteEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_SPARE_BYTES", 2**18)
    for start in range(0, 40_000, 20_000):
        events.add(steps(start, 20_000))
    compact_fully(events)
    assert pragma(events, "freelist_count") > 128  # the next tails will take them
    compact_fully(events)
    assert pragma(events, "freelist_count") == 64


def test_a_large_owner_is_removed_in_several_steps(
    events: SqliteEvents, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_STEP_BYTES", 2**16)
    for start in range(0, 20_000, 1_000):
        events.add(steps(start, 1_000))
    events.delete([TASK])
    sizes = [pragma(events, "page_count")]
    while events.compact():
        sizes.append(pragma(events, "page_count"))
    assert len(sizes) > 4
    assert sorted(sizes, reverse=True) == sizes
    events.close()
    assert path.stat().st_size < 2**17


# --- points as bytes


@pytest.mark.parametrize("count", [1, 2, 4095, 4096, 10_000])
@pytest.mark.parametrize("span", [(0, 5), (-300, 300), (2**40, 2**40 + 9), (-(2**63), 2**63 - 1)], ids=str)
def test_points_keep_every_bit(count: int, span: tuple[int, int]) -> None:
    chance = np.random.default_rng(count)
    columns = Points(
        np.sort(chance.integers(*span, count)), chance.integers(*span, count), chance.normal(0, 1e9, count)
    )
    for found, right in zip(decode(encode(columns), count), columns, strict=True):
        assert found.dtype == right.dtype
        assert found.tobytes() == right.tobytes()


# --- pages


def counted(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[int]:
    """The calls of a function of a module, each by a 1."""
    calls: list[int] = []
    function = getattr(module, name)

    def call(*arguments: Any) -> Any:
        calls.append(1)
        return function(*arguments)

    monkeypatch.setattr(module, name, call)
    return calls


def test_a_page_reads_only_the_chunks_that_it_shows(events: SqliteEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_CHUNK_POINTS", 100)
    for start in range(0, 3000, 100):
        events.add(steps(start, 100))
        compact_fully(events)
    assert len(chunk_sizes(events)) == 30
    decoded = counted(monkeypatch, stretches, "decode")
    (series,) = events.scalars(TASK, above=1549, limit=60)
    assert series.iters.tolist() == list(range(1550, 1610))
    assert len(decoded) == 2
    decoded.clear()
    after = Place(series.timestamps[-1], "loss", "train", 1609)
    for descending, iterations in ((False, range(1610, 1650)), (True, range(1608, 1568, -1))):
        page = events.timeline(TASK, "training_stats_scalar", after=after, descending=descending, limit=40)
        assert [event.iter for event in page.events] == list(iterations)
        assert page.total == 3000
    assert len(decoded) <= 4


def test_a_page_of_plots_reads_only_those(events: SqliteEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    events.add(plot(i, "figure", variant=f"v{i % 7}") for i in range(500))
    unpacked = counted(monkeypatch, records, "unpack")
    assert [event.iter for event in events.timeline(TASK, "plot", limit=3).events] == [0, 7, 14]
    assert events.sample_names(TASK, "plot")[0] == ("figure", "v0", 497)
    assert len(unpacked) == 3


# --- compaction


def test_reports_in_order_leave_few_chunks(events: SqliteEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_CHUNK_POINTS", 2**12)
    for start in range(0, 12_500, 50):
        events.add(steps(start, 50))
        compact_fully(events)
    sizes = chunk_sizes(events)
    assert sum(sizes) == 12_500
    assert len(sizes) <= 15
    assert max(sizes) <= 2**12


def test_a_small_report_does_not_rewrite_a_large_chunk(events: SqliteEvents) -> None:
    events.add(steps(0, 10_000))
    for start in (10_000, 5_000):
        compact_fully(events)
        events.add(steps(start, 100))
    compact_fully(events)
    assert chunk_sizes(events) == [10_000, 200]


def test_overwritten_points_are_dropped(events: SqliteEvents) -> None:
    for seed in range(40):
        events.add(steps(0, 2000, seed=seed))
        compact_fully(events)
    assert sum(chunk_sizes(events)) <= 4 * 2000
    assert curve(events) == {event.iter: event.value for event in steps(0, 2000, seed=39)}  # type: ignore[union-attr]  # all are scalars


def test_reports_in_any_order_stay_bounded(events: SqliteEvents) -> None:
    order = list(range(20_000))
    random.Random(1).shuffle(order)
    for start in range(0, 20_000, 100):
        events.add(scalar(iteration, iteration) for iteration in order[start : start + 100])
        compact_fully(events)
    assert len(chunk_sizes(events)) <= 12
    assert curve(events) == {iteration: float(iteration) for iteration in range(20_000)}


def test_a_long_backlog_is_packed_in_several_steps(events: SqliteEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_STEP_BYTES", 2**17)
    for start in range(0, 18_750, 1250):
        events.add(steps(start, 1250))
    count = 0
    while events.compact():
        count += 1
    assert 3 <= count <= 10


@pytest.mark.parametrize("rival", ["delete", "compact"])
def test_a_step_whose_sources_went_away_changes_nothing(events: SqliteEvents, rival: str) -> None:
    events.add(steps(0, 10))
    with events.database.read() as connection:
        packing = compaction.prepare(connection)
    assert packing is not None
    if rival == "delete":
        events.delete([TASK])
    compact_fully(events)
    events.add([scalar(100, 1.0), scalar(3, 3.0)])
    before = points(events.scalars(TASK))
    with pytest.raises(compaction.Outdated), events.database.write() as connection:
        compaction.apply(connection, packing)
    assert points(events.scalars(TASK)) == before
