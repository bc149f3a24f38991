"""Models: what tasks produce and take."""

from typing import Any

import msgspec
import pytest

from trainshed.bootstrap import Engines
from trainshed.testing.api import ApiClient, Json


def create(api: ApiClient, **fields: Any) -> str:
    model: str = api.call("models.create", **{"name": "net", "uri": "file:///net", **fields})["id"]
    return model


def get(api: ApiClient, model: str) -> Json:
    found: Json = api.call("models.get_by_id", model=model)["model"]
    return found


def task_with(api: ApiClient, *, status: str = "created") -> str:
    task: str = api.call("tasks.create", name="maker", type="training")["id"]
    if status != "created":
        api.call("tasks.started", task=task)
    if status in ("stopped", "published"):
        api.call("tasks.stopped", task=task)
    if status == "published":
        api.call("tasks.publish", task=task)
    return task


def task_of(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def test_a_new_model_has_no_nulls(api: ApiClient) -> None:
    model = get(api, create(api, framework="PyTorch", labels={"cat": 1}, design={"a.b": None}, project=None))
    assert model == {
        "id": model["id"],
        "name": "net",
        "uri": "file:///net",
        "framework": "PyTorch",
        "labels": {"cat": 1},
        "design": {"a.b": None},
        "comment": "",
        "tags": [],
        "system_tags": [],
        "ready": False,
        "metadata": {},
        "last_metrics": {},
        "user": api.user,
        "company": model["company"],
        "created": "2026-01-01T00:00:00.000000+00:00",
        "last_update": "2026-01-01T00:00:00.000000+00:00",
        "last_change": "2026-01-01T00:00:00.000000+00:00",
    }


@pytest.mark.parametrize(
    ("fields", "pair"),
    [
        ({"project": "none"}, (400, 401)),
        ({"task": "none"}, (400, 101)),
        ({"labels": {"a": "b"}}, (400, 12)),
        ({"labels": {"a": 2**63}}, (400, 12)),
        ({"uri": None}, (400, 12)),
    ],
    ids=str,
)
def test_a_model_that_does_not_validate(api: ApiClient, fields: Json, pair: tuple[int, int]) -> None:
    assert api.error("models.create", **{"name": "net", "uri": "u", **fields}) == pair


def test_edit(api: ApiClient) -> None:
    model = create(api, tags=["a"], comment="kept")
    api.move_clock(5)
    reply = api.call("models.edit", model=model, tags=[], uri="file:///other", labels=None)
    assert reply == {"updated": 1, "fields": {"tags": [], "uri": "file:///other"}}
    found = get(api, model)
    assert (found["tags"], found["uri"], found["comment"]) == ([], "file:///other", "kept")
    assert found["last_update"] == found["last_change"] > found["created"]


@pytest.mark.parametrize(("iterations", "last"), [([7], 7), ([7, 3], 7), ([-1], 0)])
def test_an_iteration_only_raises_the_tasks(api: ApiClient, iterations: list[int], last: int) -> None:
    task = task_with(api)
    model = create(api, task=task)
    for iteration in iterations:
        api.call("models.edit", model=model, iteration=iteration)
    assert task_of(api, task)["last_iteration"] == last
    assert "iteration" not in get(api, model)


@pytest.mark.parametrize("endpoint", ["get_by_id", "edit", "set_ready", "delete"])
def test_unknown_models(api: ApiClient, endpoint: str) -> None:
    assert api.error(f"models.{endpoint}", model="none") == (400, 201)


def test_public_models_can_be_read_only(api: ApiClient, engines: Engines) -> None:
    task = task_with(api, status="stopped")
    model = create(api, task=task)
    engines.documents.update("models", model, lambda d: d.update(company=""))
    assert get(api, model)["name"] == "net"
    writes: dict[str, Json] = {
        "edit": {"name": "x"},
        "set_ready": {},
        "delete": {"force": True},
        "add_or_update_metadata": {"metadata": []},
        "delete_metadata": {"keys": []},
    }
    for endpoint, fields in writes.items():
        assert api.error(f"models.{endpoint}", model=model, **fields) == (400, 201), endpoint
    assert task_of(api, task)["status"] == "stopped"


# publish


@pytest.mark.parametrize(
    ("status", "arguments", "pair", "published"),
    [
        ("stopped", {}, (200, 0), True),
        ("stopped", {"publish_task": False}, (200, 0), False),
        ("in_progress", {}, (400, 110), False),
        ("in_progress", {"force_publish_task": True}, (200, 0), True),
        ("in_progress", {"publish_task": False}, (200, 0), False),
    ],
)
def test_set_ready(
    api: ApiClient, status: str, arguments: dict[str, bool], pair: tuple[int, int], published: bool
) -> None:
    task = task_with(api, status=status)
    model = create(api, task=task)
    reply = api.send("/models.set_ready", msgspec.json.encode({"model": model, **arguments}))
    assert reply.pair == pair
    assert get(api, model)["ready"] is (pair == (200, 0))
    assert task_of(api, task)["status"] == ("published" if published else status)
    assert ("published_task" in reply.data) is published
    if published:
        assert reply.data["published_task"]["id"] == task
        assert reply.data["published_task"]["data"]["updated"] == 1


def test_a_ready_model_cannot_be_published_again(api: ApiClient) -> None:
    model = create(api)
    assert api.call("models.set_ready", model=model) == {"updated": 1}
    assert api.error("models.set_ready", model=model) == (400, 203)


def test_a_task_that_is_published_stays_as_it_is(api: ApiClient) -> None:
    task = task_with(api, status="published")
    model = create(api, task=task)
    assert api.call("models.set_ready", model=model) == {"updated": 1}


# delete


def test_a_deleted_model_is_taken_off_its_task(api: ApiClient) -> None:
    task = task_with(api)
    model = create(api, task=task)
    for name, item in (("a", model), ("b", "other")):
        api.call("tasks.add_or_update_model", task=task, name=name, model=item, type="output")
    assert api.call("models.delete", model=model) == {"deleted": True, "url": "file:///net"}
    assert task_of(api, task)["models"]["output"] == [{"name": "b", "model": "other"}]
    assert api.error("models.delete", model=model) == (400, 201)


def test_a_published_task_keeps_a_mark(api: ApiClient) -> None:
    task = task_with(api)
    model = create(api, task=task)
    api.call("tasks.add_or_update_model", task=task, name="a", model=model, type="output")
    api.call("tasks.publish", task=task, force=True, publish_model=False)
    assert api.error("models.delete", model=model) == (400, 206)
    assert get(api, model)["id"] == model
    assert api.call("models.delete", model=model, force=True)["deleted"] is True
    assert task_of(api, task)["models"]["output"] == [{"name": "a", "model": f"__DELETED__{model}"}]


def test_a_model_outlives_its_task(api: ApiClient) -> None:
    task = task_with(api)
    model = create(api, task=task, ready=True)
    api.call("tasks.delete", task=task, force=True)
    assert api.call("models.delete", model=model)["deleted"] is True


# metadata


@pytest.mark.parametrize("key", ["plain", "a.b", "$x", "a/b", "é", "", "__$any", '"'])
def test_metadata(api: ApiClient, key: str) -> None:
    model = create(api)
    api.call("models.add_or_update_metadata", model=model, metadata=[{"key": key, "type": "str", "value": "1"}])
    api.call("models.add_or_update_metadata", model=model, metadata=[{"key": "other", "value": "2"}])
    both = {key: {"key": key, "type": "str", "value": "1"}, "other": {"key": "other", "value": "2"}}
    assert get(api, model)["metadata"] == both
    api.call("models.delete_metadata", model=model, keys=[key, "none"])
    assert get(api, model)["metadata"] == {"other": both["other"]}
    api.call("models.add_or_update_metadata", model=model, metadata=[{"key": key}], replace_metadata=True)
    assert get(api, model)["metadata"] == {key: {"key": key}}


def test_the_parent_of_a_model_is_there_and_not_below_it(api: ApiClient) -> None:
    first = api.call("models.create", name="first", uri="u")["id"]
    assert api.error("models.create", name="x", uri="u", parent="none") == (400, 201)
    second = api.call("models.create", name="second", uri="u", parent=first)["id"]
    assert api.error("models.edit", model=second, parent="none") == (400, 201)
    for parent in (first, second):
        assert api.error("models.edit", model=first, parent=parent) == (400, 12)
