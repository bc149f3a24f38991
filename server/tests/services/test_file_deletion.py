"""Files whose task or model is gone."""

from typing import Any

import pytest

from trainshed.bootstrap import Engines, build_services
from trainshed.domain.errors import NotFound, StoreError
from trainshed.domain.identity import Identity
from trainshed.services.file_deletion import DELAY, FAILED, PENDING, FileDeletion
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json
from trainshed.testing.clock import FakeClock

HOST = "http://files.example.com:8081"
DAY = 86_400


@pytest.fixture
def files(engines: Engines) -> FileDeletion:
    return build_services(engines, token_secret=TOKEN_SECRET, files_addresses=[HOST]).file_deletion


def new_task(api: ApiClient, name: str = "a task") -> str:
    created: str = api.call("tasks.create", name=name, type="training")["id"]
    return created


def put(engines: Engines, key: str) -> str:
    """Store a file; the link to it."""
    engines.blobs.put(key, [b"content"])
    assert isinstance(engines.clock, FakeClock)
    engines.clock.advance(1)
    return f"{HOST}/{key}"


def add_artifact(api: ApiClient, task: str, uri: str, key: str = "data", mode: str = "output") -> None:
    artifact = {"key": key, "type": "custom", "uri": uri, "mode": mode}
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact])


def image(task: str, url: str, **fields: Any) -> Json:
    return {
        "type": "training_debug_image",
        "task": task,
        "metric": "m",
        "variant": "v",
        "iter": 1,
        "url": url,
        **fields,
    }


def plot(task: str, text: str) -> Json:
    return {"type": "plot", "task": task, "metric": "p", "variant": "v", "iter": 1, "plot_str": text}


def is_there(engines: Engines, key: str) -> bool:
    try:
        engines.blobs.info(key)
    except NotFound:
        return False
    return True


def work(api: ApiClient, files: FileDeletion, seconds: float = DELAY + 1) -> None:
    api.move_clock(seconds)
    while files.step():
        pass


def reasons(files: FileDeletion, status: str = FAILED) -> dict[str, str]:
    return {file["url"]: file["reason"] for document in files.listed(status) for file in document["files"]}


def with_files(api: ApiClient, engines: Engines) -> tuple[str, dict[str, str]]:
    """A task with a file of each kind; what kind of file -> its key."""
    task = new_task(api)
    keys = {kind: f"p/a%20task.{task}/{kind}" for kind in ("artifact", "model", "image", "in-plot", "in-plot-2")}
    urls = {kind: put(engines, key).replace("%", "%25") for kind, key in keys.items()}
    add_artifact(api, task, urls["artifact"])
    api.call("models.update_for_task", task=task, uri=urls["model"])
    images = ",".join(f'{{"source": "{urls[kind]}"}}' for kind in ("in-plot", "in-plot-2"))
    api.add_events(
        [image(task, urls["image"]), plot(task, f'{{"layout": {{"images": [{images}, {{"source": "data:x"}}]}}}}')]
    )
    return task, keys


@pytest.mark.parametrize("call", ["delete", "delete_many", "reset", "reset_many", "project"])
def test_all_its_files_go(api: ApiClient, engines: Engines, files: FileDeletion, call: str) -> None:
    task, keys = with_files(api, engines)
    if call == "project":
        project = api.call("projects.create", name="a project")["id"]
        model = api.call("tasks.get_by_id", task=task)["task"]["models"]["output"][0]["model"]
        api.call("tasks.move", ids=[task], project=project)
        api.call("models.move", ids=[model], project=project)
        urls = api.call("projects.delete", project=project, force=True, delete_contents=True)["urls"]
    elif call.endswith("many"):
        (done,) = api.call(f"tasks.{call}", ids=[task], return_file_urls=True)["succeeded"]
        urls = done["urls"]
    else:
        urls = api.call(f"tasks.{call}", task=task, return_file_urls=True)["urls"]
    shown = {kind: f"{HOST}/{key}".replace("%", "%25") for kind, key in keys.items()}
    assert urls == {
        "model_urls": [shown["model"]],
        "artifact_urls": [shown["artifact"]],
        "event_urls": [],
    }
    files.step()
    assert all(is_there(engines, key) for key in keys.values())  # the client may delete them first
    assert sorted(reasons(files, PENDING)) == sorted(shown.values())
    work(api, files)
    assert not any(is_there(engines, key) for key in keys.values())
    assert files.listed(PENDING) == files.listed(FAILED) == []


@pytest.mark.parametrize("call", ["delete", "reset"])
def test_unless_the_caller_keeps_them(api: ApiClient, engines: Engines, files: FileDeletion, call: str) -> None:
    task, keys = with_files(api, engines)
    api.call(f"tasks.{call}", task=task, delete_external_artifacts=False)
    work(api, files)
    assert all(is_there(engines, key) for key in keys.values())


