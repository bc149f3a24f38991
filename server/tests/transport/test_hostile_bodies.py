"""Bodies that only a broken or hostile client sends: the caller's error, and not the server's."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from trainshed.ports.patterns import compile_pattern
from trainshed.services.checks import MAX_NAME
from trainshed.testing.api import ApiClient

MEMORY = pytest.mark.parametrize("engines", ["memory"], indirect=True)
NO_TEXT = b'"\xff\xfe"'
DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = "x" * (MAX_NAME + 1)


@MEMORY
@pytest.mark.usefixtures("no_stack_traces")
@pytest.mark.parametrize("value", [NO_TEXT, DEEP], ids=["no UTF-8", "deep"])
def test_arguments(api: ApiClient, value: bytes) -> None:
    assert api.send("/tasks.create", b'{"type": "training", "name": ' + value + b"}").pair == (400, 0)


@MEMORY
@pytest.mark.usefixtures("no_stack_traces")
@pytest.mark.parametrize("value", [NO_TEXT, DEEP], ids=["no UTF-8", "deep"])
@pytest.mark.parametrize("key", [b"msg", b"more", b"allow_locked", b"timestamp"])
def test_lines_beside_good_ones(api: ApiClient, key: bytes, value: bytes) -> None:
    task = api.call("tasks.create", name="one", type="training")["id"].encode()
    good = b'{"type": "log", "task": "' + task + b'", "msg": "x"}'
    bad = b'{"type": "log", "task": "' + task + b'", "' + key + b'": ' + value + b"}"
    data = api.send("/events.add_batch", b"\n".join([good, bad, good])).data
    # What stands in a field that nobody reads is passed over where it can be.
    assert (data["added"], data["errors"]) in ((2, 1), (3, 0))
    assert api.send("/events.add", bad).pair == (400, 0)
    assert api.send("/tasks.update_batch", bad).pair == ((200, 0) if value is NO_TEXT else (400, 12))


@MEMORY
def test_more_lines_that_are_no_events_than_anybody_sends(api: ApiClient) -> None:
    assert api.send("/events.add_batch", b"{}\n" * 300_000).pair == (413, 0)


@MEMORY
def test_a_cursor_that_is_deep(api: ApiClient) -> None:
    task = api.call("tasks.create", name="one", type="training")["id"]
    cursor = "eyJhIjog" + "W1tb" * 30_000
    assert api.error("events.get_task_events", task=task, scroll_id=cursor) == (400, 1104)


@MEMORY
@pytest.mark.parametrize(
    "create",
    [
        lambda api: api.error("tasks.create", name=LONG, type="training"),
        lambda api: api.error("projects.create", name=LONG),
        lambda api: api.error("queues.create", name=LONG),
        lambda api: api.error("models.create", name=LONG, uri="file:///m"),
    ],
    ids=["task", "project", "queue", "model"],
)
def test_a_name_that_no_listing_could_show(api: ApiClient, create: Callable[[ApiClient], tuple[int, int]]) -> None:
    assert create(api) == (400, 800)


@MEMORY
@pytest.mark.usefixtures("no_stack_traces")
def test_console_output_has_no_metrics(api: ApiClient) -> None:
    task = api.call("tasks.create", name="one", type="training")["id"]
    api.add_events([{"type": "log", "task": task, "msg": "x"}])
    assert api.call("events.get_multi_task_metrics", tasks=[task], event_type="log") == {"metrics": []}
    shown = api.call("events.get_task_metrics", tasks=[task], event_type="log")
    assert shown == {"metrics": [{"task": task, "metrics": []}]}


@MEMORY
def test_a_pattern_of_all_the_names_of_a_project_compiles(api: ApiClient) -> None:
    names = "|".join(f"experiment number {number}" for number in range(450))
    assert 9_000 < len(names) < 10_000
    assert compile_pattern(names, ignore_case=True).search("Experiment Number 449")


@MEMORY
@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        ("tasks.get_all_ex", {"only_fields": ["name"] * 1_001}),
        ("tasks.get_all_ex", {"order_by": ["name"] * 1_001}),
        ("tasks.get_all_ex", {"id": ["x"] * 100_001}),
        ("tasks.delete_many", {"ids": ["x"] * 10_001}),
        ("models.archive_many", {"ids": ["x"] * 10_001}),
        ("projects.get_task_tags", {"projects": ["x"] * 10_001}),
    ],
)
def test_more_names_than_a_call_may_have(api: ApiClient, endpoint: str, fields: dict[str, Any]) -> None:
    assert api.error(endpoint, **fields) == (400, 12)


@pytest.mark.parametrize("engines", ["sqlite"], indirect=True)
def test_more_projects_than_an_engine_can_be_asked_for_at_once(api: ApiClient) -> None:
    top = api.call("projects.create", name="top")["id"]
    below = api.call("projects.create", name="top/below")["id"]
    task = api.call("tasks.create", name="one", type="training", project=below)["id"]
    others = [str(number) for number in range(40_000)]
    found = api.call("tasks.get_all", project=[*others, top], include_subprojects=True)["tasks"]
    assert [one["id"] for one in found] == [task]


@MEMORY
def test_a_body_that_was_cut(api: ApiClient) -> None:
    task = api.call("tasks.create", name="one", type="training")["id"]
    line = msgspec.json.encode({"type": "log", "task": task, "msg": "x"})
    cut = api.http.post(
        "/events.add_batch",
        data=line + b"\n",
        headers={"Authorization": api.authorization},
        environ_overrides={"CONTENT_LENGTH": "1000"},
    )
    assert cut.status_code == 400
    assert api.call("events.get_task_log", task=task)["total"] == 0
