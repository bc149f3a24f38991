"""Projects change their place: move, merge, delete, make public."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines
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
