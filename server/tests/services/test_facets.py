"""What filters offer: tags, parameters, metadata, metrics, users, parents."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json


def project(api: ApiClient, name: str, **fields: Any) -> str:
    made: str = api.call("projects.create", name=name, **fields)["id"]
    return made


def task(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return made


def test_tags_are_sorted_and_follow_every_change(api: ApiClient) -> None:
    top = project(api, "top")
    below = project(api, "top/below")
    task(api, project=top, tags=["b", "a"], system_tags=["s"])
    deeper = task(api, project=below, tags=["c", "a"])
    task(api, tags=["elsewhere"])
    assert api.call("projects.get_task_tags", projects=[top]) == {"tags": ["a", "b", "c"]}
    assert api.call("projects.get_task_tags", projects=[below]) == {"tags": ["a", "c"]}
    assert api.call("projects.get_task_tags")["tags"] == ["a", "b", "c", "elsewhere"]
    assert api.call("projects.get_task_tags", projects=[top], include_system=True)["system_tags"] == ["s"]
    api.call("tasks.edit", task=deeper, tags=["d"])
    assert api.call("projects.get_task_tags", projects=[top]) == {"tags": ["a", "b", "d"]}
    api.call("tasks.delete", task=deeper)
    assert api.call("projects.get_task_tags", projects=[top]) == {"tags": ["a", "b"]}


def test_tags_of_chosen_entities(api: ApiClient) -> None:
    task(api, tags=["open"])
    task(api, tags=["stored"], system_tags=["archived"])
    wanted = {"system_tags": ["__$not", "archived"]}
    assert api.call("projects.get_task_tags", filter=wanted) == {"tags": ["open"]}
    assert api.call("organization.get_tags", filter={"system_tags": ["archived"]}) == {"tags": ["stored"]}


def test_tags_of_each_kind(api: ApiClient) -> None:
    parent = project(api, "vision", tags=["p"])
    project(api, "vision/x", tags=["q"])
    api.call("models.create", name="model", uri="file:///m", tags=["m"], project=parent)
    task(api, tags=["t"], project=parent)
    assert api.call("projects.get_model_tags", projects=[parent]) == {"tags": ["m"]}
    assert api.call("projects.get_project_tags", projects=[parent]) == {"tags": ["p", "q"]}
    assert api.call("organization.get_tags", include_system=True) == {"tags": ["m", "t"], "system_tags": []}


def params(**values: str) -> Json:
    return {"Args": {name: {"section": "Args", "name": name, "value": value} for name, value in values.items()}}


def test_hyperparameters_and_their_values(api: ApiClient) -> None:
    top, below = project(api, "top"), project(api, "top/below")
    task(api, project=top, hyperparams=params(lr="0.1", depth="3"))
    task(api, project=below, hyperparams=params(lr="0.2"))
    task(api, hyperparams=params(other="1"))
    both = [{"section": "Args", "name": "depth"}, {"section": "Args", "name": "lr"}]
    found = api.call("projects.get_hyper_parameters", project=top)
    assert found == {"parameters": both, "total": 2, "remaining": 0}
    found = api.call("projects.get_hyper_parameters", project=top, page=0, page_size=1)
    assert found == {"parameters": both[:1], "total": 2, "remaining": 1}
    alone = api.call("projects.get_hyper_parameters", project=below)
    assert alone["parameters"] == both[1:]
    asked = {"section": "Args", "name": "lr"}
    assert api.call("projects.get_hyperparam_values", **asked, projects=[top]) == {"total": 2, "values": ["0.1", "0.2"]}
    alone = api.call("projects.get_hyperparam_values", **asked, projects=[top], include_subprojects=False)
    assert alone["values"] == ["0.1"]
    assert api.call("projects.get_hyperparam_values", **asked, pattern="2$")["values"] == ["0.2"]
    assert api.error("projects.get_hyper_parameters", project="none") == (400, 401)


def test_metadata_of_models(api: ApiClient) -> None:
    top = project(api, "top")
    model = api.call("models.create", name="model", uri="file:///m", project=top)["id"]
    api.call("models.add_or_update_metadata", model=model, metadata=[{"key": "k", "value": "v"}, {"key": "a.b"}])
    assert api.call("projects.get_model_metadata_keys", project=top) == {
        "keys": ["a.b", "k"],
        "total": 2,
        "remaining": 0,
    }
    assert api.call("projects.get_model_metadata_values", key="k") == {"total": 1, "values": ["v"]}


def test_metric_variants(api: ApiClient) -> None:
    top = project(api, "top")
    one = task(api, project=top)
    event = {"type": "training_stats_scalar", "task": one, "iter": 1, "value": 1.0}
    api.add_events([{**event, "metric": m, "variant": v} for m, v in (("b", "x"), ("a", "y"), ("b", "w"))])
    found = api.call("projects.get_unique_metric_variants", project=top)["metrics"]
    assert [(row["metric"], row["variant"]) for row in found] == [("a", "y"), ("b", "w"), ("b", "x")]
    assert found[0]["metric_hash"] == "0cc175b9c0f1b6a831c399e269772661"
    assert api.call("projects.get_unique_metric_variants", ids=["none"])["metrics"] == []
    assert api.call("projects.get_unique_metric_variants", model_metrics=True)["metrics"] == []


def test_users(api: ApiClient) -> None:
    top = project(api, "top")
    task(api, project=top)
    assert api.call("projects.get_user_names", projects=[top])["users"] == [{"id": api.user, "name": "tester"}]
    assert api.call("projects.get_user_names", projects=[top], entity="model")["users"] == []


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({}, ["alpha"]),
        ({"tasks_state": "archived"}, ["beta"]),
        ({"tasks_state": None}, ["alpha", "beta"]),
        ({"tasks_state": None, "task_name": "^b"}, ["beta"]),
        ({"projects": ["none"]}, []),
    ],
    ids=str,
)
def test_parents(api: ApiClient, arguments: Json, names: list[str]) -> None:
    top = project(api, "top")
    alpha, beta = task(api, name="alpha", project=top), task(api, name="beta", project=top)
    task(api, parent=alpha)
    task(api, parent=beta, system_tags=["archived"])
    found = api.call("projects.get_task_parents", **arguments)["parents"]
    assert [row["name"] for row in found] == names
    assert all(row["project"] == {"id": top, "name": "top"} for row in found)


def test_companies(api: ApiClient) -> None:
    (company,) = api.call("organization.get_user_companies")["companies"]
    assert company["owners"] == [{"id": api.user, "name": "tester", "avatar": None}]