def test_what_the_client_has_deleted_is_done(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    task, keys = with_files(api, engines)
    api.call("tasks.delete", task=task)
    for key in keys.values():
        engines.blobs.delete(key)
    work(api, files)
    assert files.listed(PENDING) == files.listed(FAILED) == []


def test_a_models_file_is_its_callers(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    task, keys = with_files(api, engines)
    model = api.call("tasks.get_by_id", task=task)["task"]["models"]["output"][0]["model"]
    assert api.call("models.delete", model=model)["url"].startswith(HOST)
    work(api, files)
    assert is_there(engines, keys["model"])


# what others use


@pytest.mark.parametrize("form", ["same", "https", "another name"])
@pytest.mark.parametrize("user", ["artifact", "input artifact", "model", "edited", "created"])
def test_what_another_uses_stays(api: ApiClient, engines: Engines, files: FileDeletion, user: str, form: str) -> None:
    task = new_task(api)
    key = f"p/t.{task}/shared"
    url = put(engines, key)
    theirs = {"same": url, "https": url.replace("http:", "https:"), "another name": f"http://10.0.0.9/{key}"}[form]
    add_artifact(api, task, url)
    other = new_task(api, "another")
    artifacts = {"artifacts": [{"key": "k", "type": "t", "uri": theirs}]}
    if user == "model":
        api.call("models.create", name="m", uri=theirs)
    elif user == "edited":
        api.call("tasks.edit", task=other, execution=artifacts)
    elif user == "created":
        other = api.call("tasks.create", name="with it", type="training", execution=artifacts)["id"]
    else:
        add_artifact(api, other, theirs, mode="input" if user == "input artifact" else "output")
    urls = api.call("tasks.delete", task=task, return_file_urls=True)["urls"]
    if user != "model" or form == "same":  # a reply does not look through all models
        assert urls["artifact_urls"] == []
    work(api, files)
    assert is_there(engines, key)
    assert files.listed(PENDING) == files.listed(FAILED) == []
    if user == "model":
        return
    api.call("tasks.delete", task=other)
    work(api, files)
    assert is_there(engines, key) is (user == "input artifact")  # which was never the other's own


def test_the_file_of_a_task_that_is_there(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    """Somebody links to another's file and deletes what links to it."""
    victim, thief = new_task(api, "victim"), new_task(api, "thief")
    key = f"p/victim.{victim}/metrics/image"  # no artifact: only an event names it
    url = put(engines, key)
    api.add_events([image(victim, url), image(thief, url, iter=2)])
    add_artifact(api, thief, url)
    api.call("tasks.delete", task=thief)
    work(api, files)
    assert is_there(engines, key)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("shared/data.zip", "in no task's folder"),
        ("p/t.{task}/../../other", "not on this file server"),
        ("p/t.{task}/%2e%2e/%2e%2e/other", "not on this file server"),
        ("p/t.{task}/%ff", "not on this file server"),
        ("..", "not on this file server"),
    ],
)
def test_what_is_not_its_own(api: ApiClient, engines: Engines, files: FileDeletion, path: str, reason: str) -> None:
    put(engines, "shared/data.zip")
    put(engines, "other")
    task = new_task(api)
    url = f"{HOST}/{path.format(task=task)}"
    add_artifact(api, task, url)
    api.call("tasks.delete", task=task)
    work(api, files)
    assert is_there(engines, "shared/data.zip")
    assert is_there(engines, "other")
    assert reason in reasons(files)[url]


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/p/t.{task}/a",
        "gs://b/a",
        "file:///data/a",
        "http://other.example.com/p/t.{task}/a",
        "x",
        "http://[/",
    ],
)
def test_what_is_elsewhere_is_on_record(api: ApiClient, files: FileDeletion, url: str) -> None:
    task = new_task(api)
    url = url.format(task=task)
    add_artifact(api, task, url)
    api.call("tasks.delete", task=task)
    work(api, files)
    assert files.listed(PENDING) == []
    (document,) = files.listed(FAILED)
    assert (document["owners"], document["user"]) == ([task], api.user)
    assert "not on this file server" in reasons(files)[url]
    assert files.retry() == 1
    work(api, files)
    assert list(reasons(files)) == [url]
    assert files.forget() == 1
    assert files.listed(FAILED) == []


@pytest.mark.parametrize("base", ["http://10.1.2.3:8081", "https://files.other.example.com"])
def test_any_name_of_this_server(api: ApiClient, engines: Engines, files: FileDeletion, base: str) -> None:
    """A host that nobody told us of is this server when the file is here."""
    task = new_task(api)
    key = f"p/t.{task}/a"
    add_artifact(api, task, put(engines, key).replace(HOST, base))
    api.call("tasks.delete", task=task)
    work(api, files)
    assert not is_there(engines, key)
    assert reasons(files) == {}


