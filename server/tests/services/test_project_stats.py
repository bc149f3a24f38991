"""projects.get_all_ex: statistics along the tree."""

from typing import Any

import pytest

from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, name: str, **fields: Any) -> str:
    project: str = api.call("projects.create", name=name, **fields)["id"]
    return project


def task(api: ApiClient, project: str, **fields: Any) -> str:
    made: str = api.call("tasks.create", **{"name": "a task", "type": "training", "project": project, **fields})["id"]
    return made


def rows(api: ApiClient, **arguments: Any) -> dict[str, Json]:
    found = api.call("projects.get_all_ex", order_by=["name"], **arguments)["projects"]
    return {row["name"]: row for row in found}


def test_references_are_objects(api: ApiClient) -> None:
    create(api, "top/inner")
    found = rows(api, only_fields=["name", "parent.name", "user.name"])
    assert found["top/inner"]["parent"] == {"id": found["top"]["id"], "name": "top"}
    assert found["top/inner"]["user"] == {"id": api.user, "name": "tester"}


def test_statistics_count_what_is_below(api: ApiClient) -> None:
    inner = create(api, "top/inner")
    top = rows(api)["top"]["id"]
    run = task(api, inner)
    api.call("tasks.started", task=run)
    api.move_clock(90)
    api.call("tasks.completed", task=run)
    task(api, top)
    task(api, inner, system_tags=["archived"])
    found = rows(api, include_stats=True)
    stats = found["top"]["stats"]["active"]
    assert stats["status_count"] == {
        **dict.fromkeys(("created", "queued", "in_progress", "stopped", "published", "closed", "failed", "unknown"), 0),
        "created": 1,
        "completed": 1,
    }
    assert (stats["total_tasks"], stats["total_runtime"], stats["completed_tasks_24h"]) == (2, 90, 1)
    assert set(found["top"]["stats"]) == {"active"}
    assert found["top"]["sub_projects"] == [{"id": inner, "name": "top/inner"}]
    assert found["top/inner"]["stats"]["active"]["total_tasks"] == 1
    assert found["top/inner"]["sub_projects"] == []
    api.move_clock(25 * 3600)
    assert rows(api, include_stats=True)["top"]["stats"]["active"]["completed_tasks_24h"] == 0
    alone = rows(api, include_stats=True, stats_with_children=False)["top"]
    assert alone["stats"]["active"]["total_tasks"] == 1
    archived = rows(api, include_stats=True, stats_for_state="archived")["top"]
    assert archived["stats"]["archived"]["total_tasks"] == 1
    chosen = rows(api, include_stats=True, include_stats_filter={"status": ["completed"]})["top"]
    assert chosen["stats"]["active"]["total_tasks"] == 1
    assert "stats" not in rows(api)["top"]


def test_own_contents(api: ApiClient) -> None:
    inner = create(api, "top/inner")
    task(api, inner)
    api.call("models.create", name="model", uri="file:///m", project=inner)
    found = rows(api, check_own_contents=True)
    assert (found["top"]["own_tasks"], found["top"]["own_models"]) == (0, 0)
    assert (found["top/inner"]["own_tasks"], found["top/inner"]["own_models"]) == (1, 1)


@pytest.mark.parametrize("many", [False, True])
def test_hidden_projects_count_when_they_are_listed(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    if many:
        monkeypatch.setattr("trainshed.services.project_stats.MAX_NAMED", 0)
    create(api, "top")
    hidden = create(api, "top/.pipelines", system_tags=["hidden"])
    task(api, hidden, system_tags=["pipeline"])
    assert rows(api, include_stats=True)["top"]["stats"]["active"]["total_tasks"] == 0
    assert rows(api, include_stats=True)["top"]["sub_projects"] == []
    found = rows(api, include_stats=True, search_hidden=True)
    assert found["top"]["stats"]["active"]["total_tasks"] == 1
    assert [p["name"] for p in found["top"]["sub_projects"]] == ["top/.pipelines"]


def test_children_of_one_kind(api: ApiClient) -> None:
    pipeline = create(api, "one/.pipelines/p", system_tags=["hidden", "pipeline"], tags=["x"])
    dataset = create(api, "two/.datasets/d", system_tags=["hidden", "dataset"], tags=["y"])
    task(api, pipeline)
    task(api, dataset)
    task(api, rows(api)["two"]["id"])
    asked: Json = {"shallow_search": True, "include_stats": True, "check_own_contents": True}
    found = rows(api, children_type="pipeline", **asked)
    assert list(found) == ["one"]
    assert found["one"]["own_tasks"] == found["one"]["stats"]["active"]["total_tasks"] == 1
    found = rows(api, children_type="dataset", **asked)
    assert list(found) == ["two"]
    assert found["two"]["stats"]["datasets"] == {"count": 1, "tags": ["y"]}
    assert found["two"]["stats"]["active"]["total_tasks"] == 1
    assert found["two"]["own_datasets"] == 1
    assert "own_tasks" not in found["two"]
    assert rows(api, children_type="dataset", children_tags=["x"]) == {}
    assert rows(api, children_type="dataset", children_tags_filter={"any": {"exclude": ["y"]}}) == {}
    assert rows(api, children_type="report") == {}


def test_active_users(api: ApiClient) -> None:
    inner = create(api, "top/inner")
    create(api, "other")
    task(api, inner)
    assert list(rows(api, active_users=[api.user])) == ["top", "top/inner"]
    assert rows(api, active_users=["somebody"]) == {}


def test_dataset_stats(api: ApiClient) -> None:
    project = create(api, "data")
    version = task(api, project)
    assert rows(api, include_dataset_stats=True)["data"]["dataset_stats"] is None
    api.call("tasks.edit", task=version, runtime={"ds_file_count": 3, "ds_total_size": 70})
    assert rows(api, include_dataset_stats=True)["data"]["dataset_stats"] == {"file_count": 3, "total_size": 70}
