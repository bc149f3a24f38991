"""Tasks: what they hold, who may change it when, and their way from created to published."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.domain.status import Status, may_change
from trainshed.services.limits import LIMITS
from trainshed.testing.api import ApiClient, Json

ODD_KEYS = ["a.b", "$set", "a/b", 'quo"ted', "it's", "%2E", "__$any", "", " ", "é☃🚂", "a\\b", "x\ty", "-minus", "*"]
NOW = "2026-01-01T00:00:00.000000+00:00"


def create(api: ApiClient, **fields: Any) -> str:
    task: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return task


def get(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def put(engines: Engines, collection: str, document: str, **fields: Any) -> None:
    """Set what this slice's endpoints cannot."""
    engines.documents.update(collection, document, lambda d: d.update(fields))


def model(api: ApiClient, **fields: Any) -> str:
    created: str = api.call("models.create", **{"name": "m", "uri": "file:///m", **fields})["id"]
    return created


# create and read


def test_a_new_task_has_what_clients_test_and_no_nulls(api: ApiClient) -> None:
    task = get(api, create(api))
    assert task == {
        "id": task["id"],
        "name": "a task",
        "type": "training",
        "user": api.user,
        "company": task["company"],
        "created": NOW,
        "last_update": NOW,
        "last_change": NOW,
        "status": "created",
        "status_changed": NOW,
        "status_message": "",
        "status_reason": "",
        "comment": "",
        "tags": [],
        "system_tags": [],
        "execution": {"artifacts": []},
        "models": {"input": [], "output": []},
        "script": {},
        "hyperparams": {},
        "configuration": {},
        "runtime": {},
        "container": {},
        "output": {},
        "last_iteration": 0,
        "last_metrics": {},
    }


def test_unset_fields_are_left_out_at_any_depth(api: ApiClient) -> None:
    task = create(
        api,
        script={"repository": "r", "branch": None},
        hyperparams={"Args": {"lr": {"section": "Args", "name": "lr", "value": "1", "type": None}}},
        execution={"artifacts": [{"key": "k", "type": "t", "hash": None, "type_data": {"preview": None}}]},
        tags=None,
        parent=None,
        models=None,
    )
    found = get(api, task)
    assert found["script"] == {"repository": "r"}
    assert found["hyperparams"] == {"Args": {"lr": {"section": "Args", "name": "lr", "value": "1"}}}
    assert found["execution"]["artifacts"] == [{"key": "k", "type": "t", "mode": "output", "type_data": {}}]
    assert found["tags"] == []
    assert "parent" not in found


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_come_back(api: ApiClient, key: str) -> None:
    sections: Json = {
        "runtime": {key: {key: [key]}},
        "hyperparams": {key: {key: {"section": key, "name": key, "value": key}}},
        "configuration": {key: {"name": key, "value": key}},
        "container": {key: key},
    }
    task = create(api, **sections)
    assert {name: get(api, task)[name] for name in sections} == sections
    api.call("tasks.edit", task=task, **sections)
    (listed,) = api.call("tasks.get_all", id=[task], only_fields=list(sections))["tasks"]
    assert listed == {"id": task, **sections}


@pytest.mark.parametrize(
    "diff",
    ["diff --git a b\r\n+x\r\n", "print('whole script')\n\n", "\n", ""],
    ids=["CRLF", "script", "newline", "empty"],
)
def test_a_diff_is_kept_verbatim(api: ApiClient, diff: str) -> None:
    assert get(api, create(api, script={"diff": diff}))["script"]["diff"] == diff


@pytest.mark.parametrize(
    ("fields", "pair"),
    [
        ({"name": "ab"}, (400, 800)),
        ({"name": "  a  "}, (400, 800)),
        ({"name": None}, (400, 12)),
        ({"type": "cooking"}, (400, 12)),
        ({"project": "none"}, (400, 401)),
        ({"tags": "t"}, (400, 12)),
        ({"tags": [None]}, (400, 12)),
        ({"hyperparams": {"s": {"n": {"value": 1}}}}, (400, 12)),
        ({"execution": {"artifacts": [{"key": "k"}]}}, (400, 12)),
        ({"execution": {"artifacts": [{"key": "k", "type": "t", "mode": "inout"}]}}, (400, 12)),
        ({"models": {"input": [{"name": "n"}]}}, (400, 12)),
        ({"execution": {"model_labels": {"x": 2**63}}}, (400, 12)),
    ],
    ids=str,
)
def test_a_task_that_does_not_validate(api: ApiClient, fields: Json, pair: tuple[int, int]) -> None:
    assert api.error("tasks.create", **{"name": "a task", "type": "training", **fields}) == pair
    assert api.call("tasks.get_all")["tasks"] == []


