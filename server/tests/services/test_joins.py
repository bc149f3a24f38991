"""Listings with references as objects."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json


@pytest.fixture
def project(api: ApiClient) -> str:
    made: str = api.call("projects.create", name="the project", description="d")["id"]
    return made


def task(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return made


def tasks(api: ApiClient, **arguments: Any) -> list[Json]:
    found: list[Json] = api.call("tasks.get_all_ex", **arguments)["tasks"]
    return found


def test_references_are_objects_with_an_id(api: ApiClient, project: str) -> None:
    parent = task(api)
    child = task(api, project=project, parent=parent, execution={"queue": "q" * 32})
    (found,) = tasks(api, id=[child])
    (plain,) = api.call("tasks.get_all", id=[child])["tasks"]
    assert plain["project"] == project
    references: Json = {
        "project": {"id": project},
        "parent": {"id": parent},
        "user": {"id": api.user},
        "company": {"id": plain["company"]},
        "execution": {"artifacts": [], "queue": {"id": "q" * 32}},
    }
    assert found == {**plain, **references}


def test_fields_beside_the_id_come_when_asked_for(api: ApiClient, engines: Engines, project: str) -> None:
    parent = task(api, name="the parent")
    engines.documents.insert("queues", {"id": "q", "name": "the queue", "company": "", "tags": []})
    child = task(api, project=project, parent=parent, execution={"queue": "q"})
    names = ["name", "project.name", "project.description", "parent.name", "user.name", "execution.queue.name"]
    assert tasks(api, id=[child], only_fields=names) == [
        {
            "id": child,
            "name": "a task",
            "project": {"id": project, "name": "the project", "description": "d"},
            "parent": {"id": parent, "name": "the parent"},
            "user": {"id": api.user, "name": "tester"},
            "execution": {"queue": {"id": "q", "name": "the queue"}},
        }
    ]


@pytest.mark.parametrize(
    "names", [["project.name"], ["project", "project.name"], "project.name", ["project.*"]], ids=str
)
def test_ways_to_ask(api: ApiClient, project: str, names: Any) -> None:
    (found,) = tasks(api, id=[task(api, project=project)], projection=names)
    assert (found["project"]["id"], found["project"]["name"]) == (project, "the project")
    assert set(found) == {"id", "project"}


def test_what_is_not_there_is_left_out(api: ApiClient, engines: Engines) -> None:
    lost = task(api, name="lost")
    stranger = {"id": "other", "name": "secret", "company": "another"}
    engines.documents.insert("projects", stranger)
    engines.documents.update("tasks", lost, lambda d: d.update(project="other", parent="gone"))
    fields = ["parent.name", "project.name", "execution.queue.name", "last_metrics.a.b"]
    assert tasks(api, id=[lost], only_fields=fields) == [
        {"id": lost, "parent": {"id": "gone"}, "project": {"id": "other"}, "execution": {}, "last_metrics": {}}
    ]


def test_models(api: ApiClient, project: str) -> None:
    maker = task(api)
    model = api.call("models.create", name="m", uri="u", task=maker, project=project, labels={"a": 1, "b": 2})["id"]
    arguments: Json = {"id": [model], "only_fields": ["task.name", "project.name", "labels"], "include_stats": True}
    for endpoint in ("models.get_all_ex", "models.get_by_id_ex"):
        assert api.call(endpoint, **arguments)["models"] == [
            {
                "id": model,
                "task": {"id": maker, "name": "a task"},
                "project": {"id": project, "name": "the project"},
                "labels": {"a": 1, "b": 2},
                "stats": {"labels_count": 2},
            }
        ]


def test_public_ones_can_be_left_out(api: ApiClient, engines: Engines) -> None:
    mine, public = task(api), task(api)
    engines.documents.update("tasks", public, lambda d: d.update(company=""))
    assert {found["id"] for found in tasks(api)} == {mine, public}
    assert [found["id"] for found in tasks(api, allow_public=False)] == [mine]


def test_pages_and_scrolls_are_joined_too(api: ApiClient) -> None:
    made = {task(api) for _ in range(3)}
    page = api.call("tasks.get_all_ex", scroll_id=None, size=2)
    rest = api.call("tasks.get_all_ex", scroll_id=page["scroll_id"], size=2)
    assert {found["id"] for found in page["tasks"] + rest["tasks"]} == made
    assert all(found["user"] == {"id": api.user} for found in page["tasks"] + rest["tasks"])
