"""Events: what experiments report, and every way of reading it back."""

import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.bootstrap import Engines, build_services
from trainshed.domain.errors import StoreFull
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document
from trainshed.ports.events import SINGLE_VALUE, Note, ScalarEvent
from trainshed.ports.query import Eq, Filter
from trainshed.services.events import Report
from trainshed.services.file_deletion import TRASH
from trainshed.services.watchdog import SILENCE
from trainshed.testing.api import TOKEN_SECRET, ApiClient, CallFailed, Json, memory_engines, serve
from trainshed.testing.clock import FakeClock
from trainshed.testing.reports import image, line, plot, scalar

NOW_MS = 1767225600000  # where the fake clock begins


@pytest.fixture
def task(api: ApiClient) -> str:
    created: str = api.call("tasks.create", name="a task", type="training")["id"]
    return created


def md5(name: str) -> str:
    return hashlib.md5(name.encode()).hexdigest()


def get(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def figures(api: ApiClient, task: str, metric: str = "loss", variant: str = "train") -> Json:
    found: Json = get(api, task)["last_metrics"][md5(metric)][md5(variant)]
    return found


# adding


def test_a_batch_with_bad_lines_stores_the_good_ones(api: ApiClient, task: str) -> None:
    lines = [
        msgspec.json.encode(scalar(task, 1.0)),
        b"{ not JSON",
        msgspec.json.encode({**scalar(task, 1.0), "type": "smell"}),
        msgspec.json.encode({**scalar(task, 1.0), "value": "high"}),
        msgspec.json.encode({**scalar(task, 1.0), "value": None}),
        b'{"type": "training_stats_scalar", "task": "%s", "value": NaN}' % task.encode(),
        msgspec.json.encode({**scalar(task, 1.0), "iter": 2**63}),
        msgspec.json.encode({**scalar(task, 1.0), "metric": "m" * 20_000}),
        b'{"type": "log", "msg": "of nobody"}',
        b"",
        msgspec.json.encode(scalar("none", 1.0)),
        msgspec.json.encode(scalar("none", 2.0)),
        b"[]",
        msgspec.json.encode({**line(task, 1, "with method"), "method": "get", "unknown": [{}]}),
    ]
    reply = api.send("/v2.9/events.add_batch", b"\n".join(lines), method="GET")
    assert reply.data["added"] == 2
    assert reply.data["errors"] == 11
    assert sum(reply.data["errors_info"].values()) == 11
    assert reply.data["errors_info"]["invalid task id: none"] == 2
    assert figures(api, task)["count"] == 1


@pytest.mark.parametrize(
    ("body", "pair"),
    [
        (b"", (400, 17)),
        (b" \n \n", (400, 17)),
        (b"nonsense", (400, 131)),
        (b"{}\n[]\n1", (400, 131)),
        (msgspec.json.encode(scalar("none", 1.0)), (400, 131)),
        (b"[" * 100_000, (400, 131)),
        (b'{"type":"log","task":"x","msg":' + b"[" * 100_000, (400, 131)),
        (b"\xff\xfe", (400, 131)),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.usefixtures("no_stack_traces")
def test_a_batch_without_a_good_line(api: ApiClient, body: bytes, pair: tuple[int, int]) -> None:
    assert api.send("/events.add_batch", body).pair == pair


def test_one_event(api: ApiClient, task: str) -> None:
    assert api.call("events.add", **scalar(task, 1.0)) == {}
    assert figures(api, task)["value"] == 1.0
    assert api.error("events.add", **scalar("none", 1.0)) == (400, 131)
    assert api.error("events.add", task=task) == (400, 12)


def test_a_model_has_events_but_no_console_log(api: ApiClient, task: str) -> None:
    model = api.call("models.create", name="m", uri="u", task=task)["id"]
    event = {"model_event": True, "task": model}
    with pytest.raises(CallFailed) as failed:
        api.add_events([{**line(task, 1, "x"), **event}])
    assert failed.value.pair == (400, 131)
    reply = api.add_events([{**line(task, 1, "x"), **event}, {**scalar(task, 2.0, 3), **event}, scalar(task, 1.0)])
    assert (reply["added"], reply["errors"]) == (2, 1)
    assert api.call("models.get_by_id", model=model)["model"]["last_metrics"][md5("loss")][md5("train")]["value"] == 2
    curves = api.call("events.scalar_metrics_iter_histogram", task=model, model_events=True)
    assert curves == {"loss": {"train": {"name": "train", "x": [3], "y": [2.0]}}}
    assert api.error("events.scalar_metrics_iter_histogram", task=model) == (400, 101)
    assert api.error("events.scalar_metrics_iter_histogram", task=task, model_events=True) == (400, 201)
    with pytest.raises(CallFailed):
        api.add_events([{**scalar(task, 1.0), "model_event": True}])


def test_events_of_a_public_task_are_refused(api: ApiClient, engines: Engines, task: str) -> None:
    engines.documents.update("tasks", task, lambda d: d.update(company=""))
    with pytest.raises(CallFailed) as failed:
        api.add_events([scalar(task, 1.0)])
    assert failed.value.pair == (400, 131)


def test_a_published_task_takes_no_more_events(api: ApiClient, task: str) -> None:
    api.add_events([line(task, 1, "first")])
    api.call("tasks.publish", task=task, force=True)
    second = line(task, 2, "second")
    assert api.error("events.add", **second) == (400, 131)
    assert api.error("events.add", **second, allow_locked=False) == (400, 131)
    assert api.send("/events.add_batch", msgspec.json.encode(second)).pair == (400, 131)
    for endpoint in ("events.clear_task_log", "events.delete_for_task"):
        assert api.error(endpoint, task=task) == (400, 110)
    assert api.error("events.add", **second, allow_locked=True) == (200, 0)
    assert api.add_events([{**line(task, 3, "third"), "allow_locked": True}])["added"] == 1
    assert api.call("events.get_task_log", task=task)["total"] == 3
    assert api.call("events.clear_task_log", task=task, allow_locked=True)["deleted"] == 3
    assert api.call("events.delete_for_task", task=task, allow_locked=True)["deleted"] is True


def test_a_published_model_takes_no_more_events(api: ApiClient) -> None:
    model = api.call("models.create", name="m", uri="u", ready=True)["id"]
    event = {**scalar(model, 1.0), "model_event": True}
    assert api.error("events.add", **event) == (400, 131)
    assert api.error("events.add", **event, allow_locked=True) == (200, 0)
    assert api.error("events.delete_for_model", model=model) == (400, 203)
    assert api.error("events.delete_for_model", model=model, allow_locked=True) == (200, 0)


def test_a_missing_timestamp_is_now(api: ApiClient, task: str) -> None:
    event = scalar(task, 1.0)
    del event["timestamp"]
    api.add_events([event])
    assert figures(api, task)["timestamp"] == NOW_MS


def test_a_timestamp_is_cut_to_whole_milliseconds(api: ApiClient, task: str) -> None:
    assert api.add_events([scalar(task, 1.0, 1, timestamp=1767225600000.9), scalar(task, 1.0, 2)])["added"] == 2
    assert api.call("events.add", **line(task, 1, "x") | {"timestamp": 17.0}) == {}
    assert api.call("events.get_task_log", task=task)["events"][0]["timestamp"] == 17
    raw = api.call("events.get_task_events", task=task, event_type="training_stats_scalar")["events"]
    assert [event["timestamp"] for event in raw] == [1002, 1767225600000]
    for bad in (1e300, "1", [1]):
        assert api.error("events.add", **scalar(task, 1.0, timestamp=bad)) == (400, 12)


def test_reports_move_the_task_on(api: ApiClient, task: str) -> None:
    api.move_clock(10)
    api.add_events([scalar(task, 1.0, 7), scalar(task, 1.0, 3)])
    found = get(api, task)
    assert found["last_iteration"] == 7
    assert found["last_update"] > found["created"]
    api.add_events([scalar(task, 1.0, 5)])
    assert get(api, task)["last_iteration"] == 7


# last values


def test_last_metrics(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, v, i) for i, v in ((1, 4.0), (2, 8.0), (3, 1.5), (2, 10.5))])
    assert figures(api, task) == {
        "metric": "loss",
        "variant": "train",
        "value": 1.5,
        "iter": 3,
        "timestamp": 1003,
        "min_value": 1.5,
        "min_value_iteration": 3,
        "max_value": 10.5,
        "max_value_iteration": 2,
        "first_value": 4.0,
        "first_value_iteration": 1,
        "count": 4,
        "mean_value": 6.0,
    }
    api.add_events([scalar(task, 2.0, 4, x_axis_label="epochs")])
    assert figures(api, task)["x_axis_label"] == "epochs"
    assert figures(api, task)["value"] == 2.0


def test_the_keys_of_last_metrics_come_sorted(api: ApiClient, task: str) -> None:
    names = ["zebra", "a.b", "$x", "", "é", "loss"]
    for name in names:
        api.add_events([scalar(task, 1.0, metric=name, variant=other) for other in names])
    reply = api.send("/tasks.get_by_id", msgspec.json.encode({"task": task}))
    metrics = reply.data["task"]["last_metrics"]
    assert list(metrics) == sorted(map(md5, names))
    assert all(list(variants) == sorted(map(md5, names)) for variants in metrics.values())


def test_reports_at_the_same_time_leave_the_newest_figures(api: ApiClient, task: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: api.add_events([scalar(task, float(i), i)]), range(60)))
    found = figures(api, task)
    assert (found["count"], found["value"], found["max_value"]) == (60, 59.0, 59.0)
    assert get(api, task)["last_iteration"] == 59


