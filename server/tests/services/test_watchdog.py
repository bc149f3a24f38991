"""Tasks that nobody hears of any more, and the jobs that look for them."""

import pytest

from trainshed.bootstrap import Engines, Periodic, build_services
from trainshed.services.watchdog import INTERVAL, SILENCE, Watchdog
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


@pytest.mark.parametrize("sign", ["ping", "event", "edit", "upload"])
def test_any_sign_of_life_counts(api: ApiClient, watchdog: Watchdog, task: str, sign: str) -> None:
    api.move_clock(SILENCE - 10)
    if sign == "ping":
        api.call("tasks.ping", task=task)
    elif sign == "event":
        api.add_events([line(task, 1, "alive")])
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


def test_one_of_several_processes_does_the_job(api: ApiClient, engines: Engines) -> None:
    done: list[str] = []

    def job(name: str) -> Periodic:
        def step() -> bool:
            done.append(name)
            return len(done) % 2 == 1  # more to do, once

        return Periodic("job", step, seconds=INTERVAL, cache=engines.cache)

    first, second = job("first"), job("second")
    first.turn()
    second.turn()
    assert done == ["first", "first"]
    api.move_clock(INTERVAL)
    second.turn()
    first.turn()
    assert done == ["first", "first", "second", "second"]


def test_a_job_begins_at_once_and_ends_when_told(engines: Engines) -> None:
    def step() -> bool:
        job._stopping.set()
        return True

    job = Periodic("job", step, seconds=INTERVAL, cache=engines.cache)
    job.start()
    job.stop()
