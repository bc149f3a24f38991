"""Clones."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json

SCRIPT = {"diff": "x\r\n\n", "repository": "r", "requirements": {"pip": "numpy\n"}}
PARAMS = {"a.b": {"$x": {"section": "a.b", "name": "$x", "value": "1"}}}


def create(api: ApiClient, **fields: Any) -> str:
    task: str = api.call("tasks.create", **{"name": "a task", "type": "testing", **fields})["id"]
    return task


def clone(api: ApiClient, task: str, **arguments: Any) -> Json:
    made = api.call("tasks.clone", task=task, **arguments)["id"]
    found: Json = api.call("tasks.get_by_id", task=made)["task"]
    return found


def test_a_clone_has_what_was_given_and_not_what_was_made(api: ApiClient) -> None:
    parent, project = create(api), api.call("projects.create", name="the project")["id"]
    given: Json = {
        "project": project,
        "parent": parent,
        "comment": "c",
        "tags": ["t"],
        "script": SCRIPT,
        "hyperparams": PARAMS,
        "configuration": {"General": {"name": "General", "value": "v"}},
        "container": {"image": "i"},
    }
    artifacts = [{"key": key, "type": "t", "mode": mode} for key, mode in (("in", "input"), ("out", "output"))]
    models = {"input": [{"name": "n", "model": "m"}], "output": [{"name": "o", "model": "p"}]}
    execution = {"artifacts": artifacts, "queue": "q", "docker_cmd": "d"}
    source = create(
        api,
        **given,
        system_tags=["development", "archived", "other"],
        runtime={"a": 1},
        output_dest="s3://b",
        models=models,
        execution=execution,
    )
    api.add_events([{"type": "training_stats_scalar", "task": source, "metric": "m", "variant": "v", "value": 1.0}])
    api.call("tasks.started", task=source, status_message="going")
    made = clone(api, source)
    assert {name: made[name] for name in given} == given
    assert (made["name"], made["type"], made["status"]) == ("a task", "testing", "created")
    assert made["system_tags"] == ["other"]
    assert made["execution"] == {"artifacts": artifacts[:1], "docker_cmd": "d"}
    assert made["models"] == {"input": models["input"], "output": []}
    assert made["output"] == {"destination": "s3://b"}
    assert (made["runtime"], made["last_metrics"], made["last_iteration"]) == ({}, {}, 0)
    assert made["status_message"] == ""
    assert "started" not in made


def test_what_can_be_other_in_a_clone(api: ApiClient) -> None:
    parent, project = create(api), api.call("projects.create", name="the project")["id"]
    model = api.call("models.create", name="m", uri="u")["id"]
    source = create(api, hyperparams=PARAMS, execution={"framework": "f", "docker_cmd": "d"}, comment="c")
    changes: Json = {
        "name": "new name",
        "comment": "",
        "tags": ["t"],
        "system_tags": ["s"],
        "parent": parent,
        "project": project,
        "hyperparams": {"s": {"n": {"section": "s", "name": "n", "value": "v"}}},
        "configuration": {"x": {"name": "x", "value": "y"}},
        "container": {"image": "j"},
    }
    made = clone(
        api,
        source,
        **{f"new_task_{name}": value for name, value in changes.items()},
        new_task_input_models=[{"name": "n", "model": model}],
        execution_overrides={"docker_cmd": "e"},
    )
    assert {name: made[name] for name in changes} == changes
    assert made["models"]["input"] == [{"name": "n", "model": model}]
    assert made["execution"] == {"artifacts": [], "framework": "f", "docker_cmd": "e"}


@pytest.mark.parametrize("bad", [{"task": "none"}, {"new_task_name": "x"}, {"new_task_parent": "none"}])
def test_no_project_is_made_for_a_clone_that_is_refused(api: ApiClient, bad: Json) -> None:
    arguments = {"task": create(api), "new_project_name": "made for it", **bad}
    assert api.error("tasks.clone", **arguments)[0] == 400
    assert api.call("projects.get_all")["projects"] == []


def test_into_a_new_project(api: ApiClient) -> None:
    reply = api.call("tasks.clone", task=create(api), new_project_name="made/for it")
    project = reply["new_project"]
    assert project["name"] == "made/for it"
    assert api.call("projects.get_by_id", project=project["id"])["project"]["name"] == "made/for it"
    assert api.call("tasks.get_by_id", task=reply["id"])["task"]["project"] == project["id"]


@pytest.mark.parametrize(
    ("arguments", "pair"),
    [
        ({"new_task_parent": "none"}, (400, 101)),
        ({"new_task_project": "none"}, (400, 401)),
        ({"new_task_input_models": [{"name": "n", "model": "none"}]}, (400, 201)),
        ({"execution_overrides": {"model": "none"}}, (400, 201)),
        ({"new_task_name": "ab"}, (400, 800)),
    ],
    ids=str,
)
def test_given_references_are_checked(api: ApiClient, arguments: Json, pair: tuple[int, int]) -> None:
    assert api.error("tasks.clone", task=create(api), **arguments) == pair
    assert len(api.call("tasks.get_all")["tasks"]) == 1


@pytest.mark.parametrize(
    ("fields", "pair"),
    [
        ({"parent": "gone"}, (400, 101)),
        ({"project": "gone"}, (400, 401)),
        ({"models": {"input": [{"name": "n", "model": "gone"}], "output": []}}, (400, 201)),
    ],
    ids=str,
)
def test_inherited_references_are_checked_when_asked_for(
    api: ApiClient, engines: Engines, fields: Json, pair: tuple[int, int]
) -> None:
    source = create(api)
    engines.documents.update("tasks", source, lambda task: task.update(fields))
    assert api.error("tasks.clone", task=source, validate_references=True) == pair
    assert clone(api, source)["models"]["output"] == []


def test_unknown_and_public_tasks(api: ApiClient) -> None:
    assert api.error("tasks.clone", task="none") == (400, 101)
    source = create(api)
    api.call("tasks.make_public", ids=[source])
    assert clone(api, source)["company"] != ""


def test_validate_takes_a_whole_task(api: ApiClient) -> None:
    task = create(api, hyperparams=PARAMS, script=SCRIPT, execution={"artifacts": [{"key": "k", "type": "t"}]})
    document = api.call("tasks.get_by_id", task=task)["task"]
    assert api.call("tasks.validate", **document) == {}
    assert api.error("tasks.validate", **{**document, "project": "none"}) == (400, 401)
    assert api.error("tasks.validate", **{**document, "parent": "none"}) == (400, 101)
    assert api.error("tasks.validate", **{**document, "name": "x"}) == (400, 800)
    assert api.error("tasks.validate", **{**document, "type": "x"}) == (400, 12)