# single values


def test_a_single_value_is_no_point_of_a_curve(api: ApiClient, task: str) -> None:
    summary = scalar(task, 0.5, SINGLE_VALUE, metric="Summary", variant="accuracy")
    api.add_events([summary, scalar(task, 1.0, 4)])
    assert get(api, task)["last_iteration"] == 4
    assert list(api.call("events.scalar_metrics_iter_histogram", task=task)) == ["loss"]
    assert figures(api, task, "Summary", "accuracy")["value"] == 0.5
    reply = api.call("events.get_task_single_value_metrics", tasks=[task])
    value = {"metric": "Summary", "variant": "accuracy", "value": 0.5, "timestamp": summary["timestamp"]}
    assert reply == {"tasks": [{"task": task, "task_name": "a task", "values": [value]}]}
    raw = api.call("events.get_task_events", task=task, event_type="training_stats_scalar")["events"]
    assert sorted(event["iter"] for event in raw) == [SINGLE_VALUE, 4]
    for metrics, found in (([{"metric": "Summary"}], 1), ([{"metric": "Summary", "variants": ["x"]}], 0), ([], 0)):
        reply = api.call("events.get_task_single_value_metrics", tasks=[task], metrics=metrics)
        assert len(reply["tasks"]) == found


def test_a_later_single_value_is_the_last_value(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, 3.0, 1), scalar(task, 5.0, 2, timestamp=10)])
    api.add_events([scalar(task, 4.0, SINGLE_VALUE, timestamp=20)])
    found = figures(api, task)
    assert (found["value"], found["count"], found["max_value"], found["iter"]) == (4.0, 2, 5.0, 2)
    api.add_events([scalar(task, 6.0, 3, timestamp=30)])
    assert figures(api, task)["value"] == 6.0


