"""Workers: who is there, and what their machines do."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json, basic

START = 1_767_225_600  # of the tests' clock, in seconds since the epoch
STATS = {"cpu_usage": [10.0, 30.0], "memory_used": 50, "gpu_usage": [], "memory_free": None}


def report(api: ApiClient, worker: str = "w", *, at: float = 0, **fields: Any) -> None:
    api.call("workers.status_report", worker=worker, timestamp=int((START + at) * 1000), **fields)


def there(api: ApiClient, **conditions: Any) -> list[str]:
    found = api.call("workers.get_all", **conditions)["workers"]
    assert api.call("workers.get_count", **{"last_seen": 3600, **conditions}) == {"count": len(found)}
    return [worker["id"] for worker in found]


def test_a_worker_and_what_it_does(api: ApiClient) -> None:
    project = api.call("projects.create", name="project")["id"]
    task, first = (
        api.call("tasks.create", name=name, type="training", project=project)["id"]
        for name in ("a task", "a first one")
    )
    queue = api.call("queues.create", name="queue", display_name="The queue")["id"]
    api.call("tasks.enqueue", task=first, queue=queue)
    api.call("tasks.started", task=task)
    api.call("workers.register", worker="host:0", queues=[queue, "gone"], tags=["a"], system_tags=["b"])
    api.move_clock(30)
    report(api, "host:0", at=30, task=task, queue=queue, machine_stats=STATS, tags=None)
    (worker,) = api.call("workers.get_all")["workers"]
    shown = {
        "id": queue,
        "name": "queue",
        "display_name": "The queue",
        "num_tasks": 1,
        "next_task": {"id": first, "name": "a first one"},
    }
    assert worker == {
        "id": "host:0",
        "key": f"worker_{worker['company']['id']}_{api.user}_host:0",
        "ip": "127.0.0.1",
        "user": {"id": api.user, "name": "tester"},
        "company": worker["company"],
        "register_time": "2026-01-01T00:00:00.000000+00:00",
        "last_activity_time": "2026-01-01T00:00:30.000000+00:00",
        "last_report_time": "2026-01-01T00:00:30.000000+00:00",
        "task": {"id": task, "name": "a task", "running_time": 30_000, "last_iteration": 0},
        "project": {"id": project, "name": "project"},
        "queue": shown,
        "queues": [shown, {"id": "gone", "name": ""}],
        "tags": ["a"],
        "system_tags": ["b"],
    }
    found = api.call("tasks.get_by_id", task=task)["task"]
    assert found["last_worker"] == "host:0"
    assert found["last_worker_report"] == found["last_update"] == "2026-01-01T00:00:30.000000+00:00"
    report(api, "host:0", at=31)
    (worker,) = api.call("workers.get_all")["workers"]
    assert {"task", "project", "queue"}.isdisjoint(worker)
    assert len(worker["queues"]) == 2


def test_a_stop_asks_the_worker_that_reported(api: ApiClient) -> None:
    task = api.call("tasks.create", name="a task", type="training")["id"]
    api.call("tasks.started", task=task)
    report(api, task=task)
    assert api.call("tasks.stop", task=task)["fields"]["status_message"] == "stopping"


def test_a_report_makes_a_worker_that_nobody_registered(api: ApiClient) -> None:
    report(api, task="none", tags=None, machine_stats=None)
    assert there(api) == ["w"]
    api.call("workers.unregister", worker="w")
    assert there(api) == []
    assert api.error("workers.unregister", worker="w") == (400, 1004)
    report(api)
    assert there(api) == ["w"]


def test_a_worker_is_gone_after_its_timeout(api: ApiClient) -> None:
    api.call("workers.register", worker="short", timeout=60)
    api.call("workers.register", worker="usual")
    api.move_clock(59)
    assert there(api) == ["short", "usual"]
    report(api, "short")
    api.move_clock(59)
    assert there(api) == ["short", "usual"]
    api.move_clock(2)
    assert there(api) == ["usual"]
    api.move_clock(500)
    assert there(api) == []


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ({}, ["host:0", "host:1", "other"]),
        ({"last_seen": 10}, ["other"]),
        ({"last_seen": 0}, ["host:0", "host:1", "other"]),
        ({"tags": ["a"]}, ["host:0", "host:1"]),
        ({"tags": ["a", "b"]}, ["host:0", "host:1", "other"]),
        ({"tags": ["a", "-b"]}, ["host:0"]),
        ({"tags": ["-a"]}, ["other"]),
        ({"system_tags": ["s"]}, ["other"]),
        ({"worker_pattern": "host*"}, ["host:0", "host:1"]),
        ({"worker_pattern": "*:1"}, ["host:1"]),
    ],
    ids=str,
)
def test_which_workers(api: ApiClient, conditions: Json, found: list[str]) -> None:
    api.call("workers.register", worker="host:1", tags=["a", "b"])
    api.call("workers.register", worker="host:0", tags=["a"])
    api.move_clock(20)
    api.call("workers.register", worker="other", tags=["b"], system_tags=["s"])
    assert there(api, **conditions) == found


def test_registering_again_begins_anew(api: ApiClient) -> None:
    api.call("workers.register", worker="w", tags=["a"])
    api.move_clock(5)
    api.call("workers.register", worker="w")
    (worker,) = api.call("workers.get_all")["workers"]
    assert (worker["tags"], worker["register_time"]) == ([], "2026-01-01T00:00:05.000000+00:00")


# figures


def stats(api: ApiClient, *items: tuple[str, str], **fields: Any) -> list[Json]:
    arguments = {"from_date": START, "to_date": START + 120, "interval": 10, **fields}
    wanted = [{"key": key, "category": category} for key, category in items]
    found: list[Json] = api.call("workers.get_stats", items=wanted, **arguments)["workers"]
    return found


def test_metric_keys(api: ApiClient) -> None:
    report(api, machine_stats={**STATS, "cpu_temperature": [50]})
    expected = [
        {"name": "cpu", "metric_keys": ["cpu_temperature", "cpu_usage"]},
        {"name": "memory", "metric_keys": ["memory_used"]},
    ]
    assert api.call("workers.get_metric_keys", worker_ids=["w"])["categories"] == expected
    assert api.call("workers.get_metric_keys")["categories"] == expected
    assert api.error("workers.get_metric_keys", worker_ids=["none"]) == (400, 1005)


def test_stats_by_bucket(api: ApiClient) -> None:
    report(api, at=0, machine_stats={"cpu_usage": [10, 30], "memory_used": 5})
    report(api, at=39, machine_stats={"cpu_usage": [20, 60], "memory_used": 6})
    report(api, at=80, machine_stats={"cpu_usage": [1, 3]})
    dates = [START * 1000, (START + 80) * 1000]
    assert stats(api, ("cpu_usage", "avg"), ("cpu_usage", "max"), ("memory_used", "min"), ("gpu_usage", "avg")) == [
        {
            "worker": "w",
            "metrics": [
                {
                    "metric": "cpu_usage",
                    "dates": dates,
                    "stats": [
                        {"aggregation": "avg", "values": [30.0, 2.0]},
                        {"aggregation": "max", "values": [60.0, 3.0]},
                    ],
                },
                {"metric": "memory_used", "dates": dates[:1], "stats": [{"aggregation": "min", "values": [5.0]}]},
            ],
        }
    ]
    ((one,),) = [worker["metrics"] for worker in stats(api, ("memory_used", "avg"), split_by_variant=True)]
    assert one["variant"] == ""
    (worker,) = stats(api, ("cpu_usage", "avg"), split_by_variant=True)
    assert [(m["variant"], m["stats"][0]["values"]) for m in worker["metrics"]] == [
        ("0", [15.0, 1.0]),
        ("1", [45.0, 3.0]),
    ]
    assert stats(api, ("cpu_usage", "avg"), worker_ids=["none"]) == []
    assert stats(api) == []


def test_stats_over_midnight_and_of_long_ago(api: ApiClient) -> None:
    api = api.authorized(basic(api.keys.access_key, api.keys.secret_key))  # which outlives a token
    report(api, at=0, machine_stats={"memory_used": 1})
    api.move_clock(24 * 3600)
    report(api, at=24 * 3600, machine_stats={"memory_used": 2})

    def values() -> list[float]:
        span = {"from_date": 0, "to_date": START + 10**8, "interval": 10**9}
        (worker,) = stats(api, ("memory_used", "max"), ("memory_used", "min"), **span)
        return [series["values"][0] for series in worker["metrics"][0]["stats"]]

    assert values() == [2.0, 1.0]
    api.move_clock(35 * 24 * 3600)
    report(api, at=36 * 24 * 3600, machine_stats={"memory_used": 3})
    assert values() == [3.0, 2.0]


def test_a_report_of_another_age_counts_for_now(api: ApiClient) -> None:
    for timestamp in (0, START, 2**62, -5):
        api.call("workers.status_report", worker="w", timestamp=timestamp, machine_stats={"memory_used": 1})
    (worker,) = stats(api, ("memory_used", "avg"))
    assert worker["metrics"][0]["dates"] == [START * 1000]


def test_activity(api: ApiClient) -> None:
    task = api.call("tasks.create", name="a task", type="training")["id"]
    report(api, "a", at=-360)
    report(api, "b", at=-350)
    report(api, "a", at=-355, task=task)
    report(api, "a", at=0, task=task)
    found = api.call("workers.get_activity_report", from_date=START - 400, to_date=START, interval=20)
    assert found["total"]["dates"] == [(START - 400 + 40 * number) * 1000 for number in range(10)]
    assert found["active"]["dates"] == found["total"]["dates"]
    assert found["total"]["counts"] == [0, 2, 0, 0, 0, 0, 0, 0, 0, 1]
    assert found["active"]["counts"] == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_chart_has_a_bounded_number_of_points(api: ApiClient) -> None:
    found = api.call("workers.get_activity_report", from_date=0, to_date=200_000_000_000, interval=1)
    assert len(found["total"]["counts"]) <= 10_000
    assert api.error("workers.get_activity_report", from_date=5, to_date=5, interval=1) == (400, 12)


@pytest.mark.parametrize(
    "fields",
    [
        {"worker": ""},
        {"worker": "w" * 1001},
        {"timestamp": 2**64},
        {"machine_stats": {"cpu_usage": ["x"]}},
        {"tags": 1},
    ],
    ids=["no name", "long name", "no time", "no number", "no tags"],
)
def test_reports_that_do_not_validate(api: ApiClient, fields: Json) -> None:
    assert api.error("workers.status_report", **{"worker": "w", "timestamp": 1, **fields}) == (400, 12)
    assert there(api) == []