def test_names_are_trimmed(api: ApiClient) -> None:
    task = create(api, name="  padded \n")
    assert get(api, task)["name"] == "padded"
    assert api.call("tasks.edit", task=task, name=" other ")["fields"]["name"] == "other"
    assert get(api, task)["name"] == "other"
    api.call("tasks.update", task=task, name=" third ")
    assert get(api, task)["name"] == "third"


def test_unknown_tasks(api: ApiClient) -> None:
    for endpoint in ("get_by_id", "edit", "update", "started", "stop", "publish", "reset", "delete", "ping"):
        assert api.error(f"tasks.{endpoint}", task="none") == (400, 101), endpoint


def test_public_tasks_can_be_read_only(api: ApiClient, engines: Engines) -> None:
    task = create(api)
    draft = model(api, task=task)
    put(engines, "tasks", task, company="")
    assert get(api, task)["name"] == "a task"
    for endpoint in ("edit", "update", "started", "stop", "reset", "delete", "ping"):
        assert api.error(f"tasks.{endpoint}", task=task, force=True) == (403, 21), endpoint
    assert api.error("events.delete_for_task", task=task) == (403, 21)
    assert api.error("models.get_by_id", model=draft) == (200, 0)


# edit


def test_an_edit_replaces_whole_sections_and_leaves_the_others(api: ApiClient) -> None:
    task = create(api, runtime={"a": 1, "b": 2}, script={"branch": "main"}, comment="kept", tags=["x"])
    api.call("tasks.edit", task=task, runtime={"c": 3}, script={}, tags=[], output_dest="")
    found = get(api, task)
    assert (found["runtime"], found["script"], found["tags"]) == ({"c": 3}, {}, [])
    assert found["comment"] == "kept"
    assert found["output"] == {"destination": ""}


def test_an_edit_without_the_queue_keeps_it(api: ApiClient) -> None:
    task = create(api)
    api.call("tasks.edit", task=task, execution={"queue": "q" * 32})
    api.call("tasks.edit", task=task, execution={"framework": "f"})
    assert get(api, task)["execution"] == {"artifacts": [], "queue": "q" * 32, "framework": "f"}
    api.call("tasks.edit", task=task, execution={"artifacts": [{"key": "k", "type": "t"}]})
    api.call("tasks.edit", task=task, execution={"artifacts": []})
    assert get(api, task)["execution"] == {"artifacts": [], "queue": "q" * 32}


@pytest.mark.parametrize("endpoint", ["edit", "edit_hyper_params", "edit_configuration"])
def test_after_its_start_a_task_is_edited_by_force(api: ApiClient, endpoint: str) -> None:
    by_endpoint: dict[str, Json] = {
        "edit": {"comment": "new"},
        "edit_hyper_params": {"hyperparams": [{"section": "s", "name": "n", "value": "v"}]},
        "edit_configuration": {"configuration": [{"name": "n", "value": "v"}]},
    }
    fields = by_endpoint[endpoint]
    task = create(api)
    assert api.error(f"tasks.{endpoint}", task=task, **fields) == (200, 0)
    api.call("tasks.started", task=task)
    assert api.error(f"tasks.{endpoint}", task=task, **fields) == (400, 110)
    assert api.error(f"tasks.{endpoint}", task=task, force=True, **fields) == (200, 0)


def test_an_update_needs_no_force(api: ApiClient) -> None:
    task = create(api)
    api.call("tasks.started", task=task)
    reply = api.call("tasks.update", task=task, comment="c", output__error="boom", created="2020-02-03T04:05:06Z")
    assert reply["fields"] == {"comment": "c", "output__error": "boom", "created": "2020-02-03T04:05:06.000000+00:00"}
    found = get(api, task)
    assert (found["comment"], found["output"]) == ("c", {"error": "boom"})
    assert found["created"] == "2020-02-03T04:05:06.000000+00:00"


@pytest.mark.parametrize("date", ["yesterday", "", "0001-01-01T00:00:00+23:59"])
def test_a_date_that_is_none_is_refused(api: ApiClient, date: str) -> None:
    assert api.error("tasks.update", task=create(api), created=date) == (400, 12)


def test_edits_at_the_same_time_are_not_lost(api: ApiClient) -> None:
    task = create(api)

    def add(number: int) -> None:
        item = {"section": "s", "name": f"p{number}", "value": "v"}
        api.call("tasks.edit_hyper_params", task=task, hyperparams=[item])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(get(api, task)["hyperparams"]["s"]) == 40


