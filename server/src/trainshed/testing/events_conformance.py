"""What every Events engine must do: one test for each sentence of the port.

An adapter binds it by a subclass with a fixture `engine` that gives a function opening one and the same store:

    class TestMyEvents(EventsConformance):
        @pytest.fixture
        def engine(self, tmp_path: Path) -> Callable[[], Events]:
            return lambda: MyEvents(tmp_path / "events")
"""

import string
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args
from uuid import uuid4

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainshed.adapters.memory.events import MemoryEvents
from trainshed.ports.events import (
    SINGLE_VALUE,
    AnyEvent,
    EventKind,
    Events,
    ImageEvent,
    LogEvent,
    Note,
    Place,
    PlotEvent,
    Sample,
    SampleKind,
    ScalarEvent,
    Series,
    SeriesStats,
    VectorEvent,
)

Engine = Callable[[], Events]

TASK, OTHER, MODEL = "1" * 32, "2" * 32, "3" * 32
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
ODD_NAMES = [
    "",
    " ",
    ".",
    "a.b",
    "a/b",
    '"quoted"',
    "it's",
    "%_*?",
    "nul\0inside",
    "é",
    "e\u0301",
    "☃",
    "🚂",
    "x" * 10_000,
]
MEAN_TOLERANCE = 1e-9


def scalar(
    iteration: int, value: float, *, task: str = TASK, metric: str = "loss", variant: str = "train", **rest: Any
) -> ScalarEvent:
    """A point. A timestamp that is not given follows from the iteration."""
    rest.setdefault("timestamp", 1000 + iteration % 1000)
    return ScalarEvent(task=task, iter=iteration, value=value, metric=metric, variant=variant, **rest)


def log(timestamp: int, msg: str, *, task: str = TASK) -> LogEvent:
    """A console event."""
    return LogEvent(task=task, timestamp=timestamp, msg=msg)


def plot(iteration: int, figure: str, *, task: str = TASK, metric: str = "figure", variant: str = "a") -> PlotEvent:
    """A plot."""
    return PlotEvent(task=task, iter=iteration, plot_str=figure, metric=metric, variant=variant)


def points(series: list[Series]) -> dict[tuple[str, str], list[tuple[int, int, float]]]:
    """The series as plain values: name -> [(iteration, timestamp, value)]."""
    return {
        (one.metric, one.variant): list(
            zip(one.iters.tolist(), one.timestamps.tolist(), one.values.tolist(), strict=True)
        )
        for one in series
    }


def curve(events: Events, **choice: Any) -> dict[int, float]:
    """Iteration -> value of the task's only series."""
    (series,) = events.scalars(TASK, **choice)
    return dict(zip(series.iters.tolist(), series.values.tolist(), strict=True))


def messages(events: Events, **choice: Any) -> list[str]:
    """The messages of a page of the task's console."""
    return [event.msg for event in events.logs(TASK, **choice).events]


