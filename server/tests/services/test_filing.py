"""Moving, tagging and publishing to everybody: the same for tasks and models."""

from typing import Any

import msgspec
import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json

BOTH = pytest.mark.parametrize("service", ["tasks", "models"])
UNKNOWN = {"tasks": (400, 101), "models": (400, 201)}
PUBLIC = {"tasks": (403, 21), "models": (400, 201)}


def create(api: ApiClient, service: str, **fields: Any) -> str:
    required: Json = {"type": "training"} if service == "tasks" else {"uri": "u"}
    made: str = api.call(f"{service}.create", **{"name": "thing", **required, **fields})["id"]
    return made


def get(api: ApiClient, service: str, document: str) -> Json:
    found: Json = api.call(f"{service}.get_all", id=[document])[service][0]
    return found


@BOTH
def test_move_makes_the_project(api: ApiClient, service: str) -> None:
    first, second = create(api, service), create(api, service)
    api.move_clock(5)
    project = api.call(f"{service}.move", ids=[first, second], project_name="new/inner")["project_id"]
    assert api.call("projects.get_by_id", project=project)["project"]["name"] == "new/inner"
    assert api.call(f"{service}.move", ids=[first], project_name="new/inner")["project_id"] == project
    moved = get(api, service, first)
    assert moved["project"] == get(api, service, second)["project"] == project
    assert moved["last_change"] == moved["last_update"] > moved["created"]


@BOTH
def test_move_to_the_root(api: ApiClient, service: str) -> None:
    project = api.call("projects.create", name="the project")["id"]
    document = create(api, service, project=project)
    assert api.call(f"{service}.move", ids=[document], project=None) == {"project_id": None}
    assert "project" not in get(api, service, document)
    assert api.call(f"{service}.move", ids=[document], project=project)["project_id"] == project
    assert get(api, service, document)["project"] == project


@BOTH
@pytest.mark.parametrize(
    ("target", "pair"),
    [({}, (400, 12)), ({"project": "none"}, (400, 401)), ({"project_name": "a//b"}, (400, 407))],
    ids=str,
)
def test_a_move_to_nowhere(api: ApiClient, service: str, target: Json, pair: tuple[int, int]) -> None:
    assert api.error(f"{service}.move", ids=[create(api, service)], **target) == pair


@BOTH
def test_a_move_is_of_all_or_none(api: ApiClient, engines: Engines, service: str) -> None:
    document, public = create(api, service), create(api, service)
    assert api.error(f"{service}.move", ids=[document, "none"], project_name="new one") == UNKNOWN[service]
    api.call(f"{service}.make_public", ids=[public])
    assert api.error(f"{service}.move", ids=[document, public], project_name="new one") == PUBLIC[service]
    assert "project" not in get(api, service, document)
    assert api.call("projects.get_all")["projects"] == []


@BOTH
def test_tags_are_added_and_removed(api: ApiClient, service: str) -> None:
    first, second = create(api, service, tags=["a", "b"]), create(api, service)
    arguments: Json = {"add_tags": ["c", "b", "c"], "remove_tags": ["a", "none"]}
    assert api.call(f"{service}.update_tags", ids=[first, second, "none"], **arguments) == {"updated": 2}
    assert get(api, service, first)["tags"] == ["b", "c"]
    assert get(api, service, second)["tags"] == ["c", "b"]
    assert api.call(f"{service}.update_tags") == {"updated": 0}


@BOTH
def test_public_and_private_again(api: ApiClient, engines: Engines, service: str) -> None:
    document = create(api, service)
    company = get(api, service, document)["company"]
    assert api.error(f"{service}.make_private", ids=[document]) == UNKNOWN[service]
    assert api.call(f"{service}.make_public", ids=[document]) == {"updated": 1}
    assert get(api, service, document)["company"] == ""
    edit: Json = {service[:-1]: document, "comment": "mine"}
    assert api.error(f"{service}.edit", **edit) == PUBLIC[service]
    assert api.error(f"{service}.make_public", ids=[document]) == UNKNOWN[service]
    assert api.call(f"{service}.make_private", ids=[document]) == {"updated": 1}
    assert get(api, service, document)["company"] == company
    assert api.error(f"{service}.edit", **edit) == (200, 0)


@BOTH
def test_what_another_company_made_public_stays(api: ApiClient, engines: Engines, service: str) -> None:
    document, mine = create(api, service), create(api, service)
    engines.documents.update(service, document, lambda d: d.update(company="", company_origin="another"))
    api.call(f"{service}.make_public", ids=[mine])
    assert api.error(f"{service}.make_private", ids=[mine, document]) == UNKNOWN[service]
    assert get(api, service, mine)["company"] == ""
    assert api.call(f"{service}.make_private") == api.call(f"{service}.make_public") == {"updated": 0}


@pytest.mark.parametrize(
    ("endpoint", "service", "field", "name"),
    [("tasks.get_types", "tasks", "type", "types"), ("models.get_frameworks", "models", "framework", "frameworks")],
)
def test_what_there_is_in_projects(api: ApiClient, endpoint: str, service: str, field: str, name: str) -> None:
    outer = api.call("projects.create", name="outer")["id"]
    inner = api.call("projects.create", name="outer/inner")["id"]
    create(api, service, project=inner, **{field: "training"})
    create(api, service, project=outer, **{field: "testing"})
    create(api, service, **{field: "custom"})
    assert api.call(endpoint) == {name: ["custom", "testing", "training"]}
    assert api.call(endpoint, projects=[outer]) == {name: ["testing", "training"]}
    assert api.call(endpoint, projects=[inner]) == {name: ["training"]}
    assert api.call(endpoint, projects=["none"]) == {name: []}


def test_a_batch_of_updates(api: ApiClient) -> None:
    first, second = create(api, "tasks"), create(api, "tasks")

    def batch(*lines: Any) -> Any:
        return api.send("/tasks.update_batch", b"\n".join(map(msgspec.json.encode, lines)))

    reply = batch({"task": first, "comment": "1"}, {"task": "none", "comment": "2"}, {"task": second, "name": "new"})
    assert reply.data == {"updated": 2}
    assert (get(api, "tasks", first)["comment"], get(api, "tasks", second)["name"]) == ("1", "new")
    assert batch({"task": first, "comment": "3"}, {"comment": 4}).pair == (400, 12)
    assert batch().pair == (400, 17)
    assert get(api, "tasks", first)["comment"] == "1"


def test_a_model_may_be_public_from_the_start(api: ApiClient) -> None:
    model = create(api, "models", public=True)
    assert get(api, "models", model)["company"] == ""
    assert api.error("models.edit", model=model, comment="mine") == (400, 201)
    assert api.call("models.make_private", ids=[model]) == {"updated": 1}
