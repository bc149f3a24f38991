"""Queues: what is in them, in which order, and that nobody gets what another has got."""

from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from trainshed.bootstrap import build_services
from trainshed.domain.identity import Identity
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json, serve, sqlite_engines
from trainshed.testing.queues import filled, queue, task, waiting

START = 1_767_225_600  # of the tests' clock, in seconds since the epoch
SQLITE = pytest.mark.parametrize("engines", ["sqlite"], indirect=True)


# queues


def test_a_new_queue(api: ApiClient) -> None:
    created = queue(api, "  one  ", tags=["t"], metadata={"k": {"type": "str", "value": "v"}}, display_name="One")
    found = api.call("queues.get_by_id", queue=created)["queue"]
    assert found == {
        "id": created,
        "name": "one",
        "display_name": "One",
        "user": api.user,
        "company": found["company"],
        "created": "2026-01-01T00:00:00.000000+00:00",
        "tags": ["t"],
        "system_tags": [],
        "entries": [],
        "metadata": {"k": {"key": "k", "type": "str", "value": "v"}},
    }


def test_names_are_unique_and_long_enough(api: ApiClient) -> None:
    first, second = queue(api, "first"), queue(api, "second")
    assert api.error("queues.create", name=" first") == (400, 801)
    assert api.error("queues.update", queue=second, name="first") == (400, 801)
    assert api.error("queues.create", name="ab") == (400, 800)
    fields = api.call("queues.update", queue=first, name=" other ", tags=["t"])["fields"]
    assert fields == {"name": "other", "tags": ["t"]}


def test_unknown_queues(api: ApiClient) -> None:
    name = queue(api, "by name") and "by name"
    for endpoint in ("get_by_id", "update", "delete", "get_next_task", "peek_task", "get_num_entries", "clear_queue"):
        assert api.error(f"queues.{endpoint}", queue=name) == (400, 701), endpoint
    assert api.error("queues.add_task", queue=name, task=task(api)) == (400, 701)


def test_the_default_queue_is_made_when_it_is_asked_for(api: ApiClient) -> None:
    default = api.call("queues.get_default")
    assert default == {"id": default["id"], "name": "default"}
    assert api.call("queues.get_default") == default
    queue(api, "second", system_tags=["default"])
    assert api.error("queues.get_default") == (400, 708)


def test_a_queue_named_default_becomes_the_default(api: ApiClient) -> None:
    named = queue(api, "default")
    assert api.call("queues.get_default")["id"] == named


def test_metadata(api: ApiClient) -> None:
    created = queue(api, metadata={"a": {"value": "1"}})

    def metadata() -> Json:
        found: Json = api.call("queues.get_by_id", queue=created)["queue"]["metadata"]
        return {key: item["value"] for key, item in found.items()}

    api.call("queues.add_or_update_metadata", queue=created, metadata=[{"key": "b.c", "value": "2"}])
    assert metadata() == {"a": "1", "b.c": "2"}
    api.call("queues.delete_metadata", queue=created, keys=["a", "none"])
    assert metadata() == {"b.c": "2"}
    api.call(
        "queues.add_or_update_metadata", queue=created, metadata=[{"key": "d", "value": "3"}], replace_metadata=True
    )
    assert metadata() == {"d": "3"}
    api.call("queues.update", queue=created, metadata={"e": {"key": "e", "value": "4"}})
    assert metadata() == {"e": "4"}


def test_queues_of_kubernetes_are_found_only_when_asked_for(api: ApiClient) -> None:
    plain, hidden = queue(api, "plain"), queue(api, "glued", system_tags=["k8s-glue"])

    def found(**conditions: Any) -> set[str]:
        return {q["id"] for q in api.call("queues.get_all", **conditions)["queues"]}

    assert found() == {plain}
    assert found(tags=[]) == {plain}
    assert found(id=[hidden]) == found(name="^glued$") == {hidden}
    assert found(search_hidden=True) == {plain, hidden}


