"""What is removed after some days: never, unless the settings say so."""

from collections.abc import Callable

import pytest

from trainshed.bootstrap import Engines, build_services
from trainshed.ports.events import LogEvent
from trainshed.services import Services
from trainshed.services.file_deletion import DELAY, PENDING
from trainshed.services.retention import FOREVER, Keep
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json
from trainshed.testing.reports import line

DAY = 86_400
Build = Callable[[Keep], Services]


@pytest.fixture
def build(engines: Engines) -> Build:
    return lambda keep: build_services(engines, token_secret=TOKEN_SECRET, keep=keep)


def new_task(api: ApiClient, status: str = "completed") -> str:
    """A task with two images that have files, a plot, a curve and console output."""
    task: str = api.call("tasks.create", name=f"is {status}", type="training")["id"]
    for name in ("m/1", "m/2"):
        api.engines.blobs.put(f"p/t.{task}/{name}", [b"image"])
    shared = {"task": task, "variant": "v", "iter": 1}
    images = [
        {"type": "training_debug_image", "metric": m, "url": f"http://files/p/t.{task}/m/{m}", **shared} for m in "12"
    ]
    plot = {"type": "plot", "metric": "p", "plot_str": "{}", **shared}
    point = {"type": "training_stats_scalar", "metric": "s", "value": 1.0, **shared}
    api.add_events([line(task, 1, "first"), line(task, 2, "second"), *images, plot, point])
    for call in {"created": (), "in_progress": ("started",), "published": ("started", "completed", "publish")}.get(
        status, ("started", status)
    ):
        api.call(f"tasks.{call}", task=task)
    return task


def left(api: ApiClient, task: str) -> Json:
    events = api.engines.events
    names = {"images": "training_debug_image", "plots": "plot"}
    return {
        "logs": events.logs(task, limit=1).total,
        **{kind: len(events.samples(task, name)) for kind, name in names.items()},  # type: ignore[arg-type]
        "curves": len(events.scalars(task)),
    }


WHOLE = {"logs": 2, "images": 2, "plots": 1, "curves": 1}


def work(services: Services) -> None:
    while services.retention.step():
        pass


def test_everything_is_kept(api: ApiClient, build: Build) -> None:
    task = new_task(api)
    api.call("tasks.delete", task=new_task(api), move_to_trash=True)
    api.move_clock(10_000 * DAY)
    services = build(FOREVER)
    work(services)
    assert left(api, task) == WHOLE
    assert list(services.retention.preview()) == []
    assert len(api.engines.documents.find("trash")) == 1


@pytest.mark.parametrize("kind", ["logs", "images", "plots"])
def test_each_kind_goes_alone(api: ApiClient, build: Build, kind: str) -> None:
    services = build(Keep(**{kind: 20}))
    task = new_task(api)
    api.move_clock(20 * DAY - 1)
    work(services)
    assert list(services.retention.preview()) == []
    assert left(api, task) == WHOLE
    api.move_clock(2)
    young = new_task(api)
    (removal,) = services.retention.preview()
    assert (removal.kind, removal.task, removal.events) == (kind, task, WHOLE[kind])
    assert left(api, task) == WHOLE
    work(services)
    assert left(api, task) == {**WHOLE, kind: 0}
    assert left(api, young) == WHOLE
    assert list(services.retention.preview()) == []
    listed = [file["url"] for found in services.file_deletion.listed(PENDING) for file in found["files"]]
    assert len(listed) == (2 if kind == "images" else 0)
    api.move_clock(DELAY + 1)
    services.file_deletion.step()
    there = [key for key in ("m/1", "m/2") if has_file(api, f"p/t.{task}/{key}")]
    assert there == ([] if kind == "images" else ["m/1", "m/2"])
    assert has_file(api, f"p/t.{young}/m/1")
    api.call("tasks.get_by_id", task=task)


def has_file(api: ApiClient, key: str) -> bool:
    return key in api.engines.blobs._blobs  # type: ignore[attr-defined]


