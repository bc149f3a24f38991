"""The parts of a task that clients edit one by one."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, **fields: Any) -> str:
    task: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return task


def get(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def param(section: str, name: str, value: str = "v", **rest: str) -> Json:
    return {"section": section, "name": name, "value": value, **rest}


def params(api: ApiClient, task: str) -> list[tuple[str, str, str]]:
    (found,) = api.call("tasks.get_hyper_params", tasks=[task])["params"]
    assert found["task"] == task
    return [(p["section"], p["name"], p["value"]) for p in found["hyperparams"]]


# hyperparameters


@pytest.mark.parametrize(
    ("replace", "expected"),
    [
        (None, [("a", "x", "new"), ("a", "y", "1"), ("b", "z", "1"), ("c", "w", "new")]),
        ("none", [("a", "x", "new"), ("a", "y", "1"), ("b", "z", "1"), ("c", "w", "new")]),
        ("section", [("a", "x", "new"), ("b", "z", "1"), ("c", "w", "new")]),
        ("all", [("a", "x", "new"), ("c", "w", "new")]),
    ],
)
def test_hyperparameters_are_added_or_replaced(
    api: ApiClient, replace: str | None, expected: list[tuple[str, str, str]]
) -> None:
    task = create(api)
    first = [param("b", "z", "1"), param("a", "y", "1"), param("a", "x", "1", type="int")]
    api.call("tasks.edit_hyper_params", task=task, hyperparams=first)
    second = [param("c", "w", "new"), param("a", "x", "new")]
    api.call("tasks.edit_hyper_params", task=task, hyperparams=second, replace_hyperparams=replace)
    assert params(api, task) == expected
    assert get(api, task)["hyperparams"]["a"]["x"] == param("a", "x", "new")


@pytest.mark.parametrize(
    ("items", "replace", "pair"),
    [
        ([param("properties", "x")], "none", (200, 0)),
        ([param("properties", "x")], "section", (200, 0)),
        ([param("properties", "x")], "all", (400, 110)),
        ([], "all", (400, 110)),
        ([param("properties", "x"), param("Args", "x")], "none", (400, 110)),
    ],
    ids=["properties", "their section", "with all others", "nothing for all", "with another"],
)
def test_a_running_task_takes_properties_alone(
    api: ApiClient, items: list[Json], replace: str, pair: tuple[int, int]
) -> None:
    task = create(api)
    api.call("tasks.edit_hyper_params", task=task, hyperparams=[param("Args", "kept")])
    api.call("tasks.started", task=task)
    assert api.error("tasks.edit_hyper_params", task=task, hyperparams=items, replace_hyperparams=replace) == pair
    assert ("Args", "kept", "v") in params(api, task)


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        ([{"section": "a", "name": "x"}], [("a", "y", "v"), ("b", "x", "v")]),
        ([{"section": "a"}], [("b", "x", "v")]),
        ([{"section": "a", "name": None}], [("b", "x", "v")]),
        ([{"section": "none"}, {"section": "a", "name": "none"}], [("a", "x", "v"), ("a", "y", "v"), ("b", "x", "v")]),
        ([], [("a", "x", "v"), ("a", "y", "v"), ("b", "x", "v")]),
    ],
)
def test_hyperparameters_are_deleted_one_by_one_or_by_section(
    api: ApiClient, keys: list[Json], left: list[tuple[str, str, str]]
) -> None:
    task = create(api)
    items = [param("a", "x"), param("a", "y"), param("b", "x")]
    api.call("tasks.edit_hyper_params", task=task, hyperparams=items)
    api.call("tasks.delete_hyper_params", task=task, hyperparams=keys)
    assert params(api, task) == left


def test_deleting_hyperparameters_of_a_running_task(api: ApiClient) -> None:
    task = create(api)
    api.call("tasks.edit_hyper_params", task=task, hyperparams=[param("a", "x"), param("properties", "x")])
    api.call("tasks.started", task=task)
    assert api.error("tasks.delete_hyper_params", task=task, hyperparams=[{"section": "a"}]) == (400, 110)
    assert api.error("tasks.delete_hyper_params", task=task, hyperparams=[{"section": "properties"}]) == (200, 0)
    assert api.error("tasks.delete_hyper_params", task=task, hyperparams=[{"section": "a"}], force=True) == (200, 0)
    assert params(api, task) == []


@pytest.mark.parametrize("item", [{"section": "a"}, {"name": "x"}, {"section": "", "name": "x"}, {}])
def test_a_hyperparameter_has_a_section_and_a_name(api: ApiClient, item: Json) -> None:
    assert api.error("tasks.edit_hyper_params", task=create(api), hyperparams=[item]) == (400, 12)


# configurations


def test_configurations(api: ApiClient) -> None:
    task = create(api)
    items = [{"name": "b", "value": "1"}, {"name": "a", "value": "{}", "type": "json"}, {"name": "empty"}]
    api.call("tasks.edit_configuration", task=task, configuration=items)

    def found(**arguments: Any) -> list[Json]:
        (entry,) = api.call("tasks.get_configurations", tasks=[task], **arguments)["configurations"]
        items: list[Json] = entry["configuration"]
        return items

    def names(**arguments: Any) -> list[str]:
        (entry,) = api.call("tasks.get_configuration_names", tasks=[task], **arguments)["configurations"]
        listed: list[str] = entry["names"]
        return listed

    assert found() == [items[1], items[0], items[2]]
    assert found(names=["b", "none"]) == [items[0]]
    assert names() == ["a", "b"]
    assert names(skip_empty=False) == ["a", "b", "empty"]
    api.call("tasks.edit_configuration", task=task, configuration=[{"name": "b", "value": "2"}])
    assert found(names=["b"]) == [{"name": "b", "value": "2"}]
    api.call("tasks.delete_configuration", task=task, configuration=["a", "none"])
    assert names() == ["b"]
    api.call("tasks.edit_configuration", task=task, configuration=[{"name": "c"}], replace_configuration=True)
    assert found() == [{"name": "c"}]
    api.call("tasks.started", task=task)
    assert api.error("tasks.delete_configuration", task=task, configuration=["c"]) == (400, 110)
    assert api.error("tasks.delete_configuration", task=task, configuration=["c"], force=True) == (200, 0)


# artifacts


def artifact(key: str, kind: str = "t", **rest: Any) -> Json:
    return {"key": key, "type": kind, "mode": "output", **rest}


def test_artifacts_are_sorted_and_put_by_key_and_mode(api: ApiClient) -> None:
    task = create(api)
    api.call("tasks.started", task=task)
    first = [artifact("b"), artifact("a", "z"), artifact("a", "k", mode="input")]
    assert api.call("tasks.add_or_update_artifacts", task=task, artifacts=first, force=True)["updated"] == 1
    second = artifact("b", uri="file:///b", content_size=2**40, hash="h", timestamp=1, display_data=[["a", "b"]])
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=[second])
    assert get(api, task)["execution"]["artifacts"] == [artifact("a", "k", mode="input"), artifact("a", "z"), second]


def test_artifacts_are_deleted_by_key_and_mode(api: ApiClient) -> None:
    task = create(api)
    items = [artifact("a"), artifact("a", mode="input"), artifact("b")]
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=items)
    api.call("tasks.delete_artifacts", task=task, artifacts=[{"key": "a"}, {"key": "none"}])
    assert get(api, task)["execution"]["artifacts"] == [artifact("a", mode="input"), artifact("b")]
    api.call("tasks.delete_artifacts", task=task, artifacts=[{"key": "a", "mode": "input"}])
    assert get(api, task)["execution"]["artifacts"] == [artifact("b")]


# models


def test_models_are_ordered_and_replaced_in_their_place(api: ApiClient) -> None:
    task = create(api)
    for name, model in (("x", "1"), ("y", "2"), ("x", "3"), ("z", "4")):
        api.call("tasks.add_or_update_model", task=task, name=name, model=model, type="output")
    api.call("tasks.add_or_update_model", task=task, name="x", model="5", type="input")
    models = get(api, task)["models"]
    assert [(item["name"], item["model"]) for item in models["output"]] == [("x", "3"), ("y", "2"), ("z", "4")]
    names = [{"name": "y", "type": "output"}, {"name": "none", "type": "input"}, {"name": "z", "type": "input"}]
    api.call("tasks.delete_models", task=task, models=names)
    models = get(api, task)["models"]
    assert [item["name"] for item in models["output"]] == ["x", "z"]
    assert [item["name"] for item in models["input"]] == ["x"]


@pytest.mark.parametrize(("iterations", "last"), [([5], 5), ([5, 3], 5), ([-4], 0), ([None], 0)])
def test_a_models_iteration_only_raises_the_tasks(api: ApiClient, iterations: list[int | None], last: int) -> None:
    task = create(api)
    for iteration in iterations:
        api.call("tasks.add_or_update_model", task=task, name="x", model="m", type="output", iteration=iteration)
    assert get(api, task)["last_iteration"] == last
