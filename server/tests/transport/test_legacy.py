"""Old versions of the API."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json

pytestmark = pytest.mark.parametrize("engines", ["memory"], indirect=True)

JUNK: tuple[Any, ...] = (None, 1, "x", [], [1], {"parameters": 1}, {"parameters": {"a": {"b": 1}}}, {"model_desc": []})


def create(api: ApiClient, version: str, **fields: Any) -> str:
    task: str = api.call("tasks.create", version=version, **{"name": "a task", "type": "training", **fields})["id"]
    return task


def get(api: ApiClient, task: str, version: str = "2.31") -> Json:
    found: Json = api.call("tasks.get_by_id", version=version, task=task)["task"]
    return found


def test_old_parameters_are_hyperparameters(api: ApiClient) -> None:
    old = {"parameters": {"lr": "0.1", "TF_DEFINE/x": "y", "General/z": 2}, "model_desc": {"design": "layers"}}
    task = create(api, "2.8", execution=old)
    found = get(api, task)
    assert found["hyperparams"] == {
        "Args": {
            "lr": {"section": "Args", "name": "lr", "value": "0.1", "type": "legacy"},
            "General/z": {"section": "Args", "name": "General/z", "value": "2", "type": "legacy"},
        },
        "TF_DEFINE": {"x": {"section": "TF_DEFINE", "name": "x", "value": "y", "type": "legacy"}},
    }
    assert found["configuration"] == {"design": {"name": "design", "value": "layers", "type": "legacy"}}
    assert found["execution"] == {"artifacts": []}
    execution = get(api, task, "2.8")["execution"]
    assert execution["parameters"] == {"lr": "0.1", "TF_DEFINE/x": "y", "General/z": "2"}
    assert execution["model_desc"] == {"design": "layers"}


def test_new_hyperparameters_are_old_parameters(api: ApiClient) -> None:
    params = {"General": {"lr": {"section": "General", "name": "lr", "value": "1"}}}
    task = create(api, "2.31", hyperparams=params)
    assert get(api, task, "2.1")["execution"]["parameters"] == {"General/lr": "1"}
    (listed,) = api.call("tasks.get_all", version="2.8", only_fields=["execution.parameters", "name"])["tasks"]
    assert listed["execution"]["parameters"] == {"General/lr": "1"}
    assert "parameters" not in get(api, task, "2.9")["execution"]


def test_clones_of_old_clients(api: ApiClient) -> None:
    source = create(api, "2.8", execution={"parameters": {"a": "1"}})
    overrides = {"parameters": {"a": "2"}}
    clone = api.call("tasks.clone", version="2.8", task=source, execution_overrides=overrides)["id"]
    assert get(api, clone)["hyperparams"]["Args"]["a"]["value"] == "2"


def test_system_tags_were_tags(api: ApiClient) -> None:
    task = create(api, "2.2", tags=["mine", "development"])
    assert (get(api, task)["tags"], get(api, task)["system_tags"]) == (["mine"], ["development"])
    assert get(api, task, "2.2")["tags"] == ["mine", "development"]
    assert "system_tags" not in get(api, task, "2.2")
    assert get(api, task, "2.3")["tags"] == ["mine"]

    def listed(*tags: str) -> int:
        return len(api.call("tasks.get_all", version="2.2", tags=list(tags))["tasks"])

    assert [listed("development"), listed("-development"), listed("mine", "-development"), listed("other")] == [
        1,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize("version", ["2.9", "2.31"])
def test_any_version_may_write_and_name_old_parameters(api: ApiClient, version: str) -> None:
    execution = {"parameters": {"x.y": "2", "TF_DEFINE/z": "1"}, "model_desc": {"design": "d"}}
    first = create(api, version, execution=execution)
    second = create(api, version, execution={"parameters": {"x.y": "11"}})
    found = get(api, first)
    assert found["hyperparams"]["Args"]["x.y"] == {"section": "Args", "name": "x.y", "value": "2", "type": "legacy"}
    assert found["hyperparams"]["TF_DEFINE"]["z"]["value"] == "1"
    assert found["configuration"]["design"]["value"] == "d"
    assert "parameters" not in found["execution"]
    path = "execution.parameters.x%2Ey"

    def listed(**arguments: Any) -> list[str]:
        return [task["id"] for task in api.call("tasks.get_all", version=version, **arguments)["tasks"]]

    assert listed(order_by=[path]) == [first, second]
    assert listed(order_by=[f"-{path}"]) == [second, first]
    assert listed(**{path: "2"}) == [first]
    assert listed(**{"execution.parameters.TF_DEFINE/z": ["1"]}) == [first]
    assert listed(_any_={"fields": [path], "pattern": "^1"}) == [second]
    assert listed(filters={path: {"any": {"include": ["11"]}}}) == [second]
    # No parameters: an old version has none then, a new one says nothing of them.
    api.call("tasks.edit", version=version, task=first, execution={"parameters": {}})
    assert "Args" in get(api, first)["hyperparams"]
    api.call("tasks.edit", version="2.8", task=first, execution={"parameters": {}})
    assert get(api, first)["hyperparams"] == {}


def test_a_task_had_one_model_of_each_kind_and_a_command_for_its_container(api: ApiClient) -> None:
    model = api.call("models.create", name="m", uri="u")["id"]
    execution = {"model": model, "docker_cmd": " image:1 --ipc host -v '/a b:/c' "}
    task = create(api, "2.12", execution=execution)
    api.call("tasks.add_or_update_model", task=task, name="o", model="out", type="output")
    found = get(api, task)
    assert found["models"]["input"] == [{"name": "Input Model", "model": model}]
    arguments = "--ipc host -v '/a b:/c'"
    assert found["container"] == {"image": "image:1", "arguments": arguments, "setup_shell_script": ""}
    assert found["execution"] == {"artifacts": []}
    old = get(api, task, "2.12")
    assert old["execution"] == {"artifacts": [], "model": model, "docker_cmd": f"image:1 {arguments}"}
    assert old["output"] == {"model": "out"}
    fields = ["execution.docker_cmd"]
    (listed,) = api.call("tasks.get_all", version="2.5", id=[task], only_fields=fields)["tasks"]
    assert listed["execution"]["docker_cmd"] == f"image:1 {arguments}"
    api.call("tasks.edit", version="2.12", task=task, execution={**old["execution"], "model": "", "docker_cmd": ""})
    found = get(api, task)
    assert found["models"] == {"input": [], "output": [{"name": "o", "model": "out"}]}
    assert found["container"]["image"] == ""
    overrides = {"model": model, "docker_cmd": "j"}
    clone = api.call("tasks.clone", version="2.12", task=task, execution_overrides=overrides)["id"]
    assert get(api, clone)["models"]["input"] == [{"name": "Input Model", "model": model}]
    assert get(api, clone)["container"]["image"] == "j"
    assert api.error("tasks.clone", version="2.12", task=task, execution_overrides={"model": "no"}) == (400, 201)


def test_metadata_was_a_list(api: ApiClient) -> None:
    items = [{"key": "k", "type": "str", "value": "v"}]
    model = api.call("models.create", name="m", uri="u", metadata=items)["id"]
    queue = api.call("queues.create", version="2.13", name="queue", metadata=items)["id"]
    for kind, thing in (("model", model), ("queue", queue)):
        for version, metadata in (("2.13", items), ("2.14", {"k": items[0]})):
            assert api.call(f"{kind}s.get_by_id", version=version, **{kind: thing})[kind]["metadata"] == metadata
            (listed,) = api.call(f"{kind}s.get_all", version=version, id=[thing])[f"{kind}s"]
            assert listed["metadata"] == metadata
    api.call("models.edit", model=model, metadata=[{"key": "other"}])
    assert api.call("models.get_by_id", model=model)["model"]["metadata"] == {"other": {"key": "other"}}


def test_who_wrote_tags_wrote_the_system_tags_too(api: ApiClient) -> None:
    task = create(api, "2.2", tags=["mine", "development"])
    (listed,) = api.call("tasks.get_all", version="2.2", only_fields=["tags"])["tasks"]
    assert listed["tags"] == ["mine", "development"]
    api.call("tasks.edit", version="2.2", task=task, tags=["other"])
    assert (get(api, task)["tags"], get(api, task)["system_tags"]) == (["other"], [])


# handlers of old forms


def test_the_log_was_scrolled(api: ApiClient) -> None:
    task = create(api, "2.31")
    api.add_events({"type": "log", "task": task, "timestamp": moment, "msg": str(moment)} for moment in range(1, 6))

    def pages(**arguments: Any) -> list[str]:
        shown, scroll_id = [], None
        for _ in range(4):
            found = api.call(
                "events.get_task_log", version="2.8", task=task, batch_size=2, scroll_id=scroll_id, **arguments
            )
            shown.append("".join(event["msg"] for event in found["events"]))
            assert (found["returned"], found["total"]) == (len(found["events"]), 5)
            scroll_id = found["scroll_id"]
        return shown

    assert pages() == ["12", "34", "5", ""]
    assert pages(order="desc") == ["21", "43", "5", ""]
    assert pages(**{"from": "tail"}) == ["45", "23", "1", ""]
    assert pages(**{"from": "tail", "order": "desc"}) == ["54", "32", "1", ""]
    assert "scroll_id" not in api.call("events.get_task_log", version="2.9", task=task)


def test_debug_images_were_those_of_one_task(api: ApiClient) -> None:
    task = create(api, "2.31")
    image = {"type": "training_debug_image", "task": task, "metric": "m", "variant": "v"}
    api.add_events({**image, "iter": number, "url": f"http://{number}"} for number in range(3))
    found = api.call("events.debug_images", version="2.6", task=task, iters=2)
    assert [event["iter"] for event in found["images"]] == [2, 1]
    assert (found["task"], found["returned"], found["total"]) == (task, 2, 2)
    after = api.call("events.debug_images", version="2.6", task=task, iters=2, scroll_id=found["scroll_id"])
    assert (after["images"], after["returned"], after["total"]) == ([], 0, 2)
    assert api.error("events.debug_images", version="2.7", task=task) == (400, 12)


@pytest.mark.parametrize("version", ["2.1", "2.8"])
@pytest.mark.usefixtures("no_stack_traces")
def test_junk_is_the_callers_error(api: ApiClient, version: str) -> None:
    for field in ("execution", "execution_overrides", "only_fields", "tags", "system_tags", "task"):
        for junk in JUNK:
            for endpoint in ("tasks.create", "tasks.get_all", "models.get_all", "projects.get_all"):
                arguments = {"name": "thing", "type": "training", field: junk}
                assert api.error(endpoint, version=version, **arguments)[0] < 500, (endpoint, field, junk)