# what documents learn


class FillingDocuments(MemoryDocuments):
    """An engine whose disk can be full: what frees space works, what needs it does not."""

    full = False

    def update_many(self, collection: str, where: Filter, change: Callable[[Document], None]) -> int:
        if self.full:
            raise StoreFull
        return super().update_many(collection, where, change)


def test_a_full_disk_keeps_back_the_last_values_and_nothing_else(tmp_path: Path) -> None:
    documents = FillingDocuments()
    api = serve(replace(memory_engines(tmp_path), documents=documents))
    task = api.call("tasks.create", name="a task", type="training")["id"]
    documents.full = True
    api.add_events([scalar(task, 1.0, 5)])
    assert get(api, task)["last_iteration"] == 0
    assert api.call("events.scalar_metrics_iter_histogram", task=task)["loss"]["train"]["y"] == [1.0]
    documents.full = False
    assert get(api, task)["last_iteration"] == 5


def test_what_was_stored_before_a_crash_is_learnt_at_the_start(engines: Engines) -> None:
    api = serve(engines)
    task = api.call("tasks.create", name="a task", type="training")["id"]
    api.add_events([scalar(task, 1.0, 5)])
    assert engines.documents.get("tasks", task)["last_iteration"] == 0  # type: ignore[index] # it is there
    build_services(engines, token_secret=TOKEN_SECRET).events.settle()
    assert engines.documents.get("tasks", task)["last_iteration"] == 5  # type: ignore[index] # it is there
    assert engines.events.notes() == []