def assert_same_stats(found: list[SeriesStats], expected: list[SeriesStats]) -> None:
    """Equal, but for the rounding of the means."""
    assert [msgspec.structs.replace(one, mean_value=0) for one in found] == [
        msgspec.structs.replace(one, mean_value=0) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        largest = max(abs(one.min_value), abs(one.max_value))
        assert one.mean_value == pytest.approx(other.mean_value, rel=MEAN_TOLERANCE, abs=MEAN_TOLERANCE * largest)


def assert_same_answers(found: Events, expected: Events, owner: str) -> None:
    """Both engines tell the same about the owner, as far as their methods go."""
    assert_same_stats(found.stats(owner), expected.stats(owner))
    for single in (False, True):
        assert points(found.scalars(owner, single=single)) == points(expected.scalars(owner, single=single))
    kinds: list[SampleKind] = ["plot", "training_debug_image", "training_stats_vector"]
    for kind in kinds:
        assert found.samples(owner, kind) == expected.samples(owner, kind)
        newest = [engine.samples(owner, kind, last_iterations=1, within=(-1, 2)) for engine in (found, expected)]
        assert newest[0] == newest[1]
        assert found.sample_names(owner, kind) == expected.sample_names(owner, kind)
        assert found.metrics(owner, kind) == expected.metrics(owner, kind)
    for above, limit in ((None, 2), (1, 2), (3, None), (INT64_MAX, 1)):
        assert points(found.scalars(owner, above=above, limit=limit)) == points(
            expected.scalars(owner, above=above, limit=limit)
        )
    for one in get_args(EventKind):
        for descending in (False, True):
            assert_same_timelines(found, expected, owner, one, descending=descending)
    assert found.metrics(owner, "training_stats_scalar") == expected.metrics(owner, "training_stats_scalar")
    for earlier in (False, True):
        pages = [engine.logs(owner, limit=2, earlier=earlier, from_timestamp=2) for engine in (found, expected)]
        assert pages[0] == pages[1]
    assert found.logs(owner, limit=10**6) == expected.logs(owner, limit=10**6)


def assert_same_timelines(found: Events, expected: Events, owner: str, kind: EventKind, *, descending: bool) -> None:
    """Page by page, and from places that no event has."""
    whole = expected.timeline(owner, kind, descending=descending, limit=10**6)
    after, pages = None, list[ScalarEvent | Sample]()
    while page := found.timeline(owner, kind, descending=descending, limit=3, after=after).events:
        pages += page
        after = Place(page[-1].timestamp, page[-1].metric, page[-1].variant, page[-1].iter)
    assert pages == whole.events
    for moment, name, iteration in ((2, "x", 2), (3, "x", INT64_MAX + 1 if descending else INT64_MIN - 1)):
        place = Place(moment, name, "x", iteration)
        answers = [
            engine.timeline(owner, kind, metric="x", descending=descending, limit=4, after=place)
            for engine in (found, expected)
        ]
        assert answers[0] == answers[1]


_OWNERS = st.sampled_from(["a", "b"])
_NAMES = st.sampled_from(["", "x", "y"])
_ITERATIONS = st.one_of(st.integers(-2, 6), st.sampled_from([SINGLE_VALUE, INT64_MIN, INT64_MAX]))
_COMMON: dict[str, st.SearchStrategy[Any]] = {
    "task": _OWNERS,
    "metric": _NAMES,
    "variant": _NAMES,
    "iter": _ITERATIONS,
    "timestamp": st.one_of(st.integers(0, 4), st.sampled_from([INT64_MIN, INT64_MAX])),
    "model_event": st.booleans(),
}
_VALUES = st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(string.ascii_letters, max_size=3)
_EVENTS: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(ScalarEvent, **_COMMON, value=_VALUES, x_axis_label=st.none() | _TEXTS),
    st.builds(VectorEvent, **_COMMON, values=st.lists(_VALUES, max_size=3)),
    st.builds(LogEvent, **_COMMON, msg=_TEXTS, level=st.none() | _TEXTS, worker=st.none() | _TEXTS),
    st.builds(PlotEvent, **_COMMON, plot_str=_TEXTS, skip_validation=st.none() | st.booleans()),
    st.builds(ImageEvent, **_COMMON, url=_TEXTS, key=st.none() | _TEXTS),
)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(_EVENTS, max_size=12)),
        st.tuples(st.just("delete"), st.lists(_OWNERS, max_size=2)),
        st.tuples(st.just("compact"), st.none()),
    ),
    max_size=12,
)


def _take_step(events: Events, expected: Events, prefix: str, step: str, argument: Any) -> None:
    if step == "compact":
        events.compact()
    elif step == "delete":
        for store in (events, expected):
            store.delete([prefix + owner for owner in argument])
    else:
        batch = [msgspec.structs.replace(event, task=prefix + event.task) for event in argument]
        events.add(batch)
        expected.add(batch)