def test_entries_of_a_listing_may_be_limited(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 3)
    (listed,) = api.call("queues.get_all", id=[queue_id], max_task_entries=2)["queues"]
    assert [entry["task"] for entry in listed["entries"]] == tasks[:2]
    one = api.call("queues.get_by_id", queue=queue_id, max_task_entries=0)["queue"]
    assert one["entries"] == []


def test_the_extended_listing_names_tasks_and_workers(api: ApiClient) -> None:
    queue_id, (waits, runs) = filled(api, 2)
    api.call("queues.remove_task", queue=queue_id, task=runs)
    api.call("workers.status_report", worker="idle", queues=[queue_id], timestamp=START * 1000)
    api.call("workers.status_report", worker="busy", queues=["x", queue_id], task=runs, timestamp=START * 1000)
    api.call("workers.register", worker="elsewhere", queues=["x"])
    (found,) = api.call("queues.get_all_ex")["queues"]
    company = found["company"]["id"]
    assert found["user"] == {"id": api.user}
    assert found["entries"] == [{"task": {"id": waits, "name": "task 0"}, "added": "2026-01-01T00:00:00.000000+00:00"}]
    key = f"worker_{company}_{api.user}_"
    task_of_busy = {"id": runs, "name": "task 1", "running_time": 0, "last_iteration": 0}
    assert found["workers"] == [
        {"name": "busy", "ip": "127.0.0.1", "key": f"{key}busy", "task": task_of_busy},
        {"name": "idle", "ip": "127.0.0.1", "key": f"{key}idle", "task": None},
    ]


def test_the_extended_listing_shows_what_was_asked_for(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 1)
    (found,) = api.call("queues.get_all_ex", only_fields=["name", "entries.task.name"])["queues"]
    assert set(found) == {"id", "name", "entries"}
    assert found["entries"][0]["task"] == {"id": tasks[0], "name": "task 0"}
    assert api.call("queues.get_all_ex", only_fields=["workers"])["queues"] == [{"id": queue_id, "workers": []}]


# taking


def test_first_come_first_served(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 2)
    assert api.call("queues.get_num_entries", queue=queue_id) == {"num": 2}
    assert api.call("queues.peek_task", queue=queue_id) == {"task": tasks[0]}
    entry = api.call("queues.get_next_task", queue=queue_id)["entry"]
    assert entry == {"task": tasks[0], "added": "2026-01-01T00:00:00.000000+00:00"}
    taken = api.call("queues.get_next_task", queue=queue_id, get_task_info=True)
    assert taken["entry"]["task"] == tasks[1]
    assert taken["task_info"]["user"] == api.user
    # The agent needs an empty object of an empty queue.
    assert api.call("queues.get_next_task", queue=queue_id) == {}
    assert api.call("queues.peek_task", queue=queue_id) == {}


@SQLITE
def test_no_two_agents_get_one_task(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 40)

    def agent(_: int) -> list[str]:
        got = []
        while entry := api.call("queues.get_next_task", queue=queue_id).get("entry"):
            got.append(entry["task"])
        return got

    with ThreadPoolExecutor(8) as pool:
        taken = [one for got in pool.map(agent, range(8)) for one in got]
    assert sorted(taken) == sorted(tasks)


@SQLITE
def test_no_entry_is_lost_when_many_enqueue_and_take(api: ApiClient) -> None:
    queue_id = queue(api)
    tasks = [task(api) for _ in range(24)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda task_id: api.call("tasks.enqueue", task=task_id, queue=queue_id), tasks))
        first = list(pool.map(lambda _: api.call("queues.get_next_task", queue=queue_id)["entry"]["task"], range(10)))
    assert sorted([*first, *waiting(api, queue_id)]) == sorted(tasks)


def take_all(folder: Path, queue_id: str, begin: Barrier, taken: Connection) -> None:
    """An agent of another process on the same data."""
    engines = sqlite_engines(folder)
    queueing = build_services(engines, token_secret=TOKEN_SECRET).task_queueing
    begin.wait()
    found = []
    while entry := queueing.take(Identity(user="agent"), queue_id):
        found.append(entry[0]["task"])
    taken.send(found)