@pytest.mark.parametrize("status", ["created", "in_progress", "published", "stopped", "failed", "closed"])
def test_of_finished_tasks_that_are_not_published(api: ApiClient, build: Build, status: str) -> None:
    services = build(Keep(logs=1))
    calls = {"stopped": "stopped", "failed": "failed", "closed": "close"}
    task = new_task(api, "created" if status in calls else status)
    if status in calls:
        api.call("tasks.started", task=task)
        api.call(f"tasks.{calls[status]}", task=task)
    api.move_clock(2 * DAY)
    work(services)
    assert left(api, task)["logs"] == (0 if status in calls else 2)


def test_a_task_that_goes_on_is_looked_at_again(api: ApiClient, build: Build) -> None:
    services = build(Keep(logs=1))
    task = new_task(api)
    api.move_clock(2 * DAY)
    work(services)
    api.call("tasks.started", task=task)
    api.add_events([line(task, 1, "again")])
    api.call("tasks.completed", task=task)
    work(services)
    assert left(api, task)["logs"] == 1
    api.move_clock(2 * DAY)
    work(services)
    assert left(api, task)["logs"] == 0


def test_many_tasks_of_one_moment(api: ApiClient, build: Build) -> None:
    services = build(Keep(logs=1))
    task = new_task(api)
    document = api.engines.documents.get("tasks", task)
    assert document is not None
    for number in range(250):
        copy = f"{number:032x}"
        api.engines.documents.insert("tasks", {**document, "id": copy})
        if number % 60 == 0:
            api.engines.events.add([LogEvent(task=copy, msg="x", timestamp=1)])
    api.move_clock(2 * DAY)
    assert len(list(services.retention.preview())) == 6
    work(services)
    assert list(services.retention.preview()) == []


# the trash


def test_a_task_in_the_trash_is_gone_for_everybody(api: ApiClient, build: Build) -> None:
    services = build(Keep(trash=7))
    task = new_task(api)
    model = api.call("models.update_for_task", task=task, uri=f"http://files/p/t.{task}/m/1")["id"]
    reply = api.call(
        "tasks.delete", task=task, move_to_trash=True, force=True, status_reason="why", status_message="what"
    )
    assert reply["deleted"] is True
    assert api.error("tasks.get_by_id", task=task) == (400, 101)
    assert api.error("models.get_by_id", model=model) == (400, 201)
    assert api.call("tasks.get_all")["tasks"] == []
    assert api.error("events.get_task_log", task=task) == (400, 101)
    (trash,) = api.engines.documents.find("trash")
    assert (trash["task"]["status_reason"], trash["task"]["status_message"]) == ("why", "what")
    api.move_clock(6 * DAY)
    work(services)
    services.file_deletion.step()
    assert left(api, task) == WHOLE
    assert has_file(api, f"p/t.{task}/m/1")
    api.move_clock(2 * DAY)
    assert [(removal.kind, removal.task) for removal in services.retention.preview()] == [("trash", task)]
    work(services)
    assert api.engines.documents.find("trash") == []
    assert set(left(api, task).values()) == {0}
    api.move_clock(DELAY + 1)
    services.file_deletion.step()
    assert not has_file(api, f"p/t.{task}/m/1")
    assert not has_file(api, f"p/t.{task}/m/2")


def test_files_of_the_trash_may_be_kept(api: ApiClient, build: Build) -> None:
    services = build(Keep(trash=7))
    task = new_task(api)
    api.call("tasks.delete_many", ids=[task], move_to_trash=True, delete_external_artifacts=False)
    api.move_clock(8 * DAY)
    work(services)
    assert services.file_deletion.listed(PENDING) == []
    assert has_file(api, f"p/t.{task}/m/1")


def test_a_deletion_into_the_trash_that_was_cut_off(api: ApiClient, build: Build) -> None:
    """The task is still there, so emptying the trash takes nothing from it; and it can be deleted again."""
    services = build(Keep(trash=7))
    task = new_task(api)
    document = api.engines.documents.get("tasks", task)
    assert document is not None
    api.call("tasks.delete", task=task, move_to_trash=True)
    api.engines.documents.insert("tasks", document)
    api.call("tasks.delete", task=task, move_to_trash=True)
    api.engines.documents.insert("tasks", document)
    api.move_clock(8 * DAY)
    work(services)
    assert api.engines.documents.find("trash") == []
    assert left(api, task) == WHOLE
    assert services.file_deletion.listed(PENDING) == []