def test_requirements_are_kept_as_sent(api: ApiClient) -> None:
    task = create(api, script={"branch": "main"})
    for requirements in ({"pip": "numpy==1\n"}, {"pip": ["a"], "org_pip": "b", "conda": None}):
        api.call("tasks.set_requirements", task=task, requirements=requirements)
        assert get(api, task)["script"] == {"branch": "main", "requirements": requirements}


# status

MOVES = {
    Status.IN_PROGRESS: "tasks.started",
    Status.STOPPED: "tasks.stopped",
    Status.COMPLETED: "tasks.completed",
    Status.FAILED: "tasks.failed",
    Status.CLOSED: "tasks.close",
    Status.PUBLISHED: "tasks.publish",
}


@pytest.mark.parametrize("engines", ["memory"], indirect=True)
@pytest.mark.parametrize("new", MOVES)
@pytest.mark.parametrize("old", Status)
def test_every_change_of_status(api: ApiClient, engines: Engines, old: Status, new: Status) -> None:
    task = create(api)
    put(engines, "tasks", task, status=old.value)
    expected = (200, 0) if may_change(old, new) else (400, 110)
    assert api.error(MOVES[new], task=task, status_reason="r", status_message="m") == expected
    found = get(api, task)
    if expected == (200, 0):
        assert (found["status"], found["status_reason"], found["status_message"]) == (new.value, "r", "m")
    else:
        assert (found["status"], found["status_reason"], found["status_message"]) == (old.value, "", "")
    assert api.error(MOVES[new], task=task, force=True) == (200, 0)
    assert get(api, task)["status"] == new.value


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        ("created", "tasks.started", True),
        ("completed", "tasks.started", True),
        ("stopped", "tasks.started", True),
        ("published", "tasks.started", False),
        ("created", "tasks.completed", False),
        ("in_progress", "tasks.publish", False),
        ("completed", "tasks.completed", True),
        ("failed", "tasks.publish", True),
    ],
)
def test_changes_that_clients_count_on(api: ApiClient, engines: Engines, old: str, new: str, allowed: bool) -> None:
    task = create(api)
    put(engines, "tasks", task, status=old)
    assert api.error(new, task=task) == ((200, 0) if allowed else (400, 110))


def test_the_dates_of_a_life(api: ApiClient) -> None:
    task = create(api)
    api.move_clock(10)
    reply = api.call("tasks.started", task=task)
    assert (reply["started"], reply["updated"]) == (1, 1)
    started = reply["fields"]["started"]
    api.move_clock(10)
    assert "status_changed" not in api.call("tasks.started", task=task)["fields"]
    assert get(api, task)["started"] == started
    api.move_clock(10)
    fields = api.call("tasks.completed", task=task)["fields"]
    assert fields["status"] == "completed"
    found = get(api, task)
    assert found["active_duration"] == 20
    assert found["created"] < found["started"] < found["completed"] == found["status_changed"] == found["last_update"]
    api.call("tasks.started", task=task)
    assert get(api, task)["started"] == started


def test_completed_may_publish_also_later(api: ApiClient) -> None:
    task = create(api)
    api.call("tasks.started", task=task)
    assert api.call("tasks.completed", task=task)["published"] == 0
    reply = api.call("tasks.completed", task=task, publish=True)
    assert (reply["updated"], reply["published"], reply["fields"]["status"]) == (1, 1, "published")
    assert get(api, task)["status"] == "published"


def test_a_ping_is_a_sign_of_life_and_no_change(api: ApiClient) -> None:
    task = create(api)
    api.move_clock(10)
    api.call("tasks.ping", task=task)
    found = get(api, task)
    assert found["last_update"] > found["last_change"] == found["status_changed"] == NOW


@pytest.mark.parametrize(
    ("seconds", "fields", "force", "status", "message"),
    [
        (None, {}, False, "stopped", "by hand"),
        (0, {}, False, "in_progress", "stopping"),
        (LIMITS.task_worker - 1, {}, False, "in_progress", "stopping"),
        (LIMITS.task_worker, {}, False, "stopped", "by hand"),
        (0, {}, True, "stopped", "by hand"),
        (0, {"system_tags": ["development"]}, False, "stopped", "by hand"),
        (0, {"status": "queued"}, False, "stopped", "by hand"),
    ],
    ids=["no worker", "reported now", "just alive", "silent", "by force", "development", "queued"],
)
def test_stop(
    api: ApiClient,
    engines: Engines,
    seconds: float | None,
    fields: Json,
    force: bool,
    status: str,
    message: str,
) -> None:
    task = create(api)
    reported = {} if seconds is None else {"last_worker_report": NOW}
    put(engines, "tasks", task, **{"status": "in_progress", **reported, **fields})
    api.move_clock(seconds or 0)
    reply = api.call("tasks.stop", task=task, force=force, status_message="by hand")
    assert reply["updated"] == 1
    assert (reply["fields"]["status"], reply["fields"]["status_message"]) == (status, message)
    found = get(api, task)
    assert (found["status"], found["status_message"]) == (status, message)


