"""Tasks that nobody hears of any more."""

from collections.abc import Iterator
from io import BytesIO

import pytest

from trainshed.bootstrap import Engines, build_apps, build_services
from trainshed.services.watchdog import SILENCE, Watchdog
from trainshed.testing.api import TOKEN_SECRET, ApiClient, Json
from trainshed.testing.reports import line


@pytest.fixture
def watchdog(engines: Engines) -> Watchdog:
    return build_services(engines, token_secret=TOKEN_SECRET).watchdog


@pytest.fixture
def task(api: ApiClient) -> str:
    created: str = api.call("tasks.create", name="a task", type="training")["id"]
    api.call("tasks.started", task=created)
    return created


class SlowBody(BytesIO):
    """A request's body that takes its time: what it reads comes from an iterator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces

    def read(self, size: int | None = -1) -> bytes:
        return next(self._pieces, b"")


def get(api: ApiClient, task: str) -> Json:
    found: Json = api.call("tasks.get_by_id", task=task)["task"]
    return found


def test_a_silent_task_is_stopped(api: ApiClient, watchdog: Watchdog, task: str) -> None:
    api.move_clock(SILENCE - 1)
    watchdog.look()
    assert get(api, task)["status"] == "in_progress"
    api.move_clock(2)
    watchdog.look()
    found = get(api, task)
    assert found["status"] == "stopped"
    assert "no sign of life" in found["status_reason"]
    assert found["completed"] == found["status_changed"] == found["last_change"]
    assert "worker" not in found["status_message"]  # the client would not end a task that lives after all


@pytest.mark.parametrize("sign", ["ping", "event", "log", "edit", "status", "worker", "upload"])
def test_any_sign_of_life_counts(api: ApiClient, watchdog: Watchdog, task: str, sign: str) -> None:
    api.move_clock(SILENCE - 10)
    if sign == "ping":
        api.call("tasks.ping", task=task)
    elif sign == "event":
        api.add_events([line(task, 1, "alive")])
    elif sign == "log":
        api.add_events([{"type": "log", "task": task, "msg": "alive"}])
    elif sign == "status":
        api.call("tasks.started", task=task, status_reason="alive")
    elif sign == "worker":
        api.call("workers.status_report", worker="w", task=task, timestamp=0)
    elif sign == "edit":
        api.call("tasks.edit", task=task, comment="alive", force=True)
    else:
        watchdog.saw(task)
    api.move_clock(SILENCE - 10)
    watchdog.look()
    assert get(api, task)["status"] == "in_progress"
    api.move_clock(20)
    watchdog.look()
    assert get(api, task)["status"] == "stopped"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upload_is_a_sign_of_life(
    api: ApiClient, engines: Engines, task: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the file server, which shares nothing with the API but the engines; also while it lasts."""
    monkeypatch.setattr("trainshed.services.stored_files._TELL_SECONDS", 0)
    services = build_services(engines, token_secret=TOKEN_SECRET, silence=100)
    files = build_apps(engines, services)["files"].test_client()
    name = f"p/t.{task}/artifacts/data"
    api.move_clock(90)

    def slow() -> Iterator[bytes]:
        yield b"piece"
        for _ in range(3):
            api.move_clock(90)  # the first 180 s after any other sign, the others after a piece
            services.watchdog.look()
            assert get(api, task)["status"] == "in_progress"
            yield b"piece"

    def upload() -> int:
        headers = {"Authorization": api.authorization}
        if method == "PUT":
            body = SlowBody(slow())
            return files.put(f"/{name}", input_stream=body, content_length=20, headers=headers).status_code
        form = {f"/{name}": (BytesIO(b"content"), f"/{name}")}
        return files.post("/", data=form, headers=headers).status_code

    assert upload() == 200
    services.watchdog.look()
    api.move_clock(90)
    services.watchdog.look()
    assert get(api, task)["status"] == "in_progress"
    api.move_clock(20)
    services.watchdog.look()
    assert get(api, task)["status"] == "stopped"


def test_only_running_tasks_are_looked_at(api: ApiClient, engines: Engines, watchdog: Watchdog, task: str) -> None:
    others = {
        status: api.call("tasks.create", name=f"is {status}", type="training")["id"]
        for status in ("created", "completed", "failed")
    }
    for status in ("completed", "failed"):
        api.call("tasks.started", task=others[status])
        api.call(f"tasks.{status}", task=others[status])
    engines.documents.update("tasks", task, lambda document: document.update(company=""))
    api.move_clock(10 * SILENCE)
    assert watchdog.look() is False
    assert {status: get(api, other)["status"] for status, other in others.items()} == {s: s for s in others}
    assert get(api, task)["status"] == "in_progress"


def test_many_silent_tasks(api: ApiClient, engines: Engines, watchdog: Watchdog, task: str) -> None:
    document = get(api, task)
    document["company"] = engines.documents.find("tasks")[0]["company"]
    for number in range(600):
        engines.documents.insert("tasks", {**document, "id": f"{number:032x}", "user": "u"})
    api.move_clock(SILENCE + 1)
    assert watchdog.look() is True
    assert watchdog.look() is False
    assert api.call("tasks.get_all", status=["in_progress"])["tasks"] == []
