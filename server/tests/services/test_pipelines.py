"""Pipelines: started again from a run, and runs deleted."""

from typing import Any

from trainshed.testing.api import ApiClient


def controller(api: ApiClient, **fields: Any) -> str:
    run: str = api.call(
        "tasks.create", **{"name": "pipeline", "type": "controller", "system_tags": ["pipeline"], **fields}
    )["id"]
    return run


def test_a_start_clones_and_enqueues(api: ApiClient) -> None:
    args = {"Args": {name: {"section": "Args", "name": name, "value": "1", "type": "int"} for name in ("a", "b")}}
    source = controller(api, hyperparams=args)
    queue = api.call("queues.create", name="services")["id"]
    reply = api.call(
        "pipelines.start_pipeline",
        task=source,
        queue=queue,
        args=[{"name": "a", "value": "2"}, {"name": "new", "value": "3"}],
        verify_watched_queue=True,
    )
    assert (reply["enqueued"], reply["queue_watched"]) == (True, False)
    run = api.call("tasks.get_by_id", task=reply["pipeline"])["task"]
    assert (run["status"], run["execution"]["queue"]) == ("queued", queue)
    assert run["hyperparams"]["Args"] == {
        "a": {"section": "Args", "name": "a", "value": "2"},
        "b": args["Args"]["b"],
        "new": {"section": "Args", "name": "new", "value": "3"},
    }
    (entry,) = api.call("queues.get_by_id", queue=queue)["queue"]["entries"]
    assert entry["task"] == reply["pipeline"]


def test_starts_that_are_refused_make_nothing(api: ApiClient) -> None:
    source = controller(api)
    assert api.error("pipelines.start_pipeline", task="none") == (400, 101)
    assert api.error("pipelines.start_pipeline", task=source, queue="none") == (400, 701)
    assert len(api.call("tasks.get_all")["tasks"]) == 1


def test_one_run_stays(api: ApiClient) -> None:
    project = api.call("projects.create", name="p/.pipelines/x")["id"]
    first, second = controller(api, project=project), controller(api, project=project)
    step = api.call("tasks.create", name="step", type="training", project=project, parent=first)["id"]
    elsewhere = controller(api)
    delete = "pipelines.delete_runs"
    assert api.error(delete, project=project, ids=[first, second]) == (400, 160)
    assert api.error(delete, project="none", ids=[first]) == (400, 401)
    reply = api.call(delete, project=project, ids=[first, elsewhere])
    assert reply["succeeded"] == [
        {"id": first, "deleted": True, "updated_children": 1, "updated_models": 0, "deleted_models": 0}
    ]
    assert [(item["id"], item["error"]["codes"]) for item in reply["failed"]] == [(elsewhere, [400, 101])]
    left = {task["id"] for task in api.call("tasks.get_all")["tasks"]}
    assert left == {second, step, elsewhere}