def test_a_created_task_cannot_be_stopped(api: ApiClient) -> None:
    assert api.error("tasks.stop", task=create(api)) == (400, 110)


@pytest.mark.parametrize(("publish_model", "ready"), [(None, True), (True, True), (False, False)])
def test_publishing_publishes_the_output_models(api: ApiClient, publish_model: bool | None, ready: bool) -> None:
    task = create(api)
    made, taken = model(api, task=task), model(api)
    api.call("tasks.add_or_update_model", task=task, name="out", model=made, type="output")
    api.call("tasks.add_or_update_model", task=task, name="in", model=taken, type="input")
    api.call("tasks.add_or_update_model", task=task, name="gone", model="f" * 32, type="output")
    api.call("tasks.started", task=task)
    api.call("tasks.stopped", task=task)
    api.call("tasks.publish", task=task, publish_model=publish_model)
    assert get(api, task)["published"]
    assert api.call("models.get_by_id", model=made)["model"]["ready"] is ready
    assert api.call("models.get_by_id", model=taken)["model"]["ready"] is False


# reset


def ran(api: ApiClient) -> tuple[str, Json]:
    """A task that ran and left one of everything; and its models by name."""
    task = create(
        api,
        script={"branch": "main"},
        hyperparams={"s": {"n": {"section": "s", "name": "n", "value": "1"}}},
        output_dest="s3://b",
        runtime={"progress": "100"},
    )
    artifacts = [{"key": mode, "type": "t", "mode": mode, "uri": f"file:///{mode}"} for mode in ("input", "output")]
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=artifacts)
    models = {
        "draft": model(api, task=task, uri="file:///draft"),
        "used": model(api, task=task),
        "ready": model(api, task=task, ready=True),
    }
    create(api, models={"input": [{"name": "x", "model": models["used"]}]})
    for name, made in models.items():
        api.call("tasks.add_or_update_model", task=task, name=name, model=made, type="output")
    events: list[Json] = [{"type": "log", "task": task, "msg": "line"}]
    events += [{"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "value": 1, "iter": 5}]
    events += [{"type": "plot", "task": task, "metric": "m", "variant": "v", "plot_str": "{}"}]
    api.add_events(events)
    api.call("tasks.started", task=task)
    api.call("tasks.completed", task=task)
    return task, models


def test_a_reset_takes_what_the_run_left(api: ApiClient) -> None:
    task, models = ran(api)
    before = get(api, task)
    reply = api.call("tasks.reset", task=task, return_file_urls=True)
    assert reply["updated"] == 1
    assert reply["fields"]["status"] == "created"
    assert reply["dequeued"] == {"removed": 0}
    assert reply["deleted_models"] == 1
    assert reply["urls"] == {
        "model_urls": ["file:///draft"],
        "artifact_urls": ["file:///output"],
        "event_urls": [],
    }
    found = get(api, task)
    for name in ("script", "hyperparams", "created", "name", "project", "tags"):
        assert found.get(name) == before.get(name), name
    assert found["output"] == {"destination": "s3://b"}
    assert (found["status"], found["runtime"], found["last_metrics"], found["last_iteration"]) == ("created", {}, {}, 0)
    assert [a["key"] for a in found["execution"]["artifacts"]] == ["input"]
    assert [item["name"] for item in found["models"]["output"]] == ["used", "ready"]
    assert not {"started", "completed", "active_duration"} & set(found)
    assert api.call("events.get_task_log", task=task)["total"] == 0
    assert api.call("events.get_task_plots", task=task)["plots"] == []
    assert api.call("events.scalar_metrics_iter_histogram", task=task) == {}
    assert api.error("models.get_by_id", model=models["draft"]) == (400, 201)
    assert api.error("models.get_by_id", model=models["used"]) == (200, 0)


def test_a_reset_of_everything(api: ApiClient) -> None:
    task, models = ran(api)
    reply = api.call("tasks.reset", task=task, clear_all=True, delete_output_models=False)
    assert "urls" not in reply
    assert (get(api, task)["script"], get(api, task)["hyperparams"]) == ({}, {})
    assert api.error("models.get_by_id", model=models["draft"]) == (200, 0)


def test_a_published_task_is_reset_by_force_alone(api: ApiClient) -> None:
    task, models = ran(api)
    api.call("tasks.publish", task=task, publish_model=False)
    assert api.error("tasks.reset", task=task) == (400, 110)
    assert api.error("models.get_by_id", model=models["draft"]) == (200, 0)
    assert api.call("events.get_task_log", task=task)["total"] == 1
    assert api.error("tasks.reset", task=task, force=True) == (200, 0)
    assert get(api, task)["status"] == "created"


def test_a_reset_and_a_deletion_tell_their_reason(api: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    task = create(api)
    why = {"status_reason": "why", "status_message": "what\nfor"}
    api.call("tasks.reset", task=task, **why)
    assert {name: get(api, task)[name] for name in why} == why
    api.call("tasks.reset_many", ids=[task])
    assert {name: get(api, task)[name] for name in why} == dict.fromkeys(why, "")
    with caplog.at_level("INFO", logger="trainshed"):
        api.call("tasks.delete", task=task, **why)
    assert f"task {task} deleted by {api.user}: 'why' 'what\\nfor'" in caplog.messages


def test_reports_begin_anew_after_a_reset(api: ApiClient) -> None:
    task, _ = ran(api)
    api.call("tasks.reset", task=task)
    api.add_events([{"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "value": 9}])
    ((figures,),) = [list(variants.values()) for variants in get(api, task)["last_metrics"].values()]
    assert (figures["value"], figures["count"], figures["max_value"]) == (9, 1, 9)


# delete


def test_delete(api: ApiClient) -> None:
    task, models = ran(api)
    child = create(api, parent=task)
    assert api.error("tasks.delete", task=task) == (400, 123)
    reply = api.call("tasks.delete", task=task, force=True, return_file_urls=True)
    assert reply["deleted"] is True
    assert (reply["updated_children"], reply["updated_models"]) == (1, 2)
    assert reply["urls"]["model_urls"] == ["file:///draft"]
    assert api.error("tasks.get_by_id", task=task) == (400, 101)
    assert api.error("tasks.delete", task=task) == (400, 101)
    assert "parent" not in get(api, child)
    assert api.error("models.get_by_id", model=models["draft"]) == (400, 201)
    assert "task" not in api.call("models.get_by_id", model=models["ready"])["model"]


def test_events_go_with_their_task(api: ApiClient, engines: Engines) -> None:
    task = create(api)
    made = model(api, task=task)
    scalar = {"type": "training_stats_scalar", "metric": "m", "variant": "v", "value": 1}
    api.add_events([{**scalar, "task": task}, {**scalar, "task": made, "model_event": True}])
    api.call("tasks.delete", task=task)
    assert engines.events.stats(task) == []
    assert engines.events.stats(made) == []


@pytest.mark.parametrize("published", ["itself", "child", "model"])
def test_what_is_published_is_deleted_by_force_alone(api: ApiClient, engines: Engines, published: str) -> None:
    task = create(api)
    child = create(api, parent=task)
    made = model(api, task=task)
    name = {"itself": task, "child": child, "model": made}[published]
    where, fields = ("models", {"ready": True}) if published == "model" else ("tasks", {"status": "published"})
    put(engines, where, name, **fields)
    assert api.error("tasks.delete", task=task) == (400, 123)
    assert api.error("tasks.get_by_id", task=task) == (200, 0)
    assert api.error("tasks.delete", task=task, force=True) == (200, 0)


def test_a_whole_task_is_accepted_where_fields_are(api: ApiClient) -> None:
    task, _ = ran(api)
    document = get(api, task)
    assert api.error("tasks.edit", **{**document, "task": task, "force": True}) == (200, 0)
    assert get(api, task)["hyperparams"] == document["hyperparams"]


@pytest.mark.parametrize("endpoint", ["tasks.create", "tasks.edit"])
def test_what_a_task_refers_to_is_there(api: ApiClient, endpoint: str) -> None:
    arguments = {"name": "a task", "type": "training"} if endpoint == "tasks.create" else {"task": create(api)}
    assert api.error(endpoint, **arguments, parent="none") == (400, 101)
    assert api.error(endpoint, **arguments, project="none") == (400, 401)
    assert api.error(endpoint, **arguments, parent=create(api)) == (200, 0)


def test_no_task_is_above_itself(api: ApiClient) -> None:
    first = create(api)
    second = create(api, parent=first)
    third = create(api, parent=second)
    for parent in (first, second, third):
        assert api.error("tasks.edit", task=first, parent=parent) == (400, 12)
    assert api.error("tasks.edit", task=third, parent=first) == (200, 0)
