"""The way of tasks into queues and out of them."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json
from trainshed.testing.queues import filled, queue, task, waiting


def get(api: ApiClient, task_id: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task_id)["task"]
    return found


def status(api: ApiClient, task_id: str) -> str:
    return str(get(api, task_id)["status"])


# enqueue


def test_enqueue(api: ApiClient) -> None:
    queue_id = queue(api)
    task_id = task(api, system_tags=["development", "other"])
    api.move_clock(5)
    reply = api.call("tasks.enqueue", task=task_id, queue=queue_id, status_reason="r", status_message="m")
    assert (reply["queued"], reply["updated"]) == (1, 1)
    assert reply["fields"]["status"] == "queued"
    found = get(api, task_id)
    assert found["status"] == "queued"
    assert found["status_changed"] == "2026-01-01T00:00:05.000000+00:00"
    assert (found["status_reason"], found["status_message"]) == ("r", "m")
    assert found["execution"]["queue"] == queue_id
    assert found["system_tags"] == ["other"]
    assert waiting(api, queue_id) == [task_id]


def test_enqueue_finds_the_queue(api: ApiClient) -> None:
    named, default, made = task(api), task(api), task(api)
    queue_id = queue(api, "by name")
    api.call("tasks.enqueue", task=named, queue_name="by name")
    assert waiting(api, queue_id) == [named]
    api.call("tasks.enqueue", task=made, queue_name="made for it")
    (found,) = api.call("queues.get_all", name="^made for it$")["queues"]
    assert waiting(api, found["id"]) == [made]
    api.call("tasks.enqueue", task=default)
    assert waiting(api, api.call("queues.get_default")["id"]) == [default]


def test_a_queue_is_not_made_for_a_task_that_is_not_there(api: ApiClient) -> None:
    assert api.error("tasks.enqueue", task="none", queue_name="made") == (400, 101)
    assert api.call("queues.get_all")["queues"] == []


@pytest.mark.parametrize(("path", "allowed"), [(("started", "stopped"), True), (("started",), False)])
def test_which_tasks_may_wait(api: ApiClient, path: tuple[str, ...], allowed: bool) -> None:
    queue_id, task_id = queue(api), task(api)
    for step in path:
        api.call(f"tasks.{step}", task=task_id)
    before = get(api, task_id)
    assert api.error("tasks.enqueue", task=task_id, queue=queue_id) == ((200, 0) if allowed else (400, 110))
    assert waiting(api, queue_id) == ([task_id] if allowed else [])
    assert allowed or get(api, task_id) == before


def test_a_task_waits_once(api: ApiClient) -> None:
    queue_id, (task_id,) = filled(api, 1)
    assert api.error("tasks.enqueue", task=task_id, queue=queue_id) == (400, 110)
    assert api.error("tasks.enqueue", task=task_id, queue_name="another") == (400, 110)
    assert api.error("queues.add_task", queue=queue_id, task=task_id) == (400, 706)
    assert waiting(api, queue_id) == [task_id]


def test_enqueue_into_a_queue_that_is_not_there(api: ApiClient) -> None:
    task_id = task(api)
    assert api.error("tasks.enqueue", task=task_id, queue="none") == (400, 701)
    assert status(api, task_id) == "created"


def test_enqueue_may_leave_the_tasks_queue(api: ApiClient) -> None:
    task_id = task(api)
    api.call("tasks.enqueue", task=task_id, queue=queue(api), update_execution_queue=False)
    assert "queue" not in get(api, task_id)["execution"]


def test_whether_anybody_watches_the_queue(api: ApiClient) -> None:
    queue_id = queue(api)

    def watched() -> Any:
        reply = api.call("tasks.enqueue", task=task(api), queue=queue_id, verify_watched_queue=True)
        return reply["queue_watched"]

    assert watched() is False
    api.call("workers.register", worker="w", queues=[queue_id], timeout=60)
    assert watched() is True
    api.move_clock(61)
    assert watched() is False
    assert "queue_watched" not in api.call("tasks.enqueue", task=task(api), queue=queue_id)


def test_enqueue_and_dequeue_many(api: ApiClient) -> None:
    queue_id, tasks = queue(api), [task(api), task(api)]
    reply = api.call("tasks.enqueue_many", ids=[*tasks, "none"], queue=queue_id, verify_watched_queue=True)
    assert [(item["id"], item["queued"], item["updated"]) for item in reply["succeeded"]] == [
        (tasks[0], True, 1),
        (tasks[1], True, 1),
    ]
    (failed,) = reply["failed"]
    assert (failed["id"], failed["error"]["codes"]) == ("none", [400, 101])
    assert reply["queue_watched"] is False
    assert waiting(api, queue_id) == tasks
    reply = api.call("tasks.dequeue_many", ids=[*tasks, "none"])
    assert [(item["id"], item["dequeued"]) for item in reply["succeeded"]] == [(tasks[0], True), (tasks[1], True)]
    assert [item["id"] for item in reply["failed"]] == ["none"]
    assert waiting(api, queue_id) == []


def test_tasks_are_validated_before_they_wait(api: ApiClient) -> None:
    model = api.call("models.create", name="m", uri="u")["id"]
    good = task(api, models={"input": [{"name": "n", "model": model}]})
    bad = task(api, models={"input": [{"name": "n", "model": "gone"}]})
    reply = api.call("tasks.enqueue_many", ids=[bad, good], queue=queue(api), validate_tasks=True)
    assert [item["id"] for item in reply["succeeded"]] == [good]
    assert [(item["id"], item["error"]["codes"]) for item in reply["failed"]] == [(bad, [400, 201])]
    assert status(api, bad) == "created"
    assert [item["id"] for item in api.call("tasks.enqueue_many", ids=[bad])["succeeded"]] == [bad]


# out again


def test_dequeue(api: ApiClient) -> None:
    queue_id, (task_id,) = filled(api, 1)
    reply = api.call("tasks.dequeue", task=task_id, status_reason="r")
    assert (reply["dequeued"], reply["updated"], reply["fields"]["status"]) == (1, 1, "created")
    assert status(api, task_id) == "created"
    assert waiting(api, queue_id) == []


def test_dequeue_of_a_task_in_no_queue(api: ApiClient) -> None:
    queue_id, (task_id,) = filled(api, 1)
    api.call("queues.get_next_task", queue=queue_id)
    assert api.call("tasks.dequeue", task=task_id, new_status="in_progress")["dequeued"] == 1
    assert status(api, task_id) == "in_progress"


def test_dequeue_leaves_a_task_that_runs(api: ApiClient) -> None:
    task_id = task(api)
    api.call("tasks.started", task=task_id)
    reply = api.call("tasks.dequeue", task=task_id)
    assert (reply["dequeued"], reply["updated"]) == (0, 0)
    assert status(api, task_id) == "in_progress"
    assert api.error("tasks.dequeue", task=task_id, new_status="asleep") == (400, 12)
    assert api.error("tasks.dequeue", task="none") == (400, 101)


@pytest.mark.parametrize(
    ("endpoint", "left"),
    [("stop", "stopped"), ("stopped", "stopped"), ("failed", "failed"), ("started", "in_progress")],
)
def test_a_task_that_is_no_longer_queued_leaves_its_queue(api: ApiClient, endpoint: str, left: str) -> None:
    queue_id, (task_id, other) = filled(api, 2)
    api.call(f"tasks.{endpoint}", task=task_id)
    assert status(api, task_id) == left
    assert waiting(api, queue_id) == [other]


def test_reset_and_delete_leave_the_queue(api: ApiClient) -> None:
    queue_id, (reset, deleted, other) = filled(api, 3)
    assert api.call("tasks.reset", task=reset)["dequeued"] == {"removed": 1}
    assert api.call("tasks.reset", task=reset)["dequeued"] == {"removed": 0}
    api.call("tasks.delete", task=deleted, force=True)
    assert waiting(api, queue_id) == [other]


def test_archived_tasks_and_those_of_a_deleted_project_leave_the_queue(api: ApiClient) -> None:
    project = api.call("projects.create", name="project")["id"]
    queue_id, (archived, other) = filled(api, 2)
    for task_id in [task(api, project=project), task(api, project=project)]:
        api.call("tasks.enqueue", task=task_id, queue=queue_id)
    api.call("tasks.archive_many", ids=[archived])
    api.call("projects.delete", project=project, force=True, delete_contents=True)
    assert waiting(api, queue_id) == [other]


# queues and their tasks


def test_adding_and_removing_leave_the_status(api: ApiClient) -> None:
    queue_id, task_id = queue(api), task(api)
    assert api.call("queues.add_task", queue=queue_id, task=task_id) == {"added": 1}
    assert (status(api, task_id), get(api, task_id)["execution"]["queue"]) == ("created", queue_id)
    assert api.call("queues.remove_task", queue=queue_id, task=task_id) == {"removed": 1}
    assert api.error("queues.remove_task", queue=queue_id, task=task_id) == (400, 703)
    api.call("tasks.enqueue", task=task_id, queue=queue_id)
    api.call("queues.remove_task", queue=queue_id, task=task_id)
    assert status(api, task_id) == "queued"
    assert api.error("queues.add_task", queue=queue_id, task="none") == (400, 101)


def test_removing_may_change_the_status(api: ApiClient) -> None:
    queue_id, (task_id,) = filled(api, 1)
    api.call("queues.remove_task", queue=queue_id, task=task_id, update_task_status=True)
    assert status(api, task_id) == "created"


def test_a_task_that_was_added_may_be_enqueued(api: ApiClient) -> None:
    queue_id, task_id = queue(api), task(api)
    api.call("queues.add_task", queue=queue_id, task=task_id, update_execution_queue=False)
    api.call("tasks.enqueue", task=task_id, queue=queue_id)
    assert (status(api, task_id), waiting(api, queue_id)) == ("queued", [task_id])


def test_clearing_a_queue(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 2)
    assert api.call("queues.clear_queue", queue=queue_id) == {"removed_tasks": tasks}
    assert [status(api, task_id) for task_id in tasks] == ["created", "created"]
    assert waiting(api, queue_id) == []


def test_deleting_a_queue(api: ApiClient) -> None:
    queue_id, tasks = filled(api, 2)
    api.call("queues.get_next_task", queue=queue_id)
    api.call("tasks.started", task=tasks[0])
    assert api.error("queues.delete", queue=queue_id) == (400, 702)
    assert waiting(api, queue_id) == [tasks[1]]
    assert api.call("queues.delete", queue=queue_id, force=True) == {"deleted": 1}
    assert [status(api, task_id) for task_id in tasks] == ["in_progress", "created"]
    assert api.error("queues.get_by_id", queue=queue_id) == (400, 701)
