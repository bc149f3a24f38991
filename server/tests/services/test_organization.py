"""What spans projects: counts and tables."""

import csv
import io
from typing import Any

import msgspec
import pytest

from trainshed.bootstrap import Engines
from trainshed.services.limits import Limits
from trainshed.testing.api import ApiClient, Json, serve


def project(api: ApiClient, name: str, **fields: Any) -> str:
    made: str = api.call("projects.create", name=name, **fields)["id"]
    return made


def task(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return made


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ({}, {}),
        ({"projects": {}, "tasks": {}, "models": {}}, {"projects": 2, "tasks": 2, "models": 1}),
        ({"projects": {"shallow_search": True}}, {"projects": 1}),
        ({"projects": {}, "search_hidden": True}, {"projects": 8}),
        ({"pipelines": {}, "datasets": {}, "reports": {}}, {"pipelines": 1, "datasets": 1, "reports": 1}),
        ({"tasks": {"tags": ["t"]}}, {"tasks": 1}),
        ({"tasks": {"project": ["TOP"]}}, {"tasks": 1}),
        ({"tasks": {"project": ["TOP"], "include_subprojects": True}}, {"tasks": 2}),
        ({"tasks": {"hyperparams.Args.x.value": "1"}}, {"tasks": 0}),
        ({"tasks": {}, "projects": {}, "active_users": ["none"]}, {"tasks": 0, "projects": 0}),
        ({"tasks": {}, "allow_public": False}, {"tasks": 2}),
    ],
    ids=str,
)
def test_counts(api: ApiClient, arguments: Json, counts: Json) -> None:
    inner = project(api, "top/inner")
    (top,) = api.call("projects.get_all", name="^top$")["projects"]
    hidden: Json = {"search_hidden": True, "name": r"^top/\."}
    project(api, "top/.pipelines/p", system_tags=["hidden", "pipeline"])
    project(api, "top/.datasets/d", system_tags=["hidden", "dataset"])
    for found in api.call("projects.get_all", **hidden)["projects"]:
        tags = {"hidden", *found["system_tags"]}
        api.call("projects.update", project=found["id"], system_tags=sorted(tags))
    api.call("reports.create", name="a report", project=top["id"])
    project(api, "gone", system_tags=["hidden"])
    task(api, project=top["id"], tags=["t"])
    task(api, project=inner)
    api.call("models.create", name="model", uri="file:///m")
    text = msgspec.json.encode(arguments).decode().replace("TOP", top["id"])
    assert api.call("organization.get_entities_count", **msgspec.json.decode(text)) == counts


def download(api: ApiClient, **arguments: Any) -> list[list[str]]:
    prepared = api.call("organization.prepare_download_for_get_all", **arguments)["prepare_id"]
    reply = api.http.get(
        f"/v2.31/organization.download_for_get_all?prepare_id={prepared}",
        headers={"Authorization": api.authorization},
    )
    assert reply.content_type == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(reply.text)))


def test_a_table_of_a_listing(engines: Engines) -> None:
    api = serve(engines, limits=Limits(table_batch=2))
    top = project(api, "top")
    for number in range(5):
        task(api, project=top, name=f"task {number}, quoted", tags=["a", "b"])
    task(api, name="=1+1")
    rows = download(
        api,
        entity_type="task",
        only_fields=["name", "project.name", "status", "tags"],
        order_by=["name"],
        field_mappings=[
            {"field": "name", "name": "Name"},
            {"field": "project.name"},
            {"field": "status", "values": [{"key": "created", "value": "Draft"}]},
            {"field": "tags"},
        ],
    )
    assert rows == [
        ["Name", "project.name", "status", "tags"],
        ["'=1+1", "", "Draft", ""],
        *([f"task {number}, quoted", "top", "Draft", "a, b"] for number in range(5)),
    ]


def test_a_table_of_models(api: ApiClient) -> None:
    api.call("models.create", name="model", uri="file:///m", tags=["t"])
    api.call("models.create", name="other", uri="file:///m")
    rows = download(api, entity_type="model", only_fields=["name", "ready"], field_mappings=[], tags=["t"])
    assert rows == [["name", "ready"], ["model", "false"]]


def test_an_unknown_table(api: ApiClient) -> None:
    assert api.error("organization.download_for_get_all", prepare_id="none") == (400, 10)
