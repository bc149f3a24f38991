"""Calls for many: each id succeeds or fails for itself."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, **fields: Any) -> str:
    task: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return task


def model(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("models.create", **{"name": "m", "uri": "file:///m", **fields})["id"]
    return made


def get(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def running(api: ApiClient, **fields: Any) -> str:
    task = create(api, **fields)
    api.call("tasks.started", task=task)
    return task


def published(api: ApiClient, **fields: Any) -> str:
    task = running(api, **fields)
    api.call("tasks.completed", task=task, publish=True)
    return task


def one_each(reply: Json, good: str, bad: str, codes: list[int]) -> Json:
    """The entry of the one that succeeded; the other failed with these codes."""
    (succeeded,), (failed,) = reply["succeeded"], reply["failed"]
    assert (succeeded["id"], failed["id"]) == (good, bad)
    assert failed["error"]["codes"] == codes
    assert failed["error"]["msg"]
    assert isinstance(failed["error"]["data"], dict)
    entry: Json = succeeded
    return entry


@pytest.mark.parametrize("action", ["stop", "publish", "reset", "delete", "archive", "unarchive"])
def test_unknown_tasks_fail_alone(api: ApiClient, action: str) -> None:
    task = running(api)
    if action == "publish":
        api.call("tasks.stopped", task=task)
    one_each(api.call(f"tasks.{action}_many", ids=["none", task]), task, "none", [400, 101])


def test_stop(api: ApiClient) -> None:
    task, idle = running(api), create(api)
    entry = one_each(api.call("tasks.stop_many", ids=[task, idle], status_message="m"), task, idle, [400, 110])
    assert (entry["updated"], entry["fields"]["status"]) == (1, "stopped")
    assert get(api, task)["status_message"] == "m"


def test_publish(api: ApiClient) -> None:
    task, idle = running(api), create(api)
    api.call("tasks.stopped", task=task)
    output = model(api, task=task)
    api.call("tasks.add_or_update_model", task=task, name="o", model=output, type="output")
    one_each(api.call("tasks.publish_many", ids=[task, idle], publish_model=False), task, idle, [400, 110])
    assert get(api, task)["status"] == "published"
    assert api.call("models.get_by_id", model=output)["model"]["ready"] is False


def test_reset(api: ApiClient) -> None:
    task, done = running(api), published(api)
    model(api, task=task)
    reply = api.call("tasks.reset_many", ids=[task, done], return_file_urls=True)
    entry = one_each(reply, task, done, [400, 110])
    assert (entry["dequeued"], entry["deleted_models"]) == (False, 1)
    assert entry["urls"]["model_urls"] == ["file:///m"]
    assert get(api, task)["status"] == "created"


def test_delete(api: ApiClient) -> None:
    task, done = create(api), published(api)
    create(api, parent=task)
    model(api, task=task)
    entry = one_each(api.call("tasks.delete_many", ids=[task, done]), task, done, [400, 123])
    counts = {name: entry[name] for name in ("deleted", "updated_children", "updated_models", "deleted_models")}
    assert counts == {"deleted": True, "updated_children": 1, "updated_models": 0, "deleted_models": 1}
    assert "urls" not in entry
    assert api.call("tasks.delete_many", ids=[done], force=True)["failed"] == []


# the archive


def test_archive_and_back(api: ApiClient) -> None:
    task = create(api, system_tags=["kept"])
    reply = api.call("tasks.archive_many", ids=[task], status_reason="r", status_message="m")
    assert reply == {"succeeded": [{"id": task, "archived": True}], "failed": []}
    assert api.call("tasks.archive_many", ids=[task])["succeeded"]
    found = get(api, task)
    assert found["system_tags"] == ["kept", "archived"]
    reply = api.call("tasks.unarchive_many", ids=[task], status_reason="r", status_message="m")
    assert reply == {"succeeded": [{"id": task, "unarchived": True}], "failed": []}
    found = get(api, task)
    assert (found["system_tags"], found["status_reason"], found["status_message"]) == (["kept"], "r", "m")


def test_archive_of_one_that_is_not_there(api: ApiClient) -> None:
    task = create(api)
    assert api.error("tasks.archive", tasks=[task, "none"]) == (400, 101)
    assert get(api, task)["system_tags"] == []
    assert api.call("tasks.archive", tasks=[task], status_message="m") == {"archived": 1}
    assert (get(api, task)["system_tags"], get(api, task)["status_message"]) == (["archived"], "m")


def test_an_archived_task_waits_for_nobody(api: ApiClient, engines: Engines) -> None:
    task = create(api)
    engines.documents.update("tasks", task, lambda d: d.update(status="queued"))
    api.call("tasks.archive", tasks=[task])
    assert get(api, task)["status"] == "created"


# pipelines


def test_steps_of_a_pipeline_go_with_it(api: ApiClient) -> None:
    controller = running(api, type="controller")
    steps = [running(api, parent=controller), create(api, parent=controller)]
    api.call("tasks.stop", task=controller, include_pipeline_steps=True)
    assert [get(api, task)["status"] for task in (controller, *steps)] == ["stopped", "stopped", "created"]
    api.call("tasks.archive_many", ids=[controller], include_pipeline_steps=True)
    assert all(get(api, task)["system_tags"] == ["archived"] for task in (controller, *steps))
    api.call("tasks.unarchive_many", ids=[controller], include_pipeline_steps=True)
    assert all(get(api, task)["system_tags"] == [] for task in (controller, *steps))
    api.call("tasks.delete_many", ids=[controller], include_pipeline_steps=True)
    assert api.call("tasks.get_all")["tasks"] == []


def test_children_of_other_tasks_stay(api: ApiClient) -> None:
    parent = create(api)
    child = create(api, parent=parent)
    api.call("tasks.delete_many", ids=[parent], include_pipeline_steps=True)
    assert "parent" not in get(api, child)


# models


def test_models(api: ApiClient) -> None:
    first = model(api, system_tags=["kept"])
    one_each(api.call("models.archive_many", ids=[first, "none"]), first, "none", [400, 201])
    assert api.call("models.get_by_id", model=first)["model"]["system_tags"] == ["kept", "archived"]
    entry = one_each(api.call("models.unarchive_many", ids=[first, "none"]), first, "none", [400, 201])
    assert entry == {"id": first, "unarchived": True}
    entry = one_each(api.call("models.delete_many", ids=[first, "none"]), first, "none", [400, 201])
    assert entry == {"id": first, "deleted": True, "url": "file:///m"}


def test_publishing_models(api: ApiClient) -> None:
    task = running(api)
    api.call("tasks.stopped", task=task)
    first, ready = model(api, task=task), model(api, ready=True)
    entry = one_each(api.call("models.publish_many", ids=[first, ready]), first, ready, [400, 203])
    assert (entry["updated"], entry["published_task"]["id"]) == (True, task)
    assert get(api, task)["status"] == "published"
    second = model(api, task=running(api))
    reply = api.call("models.publish_many", ids=[second], publish_tasks=False)
    assert reply["succeeded"] == [{"id": second, "updated": True}]


# models of tasks


def test_a_model_for_a_task(api: ApiClient) -> None:
    project = api.call("projects.create", name="the project")["id"]
    task = create(api, project=project, execution={"framework": "PyTorch"})
    assert api.error("models.update_for_task", task=task) == (400, 12)
    assert api.error("models.get_by_task_id", task=task) == (400, 201)
    made = api.call("models.update_for_task", task=task, uri="file:///1", iteration=7)
    assert made == {"id": made["id"], "created": True}
    found = api.call("models.get_by_task_id", task=task)["model"]
    expected = {"name": "a task", "uri": "file:///1", "project": project, "framework": "PyTorch", "task": task}
    assert {name: found[name] for name in expected} == expected
    again = api.call("models.update_for_task", task=task, uri="file:///2", iteration=3)
    assert (again["id"], again["created"], again["updated"]) == (made["id"], False, 1)
    assert api.call("models.get_by_task_id", task=task)["model"]["uri"] == "file:///2"
    assert get(api, task)["last_iteration"] == 7
    other = model(api)
    reply = api.call("models.update_for_task", task=task, override_model_id=other, comment="c")
    assert (reply["id"], reply["fields"]["comment"]) == (other, "c")
    assert [item["model"] for item in get(api, task)["models"]["output"]] == [made["id"], other]
    assert api.error("models.update_for_task", task=task, override_model_id="none") == (400, 201)
    assert api.error("models.update_for_task", task="none", uri="u") == (400, 101)


def test_an_update_of_a_model(api: ApiClient) -> None:
    task = create(api)
    made = model(api, task=task)
    api.call("models.update", model=made, created="2020-02-03", ui_cache={"a": 1}, iteration=5)
    found = api.call("models.get_by_id", model=made)["model"]
    assert (found["created"], found["ui_cache"]) == ("2020-02-03T00:00:00.000000+00:00", {"a": 1})
    assert get(api, task)["last_iteration"] == 5
    api.call("models.update", model=made, iteration=2)
    assert get(api, task)["last_iteration"] == 5
    assert api.error("models.update", model=made, created="yesterday") == (400, 12)