class EventsConformance:
    """The suite. persistent: whether the store outlives close()."""

    persistent = True

    @pytest.fixture
    def engine(self) -> Engine:
        """Opens the store; every call opens the same one."""
        raise NotImplementedError

    @pytest.fixture
    def events(self, engine: Engine) -> Iterator[Events]:
        events = engine()
        yield events
        events.close()

    # --- scalars

    def test_an_unknown_owner_has_nothing(self, events: Events) -> None:
        assert events.stats(TASK) == []
        assert events.scalars(TASK) == events.scalars(TASK, single=True) == []
        assert events.samples(TASK, "plot") == []
        assert events.metrics(TASK, "plot") == []
        assert events.logs(TASK, limit=10).events == []
        assert events.logs(TASK, limit=10).total == 0
        events.delete([TASK])

    def test_points_come_back_by_iteration(self, events: Events) -> None:
        events.add([scalar(3, 0.3, timestamp=30), scalar(1, 0.1, timestamp=40)])
        events.add([scalar(2, 0.2, timestamp=10)])
        (series,) = events.scalars(TASK)
        assert points([series]) == {("loss", "train"): [(1, 40, 0.1), (2, 10, 0.2), (3, 30, 0.3)]}
        assert series.iters.dtype == series.timestamps.dtype == np.dtype(np.int64)
        assert series.values.dtype == np.dtype(np.float64)

    def test_the_later_report_of_an_iteration_wins(self, events: Events) -> None:
        events.add([scalar(1, 1.0), scalar(2, 1.0), scalar(1, 2.0)])
        assert curve(events) == {1: 2.0, 2: 1.0}
        events.add([scalar(2, 3.0), scalar(1, 3.0), scalar(1, 4.0)])
        assert curve(events) == {1: 4.0, 2: 3.0}

    def test_a_batch_sent_again_adds_no_points(self, events: Events) -> None:
        batch = [scalar(iteration, iteration / 7) for iteration in range(100)]
        events.add(batch)
        before = points(events.scalars(TASK))
        events.add(batch)
        assert points(events.scalars(TASK)) == before

    def test_series_are_chosen_by_metric_and_variant(self, events: Events) -> None:
        names = [(metric, variant) for metric in ("b", "a") for variant in ("z", "y", "x")]
        events.add(scalar(1, 1.0, metric=metric, variant=variant) for metric, variant in names)
        assert list(points(events.scalars(TASK))) == sorted(names)
        assert list(points(events.scalars(TASK, metric="a"))) == [("a", "x"), ("a", "y"), ("a", "z")]
        assert list(points(events.scalars(TASK, metric="b", variants=["z", "none", "x"]))) == [("b", "x"), ("b", "z")]
        assert events.scalars(TASK, metric="b", variants=[]) == events.scalars(TASK, metric="c") == []
        assert events.metrics(TASK, "training_stats_scalar") == sorted(names)

    @pytest.mark.parametrize("name", ODD_NAMES, ids=lambda name: ascii(name[:12]))
    def test_names_are_any_strings(self, events: Events, name: str) -> None:
        events.add(
            [scalar(1, 1.0, metric=name), scalar(1, 2.0, variant=name), plot(1, "{}", metric=name, variant=name)]
        )
        assert points(events.scalars(TASK, metric=name, variants=["train"])) == {(name, "train"): [(1, 1001, 1.0)]}
        assert points(events.scalars(TASK, metric="loss", variants=[name])) == {("loss", name): [(1, 1001, 2.0)]}
        assert events.metrics(TASK, "plot") == [(name, name)]
        assert [sample.metric for sample in events.samples(TASK, "plot", metric=name, variants=[name])] == [name]

    def test_names_that_differ_are_apart_and_in_order_of_code_points(self, events: Events) -> None:
        events.add(scalar(1, number, metric=name) for number, name in enumerate(ODD_NAMES))
        assert [series.metric for series in events.scalars(TASK)] == sorted(ODD_NAMES)
        assert [stats.metric for stats in events.stats(TASK)] == sorted(ODD_NAMES)
        assert events.metrics(TASK, "training_stats_scalar") == [(name, "train") for name in sorted(ODD_NAMES)]

    def test_iterations_and_timestamps_have_64_bits(self, events: Events) -> None:
        extremes = [INT64_MIN, -1, 0, 1, INT64_MAX]
        events.add(
            scalar(i, float(n), timestamp=t) for n, (i, t) in enumerate(zip(extremes, extremes[::-1], strict=True))
        )
        events.add([log(INT64_MAX, "last"), log(INT64_MIN, "first"), plot(INT64_MIN, "low"), plot(INT64_MAX, "high")])
        expected = [(i, t, float(n)) for n, (i, t) in enumerate(zip(extremes, extremes[::-1], strict=True))]
        assert points(events.scalars(TASK)) == {("loss", "train"): expected}
        assert messages(events, limit=10) == ["first", "last"]
        assert messages(events, limit=10, earlier=False, from_timestamp=INT64_MIN) == ["last"]
        assert [sample.iter for sample in events.samples(TASK, "plot")] == [INT64_MAX, INT64_MIN]

    @pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, -1.7976931348623157e308, 1.7976931348623157e308, 0.1])
    def test_values_keep_every_bit(self, events: Events, value: float) -> None:
        events.add([scalar(1, value)])
        assert repr(curve(events)[1]) == repr(value)

    def test_owners_are_apart(self, events: Events) -> None:
        events.add([scalar(1, 1.0), scalar(1, 2.0, task=OTHER), scalar(1, 3.0, task=MODEL, model_event=True)])
        assert [curve[0][2] for owner in (TASK, OTHER, MODEL) for curve in points(events.scalars(owner)).values()] == [
            1,
            2,
            3,
        ]

    # --- single values

    def test_a_single_value_is_apart_from_the_curve(self, events: Events) -> None:
        events.add([scalar(SINGLE_VALUE, 9.0, timestamp=5), scalar(1, 1.0), scalar(SINGLE_VALUE, 8.0, timestamp=6)])
        assert curve(events) == {1: 1.0}
        assert points(events.scalars(TASK, single=True)) == {("loss", "train"): [(SINGLE_VALUE, 6, 8.0)]}
        assert [(stats.iter, stats.value, stats.count) for stats in events.stats(TASK)] == [
            (1, 1.0, 1),
            (SINGLE_VALUE, 8.0, 2),
        ]
        assert events.metrics(TASK, "training_stats_scalar") == [("loss", "train")]

    def test_a_name_with_only_a_single_value_has_no_curve(self, events: Events) -> None:
        events.add([scalar(SINGLE_VALUE, 9.0)])
        assert events.scalars(TASK) == []
        assert curve(events, single=True) == {SINGLE_VALUE: 9.0}

    # --- stats

    def test_stats_follow_every_report(self, events: Events) -> None:
        events.add([scalar(5, 2.0, timestamp=50), scalar(3, 4.0, timestamp=30), scalar(7, 1.0, timestamp=70)])
        events.add([scalar(7, 6.0, timestamp=60), scalar(3, 5.0, timestamp=99), scalar(6, 1.0, timestamp=98)])
        (stats,) = events.stats(TASK)
        assert (stats.value, stats.iter, stats.timestamp) == (6.0, 7, 60)
        assert (stats.min_value, stats.min_value_iteration) == (1.0, 7)
        assert (stats.max_value, stats.max_value_iteration) == (6.0, 7)
        assert (stats.first_value, stats.first_value_iteration) == (4.0, 3)
        assert stats.count == 6
        assert stats.mean_value == pytest.approx(19 / 6)

    def test_the_figures_of_the_series_that_were_reported_first(self, events: Events) -> None:
        events.add([plot(1, "no series of figures"), scalar(1, 1.0, metric="z"), scalar(1, 1.0, metric="z")])
        events.add([scalar(SINGLE_VALUE, 1.0, metric="z")])
        events.add([scalar(1, 1.0, metric="a"), scalar(2, 1.0, metric="z")], [Note(TASK, False, "a", 2)])
        first, two, three = (events.noted([TASK], first=count)[TASK].stats for count in (1, 2, 3))
        assert [(one.metric, one.count) for one in first] == [("z", 3)]
        assert two == events.stats(TASK)[1:]
        assert three == events.stats(TASK)

    def test_notes_are_joined_by_owner(self, events: Events) -> None:
        first, second, of_model = Note(TASK, False, "b", 3), Note(TASK, False, "a", 7), Note(MODEL, True, "c", -1)
        events.add([scalar(1, 1.0)], [first])
        (noted,) = events.notes()
        assert noted._replace(version=0) == first
        events.add([scalar(2, 1.0)], [second, of_model])
        assert [note._replace(version=0) for note in events.notes()] == [Note(TASK, False, "b", 7), of_model]

    def test_what_is_noted_comes_with_the_figures_of_its_owner(self, events: Events) -> None:
        note = Note(TASK, False, "a", 1)
        events.add([scalar(1, 1.0, metric="z"), scalar(2, 1.0, metric="z")], [note])
        events.add([scalar(1, 1.0, metric="a"), scalar(1, 1.0, task=OTHER)])
        noted = events.noted([OTHER, TASK, MODEL], first=1)
        assert noted == {TASK: (events.notes()[0], events.stats(TASK)[1:])}
        assert [(stats.metric, stats.count) for stats in noted[TASK].stats] == [("z", 2)]
        assert events.noted([], first=1) == {}

    def test_a_note_is_struck_unless_it_changed(self, events: Events) -> None:
        note = Note(TASK, False, "a", 1)
        events.add([scalar(1, 1.0)], [note])
        old = events.notes()
        events.add([scalar(1, 1.0)], [note])
        events.strike(old)
        (new,) = events.notes()
        events.strike([new])
        assert events.notes() == []
        events.add([scalar(1, 1.0)], [note])
        events.strike([*old, new])
        assert len(events.notes()) == 1

    def test_notes_go_with_their_owner(self, events: Events) -> None:
        events.add([scalar(1, 1.0)], [Note(TASK, False, "a", 1), Note(OTHER, False, "a", 1)])
        events.delete([TASK])
        assert [note.owner for note in events.notes()] == [OTHER]

    def test_a_refused_call_leaves_no_note(self, events: Events) -> None:
        with pytest.raises(ValueError, match="finite"):
            events.add([scalar(1, float("nan"))], [Note(TASK, False, "a", 1)])
        assert events.notes() == []

    def test_adding_nothing_is_nothing(self, events: Events) -> None:
        events.add([])
        assert events.notes() == []

    def test_the_label_is_the_latest_given(self, events: Events) -> None:
        events.add([scalar(1, 1.0)])
        assert events.stats(TASK)[0].x_axis_label is None
        events.add([scalar(2, 1.0, x_axis_label="hours"), scalar(3, 1.0, x_axis_label="days"), scalar(4, 1.0)])
        events.add([scalar(5, 1.0)])
        assert events.stats(TASK)[0].x_axis_label == "days"

    @pytest.mark.parametrize("count", [1, 2, 3, 7])
    def test_the_mean_of_the_largest_values_is_finite(self, events: Events, count: int) -> None:
        for _ in range(3):
            events.add(scalar(iteration, sys.float_info.max) for iteration in range(count))
        assert events.stats(TASK)[0].mean_value == pytest.approx(sys.float_info.max)

    # --- console

    def test_logs_always_add(self, events: Events) -> None:
        for _ in range(2):
            events.add([log(1, "same"), log(1, "same")])
        page = events.logs(TASK, limit=10)
        assert [event.msg for event in page.events] == ["same"] * 4
        assert page.total == 4

    def test_logs_are_ordered_by_timestamp_then_arrival(self, events: Events) -> None:
        events.add([log(2, "b"), log(1, "a"), log(2, "c")])
        events.add([log(2, "d"), log(0, "none")])
        assert messages(events, limit=10) == messages(events, limit=10, earlier=False) == ["none", "a", "b", "c", "d"]

    def test_log_pages_in_both_directions(self, events: Events) -> None:
        events.add(log(timestamp, str(timestamp)) for timestamp in range(10))
        assert messages(events, limit=3) == ["7", "8", "9"]
        assert messages(events, limit=3, from_timestamp=7) == ["4", "5", "6"]
        assert messages(events, limit=3, earlier=False) == ["0", "1", "2"]
        assert messages(events, limit=3, earlier=False, from_timestamp=7) == ["8", "9"]
        assert (
            messages(events, limit=3, from_timestamp=0)
            == messages(events, limit=3, earlier=False, from_timestamp=9)
            == []
        )
        assert events.logs(TASK, limit=3).total == 10

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
    def test_paging_by_timestamp_neither_loses_nor_repeats(self, events: Events, limit: int) -> None:
        stamps = [1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 5]
        events.add(log(stamp, str(number)) for number, stamp in enumerate(stamps))
        everything = [str(number) for number in range(len(stamps))]

        cursor, back = None, list[str]()
        while page := events.logs(TASK, limit=limit, from_timestamp=cursor).events:
            assert len(page) >= min(limit, len(everything) - len(back))
            back[:0] = [event.msg for event in page]
            cursor = page[0].timestamp
        assert back == everything

        cursor, forth = None, list[str]()
        while page := events.logs(TASK, limit=limit, earlier=False, from_timestamp=cursor).events:
            forth += [event.msg for event in page]
            cursor = page[-1].timestamp
        assert forth == everything

    def test_log_events_come_back_whole(self, events: Events) -> None:
        event = LogEvent(
            task=MODEL,
            timestamp=1,
            iter=2,
            metric="m",
            variant="v",
            model_event=True,
            msg="é\n\0" * 9999,
            level="INFO",
            worker="w",
        )
        events.add([event])
        assert events.logs(MODEL, limit=1).events == [event]

    def test_what_was_not_reported_is_left_out(self, events: Events) -> None:
        events.add([LogEvent(task=TASK, timestamp=1, level=None), plot(1, "x"), ImageEvent(task=TASK, key=None)])
        found = [*events.logs(TASK, limit=1).events, *events.samples(TASK, "plot")]
        found += events.samples(TASK, "training_debug_image")
        for event in found:
            fields = msgspec.to_builtins(event)
            assert not {"level", "worker", "skip_validation", "key"} & set(fields)

    def test_old_logs_can_be_deleted(self, events: Events) -> None:
        events.add(log(timestamp, str(timestamp)) for timestamp in range(6))
        events.add([log(0, "other", task=OTHER), scalar(1, 1.0)])
        assert events.delete_logs(TASK, before=3) == 3
        assert messages(events, limit=10) == ["3", "4", "5"]
        assert events.delete_logs(TASK, before=5, chosen=lambda event: event.msg == "4") == 1
        assert events.logs(TASK, limit=1).total == 2
        assert events.delete_logs(TASK, before=None) == 2
        assert events.delete_logs(TASK, before=None) == events.delete_logs("never there", before=None) == 0
        assert events.logs(OTHER, limit=1).total == 1
        assert curve(events) == {1: 1.0}

    # --- samples

    def test_samples_by_name_and_newest_first(self, events: Events) -> None:
        events.add(
            plot(i, f"{m}{v}{i}", metric=m, variant=v) for i in (2, 10, 1) for m in ("b", "a") for v in ("y", "x")
        )

        def figures(**choice: Any) -> list[str]:
            return [event.plot_str for event in events.samples(TASK, "plot", **choice) if isinstance(event, PlotEvent)]

        assert figures(metric="a") == ["ax10", "ax2", "ax1", "ay10", "ay2", "ay1"]
        assert figures(last_iterations=1) == ["ax10", "ay10", "bx10", "by10"]
        assert figures(metric="b", variants=["y"], last_iterations=2) == ["by10", "by2"]
        assert figures(variants=["x"], within=(1, 9)) == ["ax2", "ax1", "bx2", "bx1"]
        assert figures(metric="a", within=(INT64_MIN, 9), last_iterations=1) == ["ax2", "ay2"]
        assert figures(metric="a", variants=["x"], within=(2, INT64_MAX)) == ["ax10", "ax2"]
        assert events.sample_names(TASK, "plot", metric="a") == [("a", v, i) for v in ("x", "y") for i in (10, 2, 1)]
        assert events.sample_names(TASK, "plot", metric="b", variants=["y"])[0] == ("b", "y", 10)
        assert figures(within=(3, 9)) == figures(metric="c") == figures(variants=[]) == []

    def test_a_sample_reported_again_is_replaced(self, events: Events) -> None:
        events.add([plot(1, "first"), plot(1, "second")])
        assert events.samples(TASK, "plot") == [plot(1, "second")]
        events.add([plot(1, "third"), plot(2, "other")])
        assert events.samples(TASK, "plot") == [plot(2, "other"), plot(1, "third")]

    def test_kinds_of_samples_are_apart_and_whole(self, events: Events) -> None:
        name: dict[str, Any] = {"task": TASK, "metric": "m", "variant": "v", "iter": 1, "timestamp": 7}
        one_of_each: dict[SampleKind, AnyEvent] = {
            "plot": PlotEvent(**name, plot_str='{"data": []}' * 999, skip_validation=True),
            "training_debug_image": ImageEvent(**name, url="https://files/é.png", key="k"),
            "training_stats_vector": VectorEvent(**name, values=[0.5, -0.0, 1e300], model_event=True),
        }
        events.add([*one_of_each.values(), ScalarEvent(**name, value=1.0)])
        for kind, event in one_of_each.items():
            assert events.samples(TASK, kind) == [event]
            assert events.metrics(TASK, kind) == [("m", "v")]

    # --- pages

    def test_points_of_a_series_in_pages(self, events: Events) -> None:
        events.add(scalar(iteration, iteration / 2) for iteration in range(100))
        assert list(curve(events, limit=3)) == [0, 1, 2]
        assert list(curve(events, above=41, limit=3)) == [42, 43, 44]
        assert curve(events, above=97) == {98: 49.0, 99: 49.5}
        assert events.scalars(TASK, above=99) == []
        assert events.scalars(TASK, single=True, limit=3) == []
        events.add([scalar(SINGLE_VALUE, 5.0), scalar(43, 1.0), scalar(200, 1.0, variant="b")])
        assert curve(events, metric="loss", variants=["train"], above=41, limit=2) == {42: 21.0, 43: 1.0}
        assert list(points(events.scalars(TASK, above=99))) == [("loss", "b")]
        assert curve(events, single=True, limit=3) == {SINGLE_VALUE: 5.0}

    @pytest.mark.parametrize("descending", [False, True])
    def test_a_timeline_is_exact_whatever_happens_between_its_pages(self, events: Events, descending: bool) -> None:
        def moment(iteration: int) -> int:
            return 10_000 + iteration // 3 * 10  # several events share one

        names = ("a", "b")
        events.add(scalar(i, i, variant=v, timestamp=moment(i)) for i in range(200) for v in names)
        seen, after = list[tuple[int, str]](), None
        while page := events.timeline(TASK, "training_stats_scalar", after=after, descending=descending, limit=7):
            if not page.events:
                break
            seen += [(event.iter, event.variant) for event in page.events]
            last = page.events[-1]
            after = Place(last.timestamp, last.metric, last.variant, last.iter)
            passed = -1 if descending else 1  # what comes now lies behind the reader, and is not seen
            events.add([scalar(1000 + len(seen), 1.0, timestamp=last.timestamp - passed)])
            events.add([scalar(seen[0][0], 9.0, variant=seen[0][1], timestamp=moment(seen[0][0]))])
            if len(seen) % 3:
                events.compact()
        assert seen == sorted(
            [(i, v) for i in range(200) for v in names], key=lambda e: (moment(e[0]), e[1], e[0]), reverse=descending
        )

    def test_a_replaced_event_moves_to_the_moment_of_its_later_report(self, events: Events) -> None:
        events.add([scalar(1, 1.0, timestamp=10), scalar(2, 1.0, timestamp=20), plot(1, "a"), plot(2, "b")])
        while events.compact():
            pass
        events.add([scalar(1, 5.0, timestamp=30), msgspec.structs.replace(plot(1, "c"), timestamp=9)])
        line = events.timeline(TASK, "training_stats_scalar", limit=5)
        assert [(event.iter, event.timestamp) for event in line.events] == [(2, 20), (1, 30)]
        assert line.total == 2
        first = events.timeline(TASK, "training_stats_scalar", limit=1, after=Place(9, "", "", 0)).events
        assert [event.iter for event in first] == [2]
        figures = events.timeline(TASK, "plot", limit=1, descending=True)
        assert figures.events == [msgspec.structs.replace(plot(1, "c"), timestamp=9)]
        assert figures.total == 2
        assert events.timeline(TASK, "plot", limit=0).total == 2

    # --- copies, atomicity, deletion

    def test_results_and_arguments_are_copies(self, events: Events) -> None:
        vector, line = VectorEvent(task=TASK, values=[1.0]), log(1, "line")
        events.add([vector, line, scalar(1, 1.0)])
        vector.values.append(2.0)
        line.msg = "changed"
        for _ in range(2):
            (found,) = events.samples(TASK, "training_stats_vector")
            assert isinstance(found, VectorEvent)
            assert found.values == [1.0]
            found.values.append(3.0)
            page = events.logs(TASK, limit=1)
            assert page.events[0].msg == "line"
            page.events[0].msg = "changed"
            (series,) = events.scalars(TASK)
            assert series.values[0] == 1.0
            series.values[0] = 5.0
            series.iters[0] = 5

    @pytest.mark.parametrize(
        "bad",
        [
            scalar(2**63, 1.0),
            scalar(1, 1.0, timestamp=-(2**63) - 1),
            scalar(1, float("nan")),
            scalar(1, float("inf")),
            scalar(1, 1.0, metric="\ud800"),
            log(2**63, "x"),
            plot(2**63, "x"),
            plot(1, "x", variant="\ud800"),
        ],
        ids=["iter", "timestamp", "nan", "inf", "metric", "log", "plot", "variant"],
    )
    def test_an_event_out_of_range_spoils_the_whole_call(self, events: Events, bad: AnyEvent) -> None:
        events.add([scalar(1, 1.0)])
        with pytest.raises(ValueError):
            events.add(
                [scalar(1, 2.0), scalar(1, 1.0, task=OTHER), log(1, "x"), plot(1, "x"), scalar(1, 1.0, metric="n"), bad]
            )
        self.assert_only_the_first_point(events)

    def test_an_iterable_that_raises_leaves_nothing(self, events: Events) -> None:
        def broken() -> Iterator[AnyEvent]:
            yield scalar(1, 2.0)
            yield scalar(1, 1.0, task=OTHER)
            yield log(1, "x")
            yield plot(1, "x")
            raise ZeroDivisionError

        events.add([scalar(1, 1.0)])
        with pytest.raises(ZeroDivisionError):
            events.add(broken())
        self.assert_only_the_first_point(events)

    def assert_only_the_first_point(self, events: Events) -> None:
        assert curve(events) == {1: 1.0}
        assert [one.count for one in events.stats(TASK)] == [1]
        assert events.logs(TASK, limit=1).total == 0
        assert events.metrics(TASK, "plot") == []
        assert events.stats(OTHER) == []
        events.add([scalar(2, 2.0), scalar(1, 1.0, metric="n")])  # names met in a call that failed work later
        assert points(events.scalars(TASK, metric="n")) == {("n", "train"): [(1, 1001, 1.0)]}

    def test_delete_removes_everything_of_these_owners_alone(self, events: Events) -> None:
        for owner in (TASK, OTHER, MODEL):
            events.add([scalar(1, 1.0, task=owner), scalar(SINGLE_VALUE, 1.0, task=owner)])
            events.add([log(1, "x", task=owner), plot(1, "x", task=owner)])
        events.delete([TASK, MODEL, "never there"])
        for owner, there in ((TASK, False), (OTHER, True), (MODEL, False)):
            assert bool(events.stats(owner)) is there
            assert bool(events.scalars(owner)) is there
            assert bool(events.scalars(owner, single=True)) is there
            assert bool(events.samples(owner, "plot")) is there
            assert bool(events.metrics(owner, "plot")) is there
            assert events.logs(owner, limit=1).total == len(events.logs(owner, limit=1).events) == there

    def test_samples_of_one_name_can_be_deleted(self, events: Events) -> None:
        for owner in (TASK, OTHER):
            events.add([plot(1, "a", task=owner), plot(2, "b", task=owner), plot(1, "c", task=owner, variant="kept")])
        gone, kept = events.metrics(TASK, "plot")
        metric, variant = gone
        assert events.delete_samples(TASK, "training_debug_image", metric=metric, variant=variant) == 0
        assert events.delete_samples(TASK, "plot", metric=metric, variant=variant) == 2
        assert events.delete_samples(TASK, "plot", metric=metric, variant=variant) == 0
        assert events.metrics(TASK, "plot") == [kept]
        assert [(s.metric, s.variant) for s in events.samples(TASK, "plot")] == [kept]
        assert len(events.samples(OTHER, "plot")) == 3
        events.add([plot(3, "again")])
        assert events.sample_names(TASK, "plot", metric=metric, variants=[variant]) == [(*gone, 3)]

    def test_a_deleted_owner_may_begin_again(self, events: Events) -> None:
        events.add([scalar(1, 1.0), scalar(2, 2.0), log(1, "old"), plot(1, "old")])
        events.delete([TASK])
        events.add([scalar(2, 3.0), log(1, "new")])
        assert curve(events) == {2: 3.0}
        assert [one.count for one in events.stats(TASK)] == [1]
        assert messages(events, limit=10) == ["new"]
        assert events.samples(TASK, "plot") == []

    # --- compaction, threads, reopening

    def test_compaction_ends(self, events: Events) -> None:
        for start in range(0, 1000, 100):
            events.add(scalar(start + number, 1.0) for number in range(100))
        while events.compact():
            pass
        assert not events.compact()
        assert len(curve(events)) == 1000

    def test_overwrites_win_over_compacted_points(self, events: Events) -> None:
        for value in range(4):
            events.add(scalar(iteration, value) for iteration in range(value, 20))
            while events.compact():
                pass
        assert curve(events) == {0: 0.0, 1: 1.0, 2: 2.0} | dict.fromkeys(range(3, 20), 3.0)

    def test_few_overwrites_win_over_many_points(self, events: Events) -> None:
        expected = dict.fromkeys(range(1000), 0.0)
        events.add(scalar(iteration, 0.0) for iteration in expected)
        for value in (1.0, 2.0, 3.0):
            while events.compact():
                pass
            overwritten = dict.fromkeys(range(int(value), 1000, 100), value)
            events.add(scalar(iteration, value) for iteration in overwritten)
            expected |= overwritten
            assert curve(events) == expected
        while events.compact():
            pass
        events.add([scalar(500, 4.0), scalar(3, 4.0)])
        expected |= {500: 4.0, 3: 4.0}
        assert curve(events) == expected
        while events.compact():
            pass
        assert curve(events) == expected

    def test_writers_in_many_threads(self, events: Events) -> None:
        def work(number: int) -> None:
            for start in range(0, 100, 10):
                events.add([scalar(start + i, number, variant=str(number)) for i in range(10)])
                events.add([scalar(start, 1.0, task=OTHER), log(start, str(number), task=OTHER)])
                if number == 0:
                    events.compact()
                assert len(events.scalars(TASK, metric="loss", variants=[str(number)])[0].iters) == start + 10

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert points(events.scalars(TASK)) == {
            ("loss", str(n)): [(i, 1000 + i, float(n)) for i in range(100)] for n in range(4)
        }
        assert events.logs(OTHER, limit=1).total == events.stats(OTHER)[0].count == 40

    def test_a_reader_sees_each_call_whole(self, events: Events) -> None:
        def write() -> None:
            for value in range(40):
                events.add(scalar(iteration, value) for iteration in range(20))
                events.compact()

        events.add(scalar(iteration, -1) for iteration in range(20))
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not writing.done():
                assert len(set(curve(events).values())) == 1
            writing.result()

    def test_everything_is_there_after_reopening(self, engine: Engine) -> None:
        if not self.persistent:
            pytest.skip("this engine ends with the process")
        expected = MemoryEvents()
        for compacted in (False, True):
            events = engine()
            batch: list[AnyEvent] = [scalar(i + compacted * 5, 1.0) for i in range(10)]
            batch += [log(1, "x"), plot(1, "x"), scalar(SINGLE_VALUE, 1.0)]
            for store in (events, expected):
                store.add(batch)
            while compacted and events.compact():
                pass
            events.close()
            events = engine()
            assert_same_answers(events, expected, TASK)
            events.close()

    def test_any_calls_have_the_same_answers_as_the_memory_engine(self, events: Events) -> None:
        @settings(max_examples=60, deadline=None)
        @given(steps=_STEPS)
        def check(steps: list[tuple[str, Any]]) -> None:
            prefix, expected = uuid4().hex, MemoryEvents()  # the examples share the store, but not their owners
            for step, argument in steps:
                _take_step(events, expected, prefix, step, argument)
            for owner in ("a", "b"):
                assert_same_answers(events, expected, prefix + owner)

        check()