def test_an_address_with_a_path(api: ApiClient, engines: Engines) -> None:
    services = build_services(engines, token_secret=TOKEN_SECRET, files_addresses=["https://example.com/files/"])
    task = new_task(api)
    key = f"p/t.{task}/a"
    put(engines, key)
    add_artifact(api, task, f"https://example.com/files/{key}")
    services.tasks.delete(Identity(user=api.user), task, force=False)
    work(api, services.file_deletion)
    assert not is_there(engines, key)


@pytest.mark.parametrize("base", ["http://h:8081/files", "http://h:8080/files/files", "http://unknown.example/files"])
def test_a_project_with_the_name_of_a_path(api: ApiClient, engines: Engines, base: str) -> None:
    """On one address /files comes before the names of files; on the file server's own it may be one of them."""
    addresses = ["http://h:8081", "http://h:8080/files"]
    services = build_services(engines, token_secret=TOKEN_SECRET, files_addresses=addresses)
    task = new_task(api)
    key = f"files/t.{task}/a" if "unknown" not in base else f"t.{task}/a"
    put(engines, key)
    add_artifact(api, task, f"{base}/t.{task}/a")
    services.tasks.delete(Identity(user=api.user), task, force=False)
    work(api, services.file_deletion)
    assert not is_there(engines, key)


# runs after runs


def test_what_the_next_run_stores_stays(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    """A task that was reset gives its images the same names again."""
    task, keys = with_files(api, engines)
    api.call("tasks.reset", task=task)
    api.move_clock(10)
    put(engines, keys["artifact"])  # not yet reported
    url = put(engines, keys["image"])
    api.add_events([image(task, url.replace("%", "%25"))])
    work(api, files, DAY + 1)
    work(api, files, DAY + 1)
    assert {kind for kind, key in keys.items() if is_there(engines, key)} == {"artifact", "image"}
    assert files.listed(PENDING) == files.listed(FAILED) == []


def test_a_task_that_was_not_deleted_after_all(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    """The server died between the list and the deletion: the task is there and keeps its files."""
    task, keys = with_files(api, engines)
    document = engines.documents.get("tasks", task)
    assert document is not None
    model = document["models"]["output"][0]["model"]
    models = [found for found in engines.documents.find("models") if found["id"] == model]
    files.enlist(Identity(user=api.user), [task, model], files.urls(document, models).all())
    work(api, files)
    assert all(is_there(engines, key) for key in keys.values())
    assert len(reasons(files, PENDING)) == len(keys)  # it may still be about to go
    work(api, files, DAY)
    assert all(is_there(engines, key) for key in keys.values())
    assert files.listed(PENDING) == []


# failures


def test_retries_and_gives_up(
    api: ApiClient, engines: Engines, files: FileDeletion, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, keys = with_files(api, engines)
    api.call("tasks.delete", task=task)
    real, tries = engines.blobs.delete, []

    def fails(key: str, **fields: Any) -> bool:
        if key == keys["image"]:
            tries.append(key)
            raise StoreError(f"{key}: read-only")
        return real(key, **fields)

    monkeypatch.setattr(engines.blobs, "delete", fails)
    work(api, files)
    (document,) = files.listed(PENDING)
    assert (document["attempts"], len(document["files"])) == (1, 1)
    assert "read-only" in document["files"][0]["reason"]
    work(api, files, 1)
    assert len(tries) == 1  # later
    for _ in range(10):
        work(api, files, DAY)
    assert len(tries) == 6
    assert files.listed(PENDING) == []
    assert ["read-only" in reason for reason in reasons(files).values()] == [True]
    monkeypatch.undo()
    files.retry()
    work(api, files, 1)
    assert not is_there(engines, keys["image"])
    assert files.listed(PENDING) == files.listed(FAILED) == []


def test_many_files(api: ApiClient, engines: Engines, files: FileDeletion) -> None:
    task = new_task(api)
    urls = [put(engines, f"p/t.{task}/{number:04}") for number in range(1200)]
    api.add_events([image(task, url, iter=number) for number, url in enumerate(urls)])
    api.call("tasks.delete", task=task)
    assert [len(document["files"]) for document in files.listed(PENDING)] != [1200]
    work(api, files)
    assert not any(is_there(engines, f"p/t.{task}/{number:04}") for number in range(1200))


@pytest.mark.parametrize("text", ["", "{", '{"layout": null, "images": 1}', '{"layout": {"images": [1]}}', '"images"'])
def test_plots_that_are_none(api: ApiClient, files: FileDeletion, text: str) -> None:
    task = new_task(api)
    api.add_events([plot(task, text)])
    assert api.call("tasks.delete", task=task, return_file_urls=True)["urls"]["event_urls"] == []
