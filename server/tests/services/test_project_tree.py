"""Projects change their place: move, merge, delete, make public."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from trainshed.bootstrap import Engines
from trainshed.domain.errors import ApiError
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents
from trainshed.services.projects import Projects
from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, name: str, **fields: Any) -> str:
    project: str = api.call("projects.create", name=name, **fields)["id"]
    return project


def by_name(api: ApiClient) -> dict[str, str]:
    found = api.call("projects.get_all", order_by=["name"], search_hidden=True)["projects"]
    return {project["name"]: project["id"] for project in found}


def task(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("tasks.create", **{"name": "a task", "type": "training", **fields})["id"]
    return made


def model(api: ApiClient, **fields: Any) -> str:
    made: str = api.call("models.create", **{"name": "a model", "uri": "file:///m", **fields})["id"]
    return made


# move


def test_a_branch_moves_with_its_names(api: ApiClient) -> None:
    create(api, "old/branch/leaf")
    create(api, "new")
    ids = by_name(api)
    assert api.call("projects.move", project=ids["old/branch"], new_location="new/place") == {"moved": 2}
    after = by_name(api)
    assert list(after) == ["new", "new/place", "new/place/branch", "new/place/branch/leaf", "old"]
    assert after["new/place/branch/leaf"] == ids["old/branch/leaf"]
    below = api.call("projects.get_all", parent=[ids["new"]], order_by=["name"])["projects"]
    assert [p["name"] for p in below] == ["new/place", "new/place/branch", "new/place/branch/leaf"]
    api.call("projects.move", project=ids["old/branch"], new_location="")
    assert list(by_name(api)) == ["branch", "branch/leaf", "new", "new/place", "old"]
    assert "parent" not in api.call("projects.get_by_id", project=ids["old/branch"])["project"]


@pytest.mark.parametrize(
    ("location", "pair"),
    [
        ("top/x", (400, 411)),
        ("top/x/y", (400, 411)),
        ("top", (400, 410)),
        ("other", (400, 801)),
        ("/".join("abcdefghij"), (400, 409)),
        ("bad//name", (400, 407)),
        ("public", (400, 414)),
    ],
)
def test_moves_that_are_refused(api: ApiClient, engines: Engines, location: str, pair: tuple[int, int]) -> None:
    project = create(api, "top/x")
    create(api, "top/x/y")
    create(api, "other/x")
    api.call("projects.make_public", ids=[create(api, "public")])
    assert api.error("projects.move", project=project, new_location=location) == pair
    assert api.call("projects.get_by_id", project=project)["project"]["name"] == "top/x"


# merge


def test_a_merge_moves_everything_and_removes_the_source(api: ApiClient) -> None:
    for name in ("source/same/deep", "source/other", "target/same"):
        create(api, name)
    ids = by_name(api)
    moved = task(api, project=ids["source"])
    model(api, project=ids["source/same"])
    reply = api.call("projects.merge", project=ids["source"], destination_project=ids["target"])
    assert reply == {"moved_entities": 2, "moved_projects": 2}
    assert list(by_name(api)) == ["target", "target/other", "target/same", "target/same/deep"]
    assert api.call("tasks.get_by_id", task=moved)["task"]["project"] == ids["target"]
    (found,) = api.call("models.get_all", project=[ids["target/same"]])["models"]
    assert found["uri"] == "file:///m"


def test_a_merge_into_the_root(api: ApiClient) -> None:
    create(api, "source/child")
    moved = task(api, project=by_name(api)["source"])
    api.call("projects.merge", project=by_name(api)["source"])
    assert list(by_name(api)) == ["child"]
    assert "project" not in api.call("tasks.get_by_id", task=moved)["task"]


def test_merges_that_are_refused(api: ApiClient) -> None:
    create(api, "top/child")
    ids = by_name(api)
    merge = "projects.merge"
    assert api.error(merge, project=ids["top"], destination_project=ids["top"]) == (400, 410)
    assert api.error(merge, project=ids["top"], destination_project=ids["top/child"]) == (400, 412)
    assert api.error(merge, project=ids["top"], destination_project="none") == (400, 401)
    assert api.call(merge, project=ids["top/child"], destination_project=ids["top"])["moved_entities"] == 0
    assert list(by_name(api)) == ["top"]


# delete


@pytest.mark.parametrize(
    ("content", "counts", "pair"),
    [
        ({}, {}, (200, 0)),
        ({"task": {}}, {"tasks": 1, "non_archived_tasks": 1}, (400, 402)),
        ({"task": {"system_tags": ["archived"]}}, {"tasks": 1}, (200, 0)),
        ({"model": {}}, {"models": 1, "non_archived_models": 1}, (400, 405)),
        ({"model": {"system_tags": ["archived"]}}, {"models": 1}, (200, 0)),
        ({"tag": "dataset"}, {}, (200, 0)),
        ({"tag": "dataset", "task": {"system_tags": ["archived"]}}, {"datasets": 1}, (400, 406)),
        ({"tag": "pipeline", "task": {}}, {"pipelines": 1}, (400, 413)),
        ({"tag": "pipeline", "task": {"system_tags": ["archived"]}}, {}, (200, 0)),
    ],
    ids=str,
)
def test_what_is_in_the_way(api: ApiClient, content: Json, counts: Json, pair: tuple[int, int]) -> None:
    inner = create(api, "top/inner", system_tags=[content["tag"]] if "tag" in content else [])
    top = by_name(api)["top"]
    if "task" in content:
        task(api, project=inner, **content["task"])
    if "model" in content:
        model(api, project=inner, **content["model"])
    found = api.call("projects.validate_delete", project=top)
    assert {name: count for name, count in found.items() if count} == counts
    assert api.error("projects.delete", project=top) == pair
    assert list(by_name(api)) == ([] if pair == (200, 0) else ["top", "top/inner"])


def test_force_detaches(api: ApiClient) -> None:
    top = create(api, "top")
    kept, made = task(api, project=top), model(api, project=top)
    reply = api.call("projects.delete", project=top, force=True)
    assert reply == {"deleted": 1, "disassociated_tasks": 1, "deleted_tasks": 0, "deleted_models": 0}
    assert "project" not in api.call("tasks.get_by_id", task=kept)["task"]
    assert "project" not in api.call("models.get_by_id", model=made)["model"]
    assert api.error("projects.delete", project=top) == (400, 401)


def test_contents_are_deleted_with_their_urls(api: ApiClient) -> None:
    create(api, "top/inner")
    ids = by_name(api)
    artifacts = [
        {"key": "a", "type": "custom", "uri": "http://files/a"},
        {"key": "b", "type": "custom", "uri": "http://files/b", "mode": "input"},
    ]
    gone = task(api, project=ids["top/inner"], execution={"artifacts": artifacts})
    child = task(api, parent=gone)
    api.add_events([{"type": "log", "task": gone, "msg": "m"}])
    elsewhere = model(api, task=gone)
    made = model(api, project=ids["top"], uri="http://files/m")
    api.call("models.set_ready", model=made)
    reply = api.call("projects.delete", project=ids["top"], force=True, delete_contents=True)
    assert reply == {
        "deleted": 1,
        "disassociated_tasks": 0,
        "deleted_tasks": 1,
        "deleted_models": 1,
        "urls": {"model_urls": ["http://files/m"], "artifact_urls": ["http://files/a"], "event_urls": []},
    }
    assert api.error("tasks.get_by_id", task=gone) == (400, 101)
    assert api.error("models.get_by_id", model=made) == (400, 201)
    assert "parent" not in api.call("tasks.get_by_id", task=child)["task"]
    assert "task" not in api.call("models.get_by_id", model=elsewhere)["model"]


# public


def test_public_and_back(api: ApiClient) -> None:
    project = create(api, "top")
    assert api.error("projects.make_private", ids=[project]) == (400, 401)
    assert api.call("projects.make_public", ids=[project]) == {"updated": 1}
    assert api.error("projects.create", name="top/below") == (400, 414)
    assert api.error("projects.create", name="top") == (400, 414)
    assert api.error("projects.delete", project=project) == (403, 21)
    assert api.call("projects.get_all", id=[project])["projects"][0]["company"] == ""
    assert api.error("projects.make_public", ids=[project]) == (400, 401)
    assert api.call("projects.make_private", ids=[project]) == {"updated": 1}
    assert create(api, "top/below")
    assert "company_origin" not in api.call("projects.get_by_id", project=project)["project"]


# at the same time


class Interrupted:
    """Documents of which another caller does something right before the next new project is stored."""

    def __init__(self, documents: Documents, meanwhile: Callable[[], object]) -> None:
        self._documents = documents
        self._meanwhile: list[Callable[[], object]] = [meanwhile]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    def insert(self, collection: str, document: Document) -> None:
        """As Documents.insert."""
        if collection == "projects" and self._meanwhile:
            self._meanwhile.pop()()
        self._documents.insert(collection, document)


def interrupted(api: ApiClient, meanwhile: Callable[[], object]) -> Projects:
    documents = cast(Documents, Interrupted(api.engines.documents, meanwhile))
    return Projects(documents=documents, cache=api.engines.cache, clock=api.engines.clock)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "name"),
    [
        ("update", {"name": "renamed"}, "renamed/child"),
        ("move", {"new_location": "elsewhere"}, "elsewhere/parent/child"),
    ],
)
def test_a_new_project_follows_a_parent_that_moves_meanwhile(
    api: ApiClient, endpoint: str, arguments: Json, name: str
) -> None:
    parent = create(api, "parent")
    projects = interrupted(api, lambda: api.call(f"projects.{endpoint}", project=parent, **arguments))
    made = projects.create(Identity(user=api.user), "parent/child", {})
    assert by_name(api)[name] == made
    # What is below is found by its path.
    assert [p["id"] for p in api.call("projects.get_all", parent=[parent])["projects"]] == [made]


def test_a_new_project_goes_with_a_parent_that_is_deleted_meanwhile(api: ApiClient) -> None:
    parent = create(api, "parent")
    projects = interrupted(api, lambda: api.call("projects.delete", project=parent))
    with pytest.raises(ApiError, match="removed"):
        projects.create(Identity(user=api.user), "parent/child", {})
    assert by_name(api) == {}


def test_a_new_project_whose_name_is_taken_where_its_parent_went(api: ApiClient) -> None:
    parent, twin = create(api, "parent"), create(api, "other/child")
    other = by_name(api)["other"]

    def swap() -> None:
        api.call("projects.move", project=twin, new_location="parent")

    with pytest.raises(ApiError, match="exists"):
        interrupted(api, swap).create(Identity(user=api.user), "parent/child", {})
    assert by_name(api) == {"parent": parent, "parent/child": twin, "other": other}


def test_moves_and_renames_at_the_same_time_leave_a_tree(api: ApiClient) -> None:
    places = [create(api, name) for name in ("left", "right")]
    branch = create(api, "left/branch")
    create(api, "left/branch/leaf")

    def turn(number: int) -> None:
        api.error("projects.move", project=branch, new_location=("left", "right")[number % 2])
        api.error("projects.update", project=places[number % 2], name=f"place{number % 2}")
        api.error("projects.update", project=places[number % 2], name=("left", "right")[number % 2])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(turn, range(8)))
    tree = {project["id"]: project for project in api.engines.documents.find("projects")}
    for project in tree.values():
        above = tree.get(project.get("parent", ""))
        assert project["path"] == ([*above["path"], above["id"]] if above else [])
        assert project["name"] == (f"{above['name']}/{project['basename']}" if above else project["basename"])