def test_two_processes_never_take_the_same_entry(tmp_path: Path) -> None:
    api = serve(sqlite_engines(tmp_path))
    queue_id, tasks = filled(api, 20)
    api.engines.close()
    forked = get_context("fork")
    begin, ends = forked.Barrier(2), [forked.Pipe(duplex=False) for _ in range(2)]
    agents = [forked.Process(target=take_all, args=(tmp_path, queue_id, begin, end)) for _, end in ends]
    for agent in agents:
        agent.start()
    taken = [task for reader, _ in ends for task in reader.recv()]
    for agent in agents:
        agent.join()
    assert sorted(taken) == sorted(tasks)


# moving


@pytest.mark.parametrize(
    ("endpoint", "number", "count", "position"),
    [
        ("forward", 2, None, 1),
        ("forward", 2, 2, 0),
        ("forward", 1, 100, 0),
        ("backward", 1, None, 2),
        ("backward", 1, 100, 3),
        ("to_front", 2, None, 0),
        ("to_back", 0, None, 3),
        ("to_front", 0, None, 0),
    ],
)
def test_moving(api: ApiClient, endpoint: str, number: int, count: int | None, position: int) -> None:
    queue_id, tasks = filled(api, 4)
    moved = api.call(f"queues.move_task_{endpoint}", queue=queue_id, task=tasks[number], count=count)
    assert moved == {"position": position}
    others = [other for other in tasks if other != tasks[number]]
    assert waiting(api, queue_id) == [*others[:position], tasks[number], *others[position:]]


def test_moving_what_is_not_there(api: ApiClient) -> None:
    queue_id = queue(api)
    for endpoint in ("forward", "backward", "to_front", "to_back"):
        assert api.error(f"queues.move_task_{endpoint}", queue=queue_id, task=task(api)) == (400, 703)
        assert api.error(f"queues.move_task_{endpoint}", queue="none", task=task(api)) == (400, 701)
    assert api.error("queues.move_task_forward", queue=queue_id, task=task(api), count=0) == (400, 12)


# figures


def metrics(api: ApiClient, seconds: int, interval: int, **fields: Any) -> list[Json]:
    arguments = {"from_date": START, "to_date": START + seconds, "interval": interval, **fields}
    found: list[Json] = api.call("queues.get_queue_metrics", **arguments)["queues"]
    return found


def test_lengths_and_waiting_times(api: ApiClient) -> None:
    queue_id, tasks = queue(api), [task(api), task(api)]
    api.call("tasks.enqueue", task=tasks[0], queue=queue_id)  # 1 task that waited 0 s
    api.move_clock(4)
    api.call("tasks.enqueue", task=tasks[1], queue=queue_id)  # 2 tasks: 4 s and 0 s
    api.move_clock(8)
    api.call("queues.get_next_task", queue=queue_id)  # 1 task that waited 8 s
    assert metrics(api, 20, 5, queue_ids=[queue_id]) == [
        {
            "queue": queue_id,
            "dates": [START * 1000, (START + 10) * 1000],
            "avg_waiting_times": [2.0, 8.0],
            "queue_lengths": [2, 1],
        }
    ]
    other = queue(api, "empty one")
    assert metrics(api, 20, 5, queue_ids=[other]) == [
        {"queue": other, "dates": [], "avg_waiting_times": [], "queue_lengths": []}
    ]


def test_figures_of_all_queues_are_averages(api: ApiClient) -> None:
    filled(api, 2)
    queue(api, "empty one")
    api.move_clock(3)
    (total,) = metrics(api, 20, 5, refresh=True)
    assert (total["avg_waiting_times"], total["queue_lengths"]) == ([1.5], [1])


def test_a_span_that_ends_before_it_begins(api: ApiClient) -> None:
    assert api.error("queues.get_queue_metrics", from_date=2, to_date=1, interval=1) == (400, 12)
    assert len(metrics(api, 10**9, 1)) == 1
