"""`kill -9` while tasks and their files are deleted: what is left of a task that is gone is on the list, always."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from trainshed.testing.live import LiveServer
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
TASKS, KINDS = 25, ("artifact", "model", "image")

# The server's own job, some hours later: files wait some minutes for their client, and a day for a deletion that was cut.
WORK = """
import dataclasses, datetime, pathlib, sys
from trainshed import bootstrap
from trainshed.settings import Settings
from trainshed.testing.clock import FakeClock
folder = pathlib.Path(sys.argv[1])
engines = bootstrap.open_engines(Settings(data_dir=folder, ports={}))
later = FakeClock(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=int(sys.argv[2])))
services = bootstrap.build_services(dataclasses.replace(engines, clock=later), token_secret=b"x" * 32)
print(flush=True)
while services.file_deletion.step():
    pass
print(flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path / "data", "--fast-writes")
    live.start()
    yield live
    live.stop(signal.SIGKILL)


def put(server: LiveServer, key: str) -> str:
    """Upload a file; its link."""
    url = f"{server.url('files')}/{key}"
    request = urllib.request.Request(url, b"content", {"Authorization": server.authorization()}, method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        return url


def new_task(server: LiveServer) -> str:
    """A task with a file of each kind."""
    task: str = server.call("tasks.create", name="a task", type="training")["id"]
    urls = {kind: put(server, f"p/t.{task}/{kind}/file") for kind in KINDS}
    artifact = {"key": "data", "type": "custom", "uri": urls["artifact"]}
    server.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact])
    server.call("models.update_for_task", task=task, uri=urls["model"])
    image = {"type": "training_debug_image", "metric": "m", "variant": "v", "iter": 1, "url": urls["image"]}
    server.call("events.add", task=task, **image)
    return task


def is_there(server: LiveServer, task: str) -> bool:
    return bool(server.call("tasks.get_all", id=[task], only_fields=["id"])["tasks"])


def with_model(server: LiveServer) -> set[str]:
    """The keys of files that a model has."""
    found = server.call("models.get_all", only_fields=["uri"], page_size=500)["models"]
    return {model["uri"].split("/", 3)[3] for model in found}


def listed(data: Path, status: str) -> set[str]:
    """The keys of files on the list, by the command."""
    command = [sys.executable, "-m", "trainshed", "files", status, "--json", f"--data-dir={data}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return {file["url"].split("/", 3)[3] for file in found}


def on_disk(data: Path) -> set[str]:
    root = data / "files"
    return {str(path.relative_to(root)) for path in root.glob("p/**/*") if path.is_file()}


def killed(data: Path, seconds: float | None, *, hours: int = 1) -> None:
    """Run the job, to its end or for so long."""
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(data), str(hours)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if seconds is None:
            assert process.stdout.readline() == "\n"
        else:
            time.sleep(seconds)
            process.kill()


def test_no_file_is_left_of_which_nobody_knows(server: LiveServer) -> None:
    chance = random.Random(5)
    for _ in range(times(1, soak=25)):
        tasks = [new_task(server) for _ in range(TASKS)]

        def delete(tasks: list[str] = tasks) -> None:
            with suppress(OSError, HTTPException):  # the server is gone
                for task in tasks:
                    server.call("tasks.delete", task=task, force=True)

        caller = threading.Thread(target=delete)
        caller.start()
        time.sleep(chance.uniform(0.05, 0.4))
        server.stop(signal.SIGKILL)
        caller.join()
        server.start()

        gone = [task for task in tasks if not is_there(server, task)]
        assert gone  # else the test shows nothing
        files = {f"p/t.{task}/{kind}/file" for task in tasks for kind in KINDS}
        assert on_disk(server.data) >= files
        # Models go before their task, so that a deletion that was cut may have got as far as that.
        kept = {f"p/t.{task}/model/file" for task in tasks} & with_model(server)
        expected = {path for path in files - kept if path.split("/")[1][2:] in gone or "/model/" in path}
        assert listed(server.data, "pending") >= expected

        for _ in range(3):
            killed(server.data, chance.uniform(0, 0.05))
            assert on_disk(server.data) & expected <= listed(server.data, "pending")
        killed(server.data, None)
        assert on_disk(server.data) & files == files - expected
        assert listed(server.data, "failed") == set()
        for task in set(tasks) - set(gone):
            server.call("tasks.delete", task=task, force=True)
        killed(server.data, None, hours=48)
        assert listed(server.data, "pending") == set()
        assert not (server.data / "files" / "p").exists()