def test_callers_that_wait_for_the_documents_share_one_round(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round is for all who came before it began; who came in the middle of one needs the next."""
    task = serve(engines).call("tasks.create", name="a task", type="training")["id"]
    log = build_services(engines, token_secret=TOKEN_SECRET).events
    rounds, notes = [0], engines.events.notes
    with ThreadPoolExecutor(8) as pool:
        others: list[Future[None]] = []

        def asked() -> list[Note]:
            found = notes()
            rounds[0] += 1
            log.add(Identity(user="user"), [ScalarEvent(task=task, value=1.0, iter=rounds[0])], Report())
            if rounds[0] == 1:  # in the middle of its work others ask for it
                others.extend(pool.submit(log.settle) for _ in range(8))
                wait(others, timeout=0.05)
            return found

        monkeypatch.setattr(engines.events, "notes", asked)
        log.settle()
        for other in others:
            other.result(10)
    assert rounds == [2]
    assert engines.documents.get("tasks", task)["last_iteration"] >= 1  # type: ignore[index] # it is there


def test_a_running_task_whose_only_sign_of_life_came_before_a_crash_is_left_alone(
    engines: Engines, tmp_path: Path
) -> None:
    api = serve(engines)
    task = api.call("tasks.create", name="a task", type="training")["id"]
    api.call("tasks.started", task=task)
    cast(FakeClock, engines.clock).advance(SILENCE - 1)
    api.add_events([scalar(task, 1.0, 5)])
    cast(FakeClock, engines.clock).advance(2)
    build_services(engines, token_secret=TOKEN_SECRET).watchdog.look()
    assert get(api, task)["status"] == "in_progress"


def test_reports_that_meet_a_reset_or_a_deletion(engines: Engines) -> None:
    """What was noted before the reset does not come back, and a deleted task leaves nothing."""
    api = serve(engines)
    reset, deleted = (api.call("tasks.create", name="a task", type="training")["id"] for _ in range(2))
    log = build_services(engines, token_secret=TOKEN_SECRET).events
    api.add_events([scalar(reset, 1.0, 5), scalar(deleted, 1.0, 5)])
    engines.documents.delete("tasks", Eq(("id",), deleted))
    stale = engines.events.notes()
    engines.events.delete([reset])
    log._tell_documents(stale)  # as by a process that had read them just before
    assert get(api, reset)["last_iteration"] == 0
    assert get(api, reset)["last_metrics"] == {}
    assert engines.events.notes() == []
    assert engines.events.stats(deleted) == []


def test_the_events_of_a_task_in_the_trash_stay(engines: Engines) -> None:
    api = serve(engines)
    task = api.call("tasks.create", name="a task", type="training")["id"]
    api.add_events([scalar(task, 1.0, 5)])
    engines.documents.insert(TRASH, {"id": task, "models": [{"id": "a model"}]})
    engines.documents.delete("tasks", Eq(("id",), task))
    engines.events.add([ScalarEvent(task="a model", value=1.0)], [Note("a model", True, "2026", 1)])
    assert api.call("tasks.get_all")["tasks"] == []
    assert engines.events.notes() == []
    assert [len(engines.events.stats(owner)) for owner in (task, "a model")] == [1, 1]


def test_many_owners_learn_in_one_go(api: ApiClient) -> None:
    tasks = [api.call("tasks.create", name="a task", type="training")["id"] for _ in range(3)]
    model = api.call("models.create", name="a model", uri="file:///m")["id"]
    api.add_events([scalar(task, 1.0, 7) for task in tasks] + [scalar(model, 2.0, 8, model_event=True)])
    assert [task["last_iteration"] for task in api.call("tasks.get_all", id=tasks)["tasks"]] == [7, 7, 7]
    found = api.call("models.get_by_id", model=model)["model"]
    assert found["last_iteration"] == 8
    assert found["last_metrics"][md5("loss")][md5("train")]["value"] == 2.0


def test_a_single_value_reported_again_replaces_its_figures(api: ApiClient, task: str) -> None:
    for value in (1.0, 3.0, 2.0):
        api.add_events([scalar(task, value, SINGLE_VALUE)])
    found = figures(api, task)
    assert (found["value"], found["max_value"], found["count"]) == (2.0, 3.0, 3)
    (entry,) = api.call("events.get_task_single_value_metrics", tasks=[task])["tasks"]
    assert [value["value"] for value in entry["values"]] == [2.0]


# curves


def test_a_point_reported_again_replaces_the_former(api: ApiClient, task: str) -> None:
    for _ in range(2):
        api.add_events([scalar(task, float(i), i) for i in (3, 1, 2)])
    api.add_events([scalar(task, 9.0, 2)])
    curve = api.call("events.scalar_metrics_iter_histogram", task=task)["loss"]["train"]
    assert curve == {"name": "train", "x": [1, 2, 3], "y": [1.0, 9.0, 3.0]}


@pytest.mark.parametrize(
    ("key", "x"),
    [
        (None, [0, 1, 2]),
        ("iter", [0, 1, 2]),
        ("timestamp", [1000, 1001, 1002]),
        ("iso_time", [f"1970-01-01T00:00:01.00{n}+00:00" for n in range(3)]),
    ],
)
def test_the_axes_of_a_curve(api: ApiClient, task: str, key: str | None, x: list[Any]) -> None:
    api.add_events([scalar(task, float(i), i) for i in range(3)])
    curve = api.call("events.scalar_metrics_iter_histogram", task=task, key=key)["loss"]["train"]
    assert (curve["x"], curve["y"]) == (x, [0.0, 1.0, 2.0])


@pytest.mark.parametrize("samples", [1, 7, 10, 99, 100, 2**31 - 1])
@pytest.mark.parametrize("key", ["iter", "timestamp", "iso_time"])
def test_a_curve_has_no_more_points_than_asked_for(api: ApiClient, task: str, key: str, samples: int) -> None:
    api.add_events([scalar(task, float(i), i) for i in range(100)])
    curve = api.call("events.scalar_metrics_iter_histogram", task=task, samples=samples, key=key)["loss"]["train"]
    assert len(curve["x"]) == len(curve["y"]) == min(samples, 100)
    assert curve["x"] == sorted(curve["x"])
    assert min(curve["y"]) >= 0
    if samples == 10:
        assert curve["y"] == [4.5 + 10 * n for n in range(10)]


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        (None, {"a": ["x", "y"], "b": ["x"]}),
        ([{"metric": "a"}], {"a": ["x", "y"]}),
        ([{"metric": "a", "variants": ["y"]}, {"metric": "none"}], {"a": ["y"]}),
        ([], {}),
    ],
    ids=str,
)
def test_curves_by_name(api: ApiClient, task: str, metrics: list[Json] | None, names: Json) -> None:
    api.add_events(
        [scalar(task, 1.0, metric=m, variant=v) for m, v in (("b", "x"), ("a", "y"), ("a", "x"))] + [line(task, 1, "")]
    )
    curves = api.call("events.scalar_metrics_iter_histogram", task=task, metrics=metrics)
    assert {metric: list(variants) for metric, variants in curves.items()} == names
    assert list(curves) == sorted(curves)


def test_all_points_of_a_curve_are_asked_for_with_0(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, 1.0, n) for n in range(7000)])
    for samples, points in ((0, 7000), (None, 6000)):
        curves = api.call("events.scalar_metrics_iter_histogram", task=task, samples=samples)
        assert len(curves["loss"]["train"]["x"]) == points


def test_the_curves_of_several_tasks(api: ApiClient, task: str) -> None:
    other = api.call("tasks.create", name="another", type="training")["id"]
    api.add_events([scalar(task, 1.0, 1), scalar(other, 2.0, 2), scalar(other, 3.0, 3, metric="a")])
    reply = api.call("events.multi_task_scalar_metrics_iter_histogram", tasks=[task, other])
    assert reply == {
        "metrics": {
            "a": {"train": {other: {"name": "another", "x": [3], "y": [3.0]}}},
            "loss": {
                "train": {
                    task: {"name": "a task", "x": [1], "y": [1.0]},
                    other: {"name": "another", "x": [2], "y": [2.0]},
                }
            },
        }
    }
    assert list(reply["metrics"]) == ["a", "loss"]
    assert api.error("events.multi_task_scalar_metrics_iter_histogram", tasks=[task, "none"]) == (400, 101)
    names = api.call("events.get_multi_task_metrics", tasks=[task, other])["metrics"]
    assert names == [{"metric": "a", "variants": ["train"]}, {"metric": "loss", "variants": ["train"]}]
    assert api.call("events.get_multi_task_metrics", tasks=[task], event_type="plot") == {"metrics": []}


def test_the_latest_values(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, float(n), n) for n in range(150)] + [scalar(task, 1.0, SINGLE_VALUE, metric="s")])
    variants = [{"name": "train", "last_value": 149.0, "last_100_value": 99.5}]
    assert api.call("events.get_task_latest_scalar_values", task=task) == {
        "metrics": [{"name": "loss", "variants": variants}]
    }


def test_names_of_metrics(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, 1.0, metric="b"), scalar(task, 1.0, metric="a"), plot(task, 1)])
    found = api.call("events.get_scalar_metrics_and_variants", task=task)
    assert found == {"metrics": {"a": ["train"], "b": ["train"]}}
    assert api.call("events.get_task_metrics", tasks=[task]) == {"metrics": [{"task": task, "metrics": ["a", "b"]}]}
    found = api.call("events.get_task_metrics", tasks=[task], event_type="plot")
    assert found == {"metrics": [{"task": task, "metrics": ["p"]}]}
    assert api.error("events.get_task_metrics", tasks=[task, "none"]) == (400, 101)
    assert api.error("events.get_task_metrics", tasks=[task], event_type="smell") == (400, 12)


# console


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, "987654321"),
        ({"order": "asc"}, "123456789"),
        ({"batch_size": 3}, "987"),
        ({"batch_size": 3, "order": "asc", "navigate_earlier": True}, "789"),
        ({"batch_size": 3, "navigate_earlier": False}, "123"),
        ({"batch_size": 3, "navigate_earlier": False, "order": "desc"}, "321"),
        ({"batch_size": 3, "from_timestamp": 7}, "654"),
        ({"batch_size": 3, "from_timestamp": 7, "navigate_earlier": False}, "89"),
        ({"from_timestamp": 1}, ""),
        ({"from_timestamp": 9, "navigate_earlier": False}, ""),
        ({"from_timestamp": 9e18}, "987654321"),
        ({"batch_size": -5}, "9"),
        ({"batch_size": 2**31 - 1}, "987654321"),
    ],
    ids=str,
)
def test_the_console(api: ApiClient, task: str, arguments: Json, found: str) -> None:
    api.add_events([line(task, n, str(n)) for n in (4, 9, 2, 7, 5, 1, 3, 8, 6)])
    reply = api.call("events.get_task_log", task=task, **arguments)
    assert "".join(event["msg"] for event in reply["events"]) == found
    assert (reply["returned"], reply["total"]) == (len(found), 9)


@pytest.mark.parametrize("arguments", [{"batch_size": 2**31}, {"from_timestamp": 1e300}, {"order": "up"}], ids=str)
def test_what_the_console_cannot_be_asked(api: ApiClient, task: str, arguments: Json) -> None:
    assert api.error("events.get_task_log", task=task, **arguments) == (400, 12)


@pytest.mark.parametrize("earlier", [True, False])
def test_paging_through_the_console_repeats_and_loses_nothing(api: ApiClient, task: str, earlier: bool) -> None:
    api.add_events([line(task, 1 + n // 4, f"{n:02}") for n in range(30)])  # four lines a millisecond
    seen: list[str] = []
    cursor = None
    while True:
        reply = api.call(
            "events.get_task_log", task=task, batch_size=5, navigate_earlier=earlier, from_timestamp=cursor
        )
        assert reply["total"] == 30
        if not reply["events"]:
            break
        seen += [event["msg"] for event in reply["events"]]
        cursor = reply["events"][-1]["timestamp"]
    assert seen == sorted((f"{n:02}" for n in range(30)), reverse=earlier)


def test_the_console_can_be_cleared_of_what_is_old(api: ApiClient, task: str) -> None:
    old, young = NOW_MS - 61_000, NOW_MS - 59_000
    api.add_events([line(task, old, "old"), line(task, old, "spared") | {"metric": "m"}, line(task, young, "young")])

    def texts() -> list[str]:
        return [e["msg"] for e in api.call("events.get_task_log", task=task, order="asc")["events"]]

    assert api.call("events.clear_task_log", task=task, threshold_sec=60, exclude_metrics=["m"]) == {"deleted": 1}
    assert texts() == ["spared", "young"]
    assert api.call("events.clear_task_log", task=task, include_metrics=["m"]) == {"deleted": 1}
    assert api.call("events.clear_task_log", task=task) == {"deleted": 1}
    assert texts() == []
    assert api.error("events.clear_task_log", task="none") == (400, 101)


def test_the_console_as_a_file(api: ApiClient, task: str) -> None:
    api.add_events([{**line(task, 1500, "one\ntwo"), "level": "info"}, line(task, 2**62, "{level}")])

    def download(**arguments: Any) -> str:
        reply = api.send("/events.download_task_log", msgspec.json.encode({"task": task, **arguments}))
        assert reply.headers["Content-Disposition"].startswith("attachment")
        text: str = reply.data.decode()
        return text

    assert download() == f"1970-01-01T00:00:01.500000+00:00  info one\ntwo\n{2**62}   {{level}}\n"
    assert download(line_format="{msg.__class__}{msg:99}|{level}") == "{msg.__class__}{msg:99}|info\n" + (
        "{msg.__class__}{msg:99}|\n"
    )
    events = [msgspec.json.decode(text) for text in download(line_type="json").splitlines()]
    assert events == api.call("events.get_task_log", task=task, order="asc")["events"]
    assert api.error("events.download_task_log", task="none") == (400, 101)


def test_lines_are_kept_as_they_came_and_never_replaced(api: ApiClient, task: str) -> None:
    text = "two\nlines\r with \x1b[0m, ☃ and \0 in them"
    api.add_events([{**line(task, 5, text), "level": "INFO", "worker": "w"}] * 2)
    events = api.call("events.get_task_log", task=task)["events"]
    assert [(e["msg"], e["level"], e["worker"], e["type"], e["task"]) for e in events] == [
        (text, "INFO", "w", "log", task)
    ] * 2


# plots


def test_plots_of_the_last_iterations(api: ApiClient, task: str) -> None:
    api.add_events([plot(task, i, f"{i}{v}", v) for v in "ab" for i in (1, 2, 3)] + [plot(task, 7, "7c", "c")])
    api.add_events([plot(task, 3, "again", "a")])

    def texts(**arguments: Any) -> list[str]:
        return [p["plot_str"] for p in api.call("events.get_task_plots", task=task, **arguments)["plots"]]

    assert texts() == ["again", "3b", "7c"]
    assert texts(iters=2) == ["again", "2a", "3b", "2b", "7c"]
    assert texts(metrics=[{"metric": "p", "variants": ["c"]}]) == ["7c"]
    reply = api.call("events.get_task_plots", task=task)
    assert (reply["returned"], reply["total"]) == (3, 3)
    assert texts(scroll_id=reply["scroll_id"]) == []
    assert "scroll_id" not in api.call("events.get_task_plots", task=task, no_scroll=True)


def test_a_plot_is_kept_verbatim(api: ApiClient, task: str) -> None:
    text = '{"data": [ {"y":[1.10, NaN]} ],\n "x": "é\\u00e9"}'
    api.add_events([plot(task, 1, text)])
    assert api.call("events.get_task_plots", task=task)["plots"][0]["plot_str"] == text


# samples by iteration


def walk(api: ApiClient, endpoint: str, task: str, **arguments: Any) -> tuple[list[tuple[int, list[str]]], str]:
    reply = api.call(f"events.{endpoint}", **{"metrics": [{"task": task}], **arguments})
    (entry,) = reply["metrics"]
    assert entry["task"] == task
    groups = [
        (group["iter"], [e.get("url", e.get("plot_str")) for e in group["events"]]) for group in entry["iterations"]
    ]
    return groups, reply["scroll_id"]


def test_debug_images_go_back_in_time_and_run_dry(api: ApiClient, task: str) -> None:
    api.add_events([image(task, i, f"{i}{v}", v) for i in (1, 2, 3) for v in "ab"])
    groups, scroll = walk(api, "debug_images", task)
    assert groups == [(3, ["3a", "3b"])]
    api.add_events([image(task, 4, "4a")])
    assert walk(api, "debug_images", task, scroll_id=scroll, iters=5) == (
        [(2, ["2a", "2b"]), (1, ["1a", "1b"])],
        scroll,
    )
    assert walk(api, "debug_images", task, scroll_id=scroll) == ([], scroll)
    assert walk(api, "debug_images", task, scroll_id=scroll) == ([], scroll)
    assert walk(api, "debug_images", task, scroll_id=scroll, navigate_earlier=False)[0] == [(3, ["3a", "3b"])]
    assert walk(api, "debug_images", task, scroll_id=scroll, navigate_earlier=False)[0] == []
    assert walk(api, "debug_images", task, scroll_id=scroll, refresh=True)[0] == [(4, ["4a"])]


def test_an_image_whose_file_was_reused_is_gone(api: ApiClient, task: str) -> None:
    api.add_events([image(task, 1, "u0"), image(task, 2, "u1"), image(task, 3, "u0"), image(task, 3, "u0", "w")])
    groups, _ = walk(api, "debug_images", task, iters=10)
    assert groups == [(3, ["u0", "u0"]), (2, ["u1"])]


def test_plots_by_iteration_share_their_scroll_with_images(api: ApiClient, task: str) -> None:
    api.add_events([plot(task, 1, "1"), plot(task, 2, "2"), image(task, 9, "nine"), image(task, 8, "eight")])
    groups, scroll = walk(api, "plots", task)
    assert groups == [(2, ["2"])]
    assert walk(api, "debug_images", task, scroll_id=scroll)[0] == [(9, ["nine"])]
    assert walk(api, "plots", task, scroll_id=scroll)[0] == [(1, ["1"])]
    assert walk(api, "debug_images", task, scroll_id=scroll)[0] == [(8, ["eight"])]


def test_images_by_metric_and_of_several_tasks(api: ApiClient, task: str) -> None:
    other = api.call("tasks.create", name="another", type="training")["id"]
    api.add_events([image(task, 1, "a", "a"), image(task, 1, "b", "b"), image(other, 2, "c")])
    wanted = [{"task": task, "metric": "m", "variants": ["b"]}, {"task": other}]
    reply = api.call("events.debug_images", metrics=wanted)
    assert [(m["task"], m["iterations"][0]["events"][0]["url"]) for m in reply["metrics"]] == [
        (task, "b"),
        (other, "c"),
    ]
    assert api.call("events.debug_images", metrics=[{"task": other, "metric": "none"}])["metrics"] == [
        {"task": other, "iterations": []}
    ]


@pytest.mark.parametrize("endpoint", ["debug_images", "plots"])
def test_walks_that_cannot_be(api: ApiClient, task: str, endpoint: str) -> None:
    assert api.error(f"events.{endpoint}", metrics=[{"task": task}], scroll_id="unknown") == (400, 1104)
    assert api.error(f"events.{endpoint}", metrics=[{"task": "none"}]) == (400, 101)
    assert api.error(f"events.{endpoint}") == (400, 12)
    scroll = walk(api, endpoint, task)[1]
    api.move_clock(601)
    assert api.error(f"events.{endpoint}", metrics=[{"task": task}], scroll_id=scroll) == (400, 1104)


# raw events


@pytest.mark.parametrize(
    "kind", ["training_stats_scalar", "log", "plot", "training_debug_image", "training_stats_vector"]
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_raw_events_page_by_page(api: ApiClient, task: str, kind: str, order: str) -> None:
    event = {"type": kind, "task": task, "metric": "m", "variant": "v"}
    parts: Json = {"value": 1.5, "values": [1.0, 2.0], "msg": "x", "plot_str": "{}", "url": "u"}
    api.add_events([{**event, **parts, "iter": n, "timestamp": 100 + n} for n in range(7)])
    seen: list[int] = []
    scroll = None
    for returned in (3, 3, 1, 0):
        reply = api.call(
            "events.get_task_events", task=task, event_type=kind, batch_size=3, order=order, scroll_id=scroll
        )
        assert (reply["returned"], len(reply["events"]), reply["total"]) == (returned, returned, 7)
        assert all(found["type"] == kind for found in reply["events"])
        seen += [found["timestamp"] - 100 for found in reply["events"]]
        scroll = reply["scroll_id"]
    assert seen == sorted(range(7), reverse=order == "desc")


def test_a_page_of_raw_events_begins_where_the_former_ended(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, 1.0, n, timestamp=5 + n // 4, variant=v) for n in range(10) for v in "ab"])
    api.add_events([line(task, 6, str(n)) for n in range(9)] + [plot(task, 6), image(task, 9, "u")])
    for order in ("asc", "desc"):
        seen: list[Json] = []
        scroll = None
        while True:
            reply = api.call("events.get_task_events", task=task, batch_size=4, order=order, scroll_id=scroll)
            if not reply["events"]:
                break
            assert len(reply["events"]) <= 4
            seen += reply["events"]
            scroll = reply["scroll_id"]
            if order == "asc":  # comes before the cursor, or after everything
                api.add_events([scalar(task, 2.0, len(seen) + 100, timestamp=1)])
        stamps = [event["timestamp"] for event in seen]
        assert stamps == sorted(stamps, reverse=order == "desc")
        names = [msgspec.json.encode(event) for event in seen if event["timestamp"] > 1]
        assert len(names) == 31
        assert sorted(event["msg"] for event in seen if event["type"] == "log") == sorted(str(n) for n in range(9))


@pytest.mark.parametrize("endpoint", ["get_task_events", "get_scalar_metric_data", "scalar_metrics_iter_raw"])
@pytest.mark.parametrize("scroll_id", ["nonsense", "events:", "W10=", "ICAgICA", "é" * 99, "WyJhIl0="])
@pytest.mark.usefixtures("no_stack_traces")
def test_a_scroll_id_of_another_kind(api: ApiClient, task: str, scroll_id: str, endpoint: str) -> None:
    metric: Any = {"metric": "m"} if endpoint == "scalar_metrics_iter_raw" else "m"
    assert api.error(f"events.{endpoint}", task=task, scroll_id=scroll_id, metric=metric) == (400, 1104)


def test_the_points_of_a_metric(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, float(n), n, metric=m) for n in range(3) for m in ("loss", "other")])
    reply = api.call("events.get_scalar_metric_data", task=task, metric="loss", no_scroll=True)
    assert [(e["metric"], e["iter"], e["value"]) for e in reply["events"]] == [("loss", n, float(n)) for n in range(3)]
    assert (reply["returned"], reply["total"], "scroll_id" in reply) == (3, 3, False)
    assert api.call("events.get_scalar_metric_data", task=task)["total"] == 6


def test_every_point_of_a_metric_page_by_page(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, float(n), n, variant=v) for n in range(5) for v in ("a", "b", "c")])
    api.add_events([scalar(task, 9.0, SINGLE_VALUE, variant="a"), scalar(task, 1.0, metric="other")])
    metric = {"metric": "loss", "variants": ["a", "b"]}
    reply = api.call("events.scalar_metrics_iter_raw", task=task, metric=metric, batch_size=4, count_total=True)
    assert reply["total"] == 11
    points: list[tuple[str, int, float]] = []
    sizes = []
    while reply["returned"]:
        sizes.append(reply["returned"])
        for variant, part in reply["variants"].items():
            points += zip([variant] * len(part["x"]), part["x"], part["y"], strict=True)
        reply = api.call("events.scalar_metrics_iter_raw", task=task, metric=metric, scroll_id=reply["scroll_id"])
    assert sizes == [4, 4, 3]
    assert points == [("a", SINGLE_VALUE, 9.0)] + [(v, n, float(n)) for v in "ab" for n in range(5)]
    assert "total" not in reply
    every = api.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "loss"}, key="timestamp")
    assert (every["returned"], every["variants"]["b"]["x"][:2]) == (16, [1000, 1001])
    none = api.call("events.scalar_metrics_iter_raw", task=task, metric={"metric": "none"})
    assert (none["variants"], none["returned"]) == ({}, 0)


# vectors


def test_vectors(api: ApiClient, task: str) -> None:
    vector = {"type": "training_stats_vector", "task": task, "metric": "m", "variant": "v"}
    api.add_events([{**vector, "iter": n, "values": [n, 0.5]} for n in (2, 1)])
    found = api.call("events.get_vector_metrics_and_variants", task=task)
    assert found == {"metrics": [{"metric": "m", "variants": ["v"]}]}
    found = api.call("events.vector_metrics_iter_histogram", task=task, metric="m", variant="v")
    assert (found["iterations"], found["vectors"]) == ([1, 2], [[1.0, 0.5], [2.0, 0.5]])
    assert api.call("events.vector_metrics_iter_histogram", task=task, metric="m", variant="w")["vectors"] == []


def test_events_of_a_model_can_be_deleted(api: ApiClient) -> None:
    model = api.call("models.create", name="model", uri="u")["id"]
    api.add_events([{**scalar(model, 1.0), "model_event": True}])
    assert api.call("events.delete_for_model", model=model) == {"deleted": True}
    assert api.call("events.get_scalar_metrics_and_variants", task=model, model_events=True) == {"metrics": {}}
    assert api.error("events.delete_for_model", model="none") == (400, 201)


def test_events_can_be_deleted(api: ApiClient, task: str) -> None:
    api.add_events([scalar(task, 1.0), line(task, 1, "x")])
    assert api.call("events.delete_for_task", task=task)["deleted"] is True
    assert api.call("events.get_task_log", task=task)["total"] == 0
    assert api.error("events.delete_for_task", task="none") == (400, 101)
