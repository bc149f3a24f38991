"""What the command tells of the background jobs."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainshed import cli
from trainshed.testing.api import ApiClient, serve, sqlite_engines
from trainshed.testing.reports import line

URL = "s3://bucket/data"


@pytest.fixture
def api(tmp_path: Path) -> ApiClient:
    """A server of some months ago over the folder, which is still open."""
    return serve(sqlite_engines(tmp_path))


def run(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert cli.main(list(options)) == cli.Exit.OK
    return capsys.readouterr().out


def new_task(api: ApiClient) -> str:
    task: str = api.call("tasks.create", name="a task", type="training")["id"]
    artifact = {"key": "data", "type": "custom", "uri": URL}
    api.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact])
    api.add_events([line(task, 1, "said")])
    return task


def test_files(api: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = new_task(api)
    folder = f"--data-dir={tmp_path}"
    api.call("tasks.delete", task=task)
    (pending,) = json.loads(run(capsys, "files", "pending", "--json", folder))
    assert (pending["url"], pending["owners"], pending["user"]) == (URL, [task], api.user)
    documents = api.engines.documents
    (found,) = documents.find("file_deletions")
    why = [{"url": URL, "reason": "no way"}]
    documents.update("file_deletions", found["id"], lambda d: d.update(status="failed", files=why))
    assert run(capsys, "files", "pending", folder) == ""
    assert run(capsys, "files", "failed", folder) == f"{URL}  no way\n"
    assert run(capsys, "files", "retry", folder) == ""
    assert run(capsys, "files", "failed", folder) == ""
    assert run(capsys, "files", "pending", folder).startswith(URL)
    assert run(capsys, "files", "forget", folder) == ""
    assert run(capsys, "files", "pending", folder).startswith(URL)  # only the failed ones are struck off


def test_retention(api: ApiClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, folder = new_task(api), f"--data-dir={tmp_path}"
    api.call("tasks.started", task=task)
    api.call("tasks.completed", task=task)
    api.call("tasks.delete", task=new_task(api), move_to_trash=True)
    assert run(capsys, "retention", folder) == ""
    assert json.loads(run(capsys, "retention", "--json", folder)) == []
    found: list[dict[str, Any]] = json.loads(
        run(capsys, "retention", "--keep-logs=1", "--keep-trash=1", "--keep-images=1", "--json", folder)
    )
    assert [(removal["kind"], removal["events"]) for removal in found] == [("logs", 1), ("trash", 0)]
    assert found[0]["task"] == task
    assert run(capsys, "retention", "--keep-logs=1", folder).split()[:2] == ["logs", "1"]
    assert api.call("events.get_task_log", task=task)["total"] == 1  # it was a look


@pytest.mark.parametrize("verb", [["retention"], ["files", "pending"]])
def test_of_a_server_that_never_ran(tmp_path: Path, verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*verb, f"--data-dir={tmp_path}"]) == cli.Exit.MISSING
    assert "no server has run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["serve", "--watchdog-threshold=0"],
        ["serve", "--watchdog-interval=soon"],
        ["serve", "--keep-logs=0"],
        ["retention", "--keep-trash=-1"],
        ["retention", "--keep-images=9999999"],
        ["files"],
        ["files", "delete"],
    ],
    ids=" ".join,
)
def test_what_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(options)
    assert ended.value.code == cli.Exit.USAGE
