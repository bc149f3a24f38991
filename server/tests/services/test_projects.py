"""Projects: a tree of names."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json


def names(api: ApiClient, **arguments: Any) -> list[str]:
    return [p["name"] for p in api.call("projects.get_all", order_by=["name"], **arguments)["projects"]]


def create(api: ApiClient, name: str, **fields: Any) -> str:
    project: str = api.call("projects.create", name=name, **fields)["id"]
    return project


def get(api: ApiClient, project: str) -> Json:
    found: Json = api.call("projects.get_by_id", project=project)["project"]
    return found


def make_public(engines: Engines, collection: str, document: str) -> None:
    engines.documents.update(collection, document, lambda d: d.update(company=""))


def test_a_project_shows_what_clients_read(api: ApiClient) -> None:
    project = get(api, create(api, "vision", description="d", tags=["t"], default_output_destination="s3://b"))
    assert project == {
        "id": project["id"],
        "name": "vision",
        "basename": "vision",
        "description": "d",
        "tags": ["t"],
        "system_tags": [],
        "default_output_destination": "s3://b",
        "user": api.user,
        "company": project["company"],
        "created": "2026-01-01T00:00:00.000000+00:00",
        "last_update": "2026-01-01T00:00:00.000000+00:00",
    }


@pytest.mark.parametrize("name", ["a/b/c/deep", "a/b", "long name/x"])
def test_missing_parents_are_made(api: ApiClient, name: str) -> None:
    child = get(api, create(api, name))
    parts = name.split("/")
    assert names(api) == sorted("/".join(parts[: n + 1]) for n in range(len(parts)))
    assert get(api, child["parent"])["name"] == "/".join(parts[:-1])
    assert child["basename"] == parts[-1]


@pytest.mark.parametrize(
    ("given", "stored"),
    [("  padded\t", "padded"), (" a / b c / d ", "a/b c/d"), ("a.b$c%d'\"é☃", "a.b$c%d'\"é☃")],
)
def test_names_are_trimmed_and_otherwise_kept(api: ApiClient, given: str, stored: str) -> None:
    assert get(api, create(api, given))["name"] == stored
    assert api.error("projects.create", name=stored) == (400, 801)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("/", (400, 407)),
        ("", (400, 407)),
        ("  ", (400, 407)),
        ("a//b", (400, 407)),
        ("/abc", (400, 407)),
        ("abc/", (400, 407)),
        ("ab", (400, 800)),
        (" a ", (400, 800)),
        ("/".join("abcdefghijk"), (400, 409)),
        (None, (400, 12)),
        (7, (400, 12)),
    ],
)
def test_names_that_are_refused(api: ApiClient, name: Any, pair: tuple[int, int]) -> None:
    assert api.error("projects.create", name=name) == pair
    project = create(api, "present")
    assert api.error("projects.update", project=project, name=name) in ({pair} if name else {(400, 407), (200, 0)})


def test_a_taken_name_makes_nothing(api: ApiClient) -> None:
    create(api, "a/b/c")
    assert api.error("projects.create", name="a/b/c") == (400, 801)
    assert api.error("projects.create", name="a/b") == (400, 801)
    assert names(api) == ["a", "a/b", "a/b/c"]


def test_of_two_creators_one_succeeds(api: ApiClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(lambda _: api.error("projects.create", name="race/to/it"), range(16)))
    assert sorted(pairs) == [(200, 0)] + [(400, 801)] * 15
    assert names(api) == ["race", "race/to", "race/to/it"]


def test_creators_of_siblings_share_their_parents(api: ApiClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        pairs = list(pool.map(lambda n: api.error("projects.create", name=f"race/to/{n}"), range(16)))
    assert set(pairs) == {(200, 0)}
    assert len(names(api)) == 18


# update


def test_a_new_name_renames_every_descendant_and_nobody_else(api: ApiClient) -> None:
    for name in ("old/x/y", "older", "top/old/x"):
        create(api, name)
    (project,) = api.call("projects.get_all", name="^old$")["projects"]
    api.move_clock(60)
    fields = api.call("projects.update", project=project["id"], name="brand new")["fields"]
    assert fields["name"] == "brand new"
    assert names(api) == ["brand new", "brand new/x", "brand new/x/y", "older", "top", "top/old", "top/old/x"]
    renamed = get(api, project["id"])
    assert renamed["basename"] == "brand new"
    assert renamed["last_update"] > project["last_update"]


def test_a_name_in_the_middle(api: ApiClient) -> None:
    leaf = get(api, create(api, "a/middle/leaf"))
    api.call("projects.update", project=leaf["parent"], name="a/m")
    assert names(api) == ["a", "a/m", "a/m/leaf"]
    assert get(api, leaf["id"])["basename"] == "leaf"


@pytest.mark.parametrize(
    ("name", "pair"),
    [("b/x", (400, 408)), ("xyz", (400, 408)), ("a/x/y", (400, 408)), ("a/taken", (400, 801)), ("a/x", (200, 0))],
)
def test_a_new_name_may_differ_in_its_last_part_only(api: ApiClient, name: str, pair: tuple[int, int]) -> None:
    project = create(api, "a/x")
    create(api, "a/taken")
    assert api.error("projects.update", project=project, name=name) == pair
    assert names(api) == ["a", "a/taken", "a/x"]


def test_the_versions_of_a_data_set_are_renamed_with_it(api: ApiClient) -> None:
    def make(name: str, project: str, *tags: str) -> str:
        made = api.call("tasks.create", name=name, type="data_processing", project=project, system_tags=list(tags))
        return str(made["id"])

    birds, plain = (
        str(api.call("projects.create", name=f"a/.datasets/{name}", system_tags=["hidden", "dataset"])["id"])
        for name in ("birds", "fish")
    )
    api.call("projects.update", project=plain, system_tags=["hidden"])
    versions = [make("birds", birds, "hidden", "dataset") for _ in range(2)]
    others = [make("birds", birds), make("other", birds, "dataset"), make("fish", plain, "dataset")]
    api.call("projects.update", project=birds, name="a/.datasets/cranes")
    api.call("projects.update", project=plain, name="a/.datasets/cod")
    tasks = {task["id"]: task["name"] for task in api.call("tasks.get_all", id=[*versions, *others])["tasks"]}
    assert [tasks[task] for task in versions] == ["cranes", "cranes"]
    assert [tasks[task] for task in others] == ["birds", "other", "fish"]


def test_renames_at_the_same_time_leave_a_tree(api: ApiClient) -> None:
    leaf = get(api, create(api, "top/middle/leaf"))
    middle = leaf["parent"]
    top = get(api, middle)["parent"]

    def rename(number: int) -> None:
        api.error("projects.update", project=top, name=f"top{number}")
        path = get(api, middle)["name"].split("/")[0]
        api.error("projects.update", project=middle, name=f"{path}/middle{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(rename, range(12)))
    found = [get(api, project)["name"] for project in (top, middle, leaf["id"])]
    assert found == ["/".join(found[2].split("/")[: n + 1]) for n in range(3)]


def test_fields_are_updated_alone(api: ApiClient) -> None:
    project = create(api, "vision", description="d", tags=["t"])
    api.call("projects.update", project=project, tags=["u"], description=None)
    found = get(api, project)
    assert (found["name"], found["description"], found["tags"]) == ("vision", "d", ["u"])


def test_unknown_and_public_projects(api: ApiClient, engines: Engines) -> None:
    assert api.error("projects.get_by_id", project="none") == (400, 401)
    assert api.error("projects.update", project="none", name="abc") == (400, 401)
    public = create(api, "public one")
    make_public(engines, "projects", public)
    assert get(api, public)["name"] == "public one"
    assert api.error("projects.update", project=public, tags=[]) == (403, 21)


# listing


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, ["a", "a/b", "a/b/c", "other"]),
        ({"shallow_search": True}, ["a", "other"]),
        ({"parent": ["A"]}, ["a/b", "a/b/c"]),
        ({"parent": ["A"], "shallow_search": True}, ["a/b"]),
        ({"parent": ["A", "none"]}, ["a/b", "a/b/c"]),
        ({"parent": ["none"]}, []),
        ({"name": "^a/"}, ["a/b", "a/b/c"]),
        ({"name": "b"}, ["a/b", "a/b/c"]),
        ({"name": "^other$"}, ["other"]),
        ({"basename": "^b$"}, ["a/b"]),
        ({"search_hidden": True}, ["a", "a/b", "a/b/c", "hid", "other"]),
        ({"name": "hid"}, []),
        ({"id": ["HID"]}, ["hid"]),
        ({"system_tags": ["hidden"], "search_hidden": True}, ["hid"]),
    ],
    ids=str,
)
def test_listing(api: ApiClient, arguments: Json, found: list[str]) -> None:
    create(api, "a/b/c")
    create(api, "other")
    ids = {
        "A": api.call("projects.get_all", name="^a$")["projects"][0]["id"],
        "HID": create(api, "hid", system_tags=["hidden"]),
    }
    asked = {k: [ids.get(v, v) for v in value] if isinstance(value, list) else value for k, value in arguments.items()}
    assert names(api, **asked) == found


def test_the_inner_path_is_not_shown(api: ApiClient) -> None:
    create(api, "a/b")
    shown = api.call("projects.get_all", only_fields=["*", "path"])["projects"]
    assert all("path" not in project for project in shown)
