"""What the commands of the unmodified client and agent do to a live server, and say of it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainshed.testing.live import LiveServer, clean_environment, said

pytestmark = pytest.mark.sdk

PROGRAM = """\
import argparse
from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=int, default=1)
parser.add_argument("--y", type=int, default=1)
arguments = parser.parse_args()
print("x is", arguments.x)
Task.current_task().get_logger().report_scalar("loss", "all", value=(arguments.x - 2) ** 2 + arguments.y, iteration=1)
"""


def test_data_sets(server: LiveServer, tmp_path: Path) -> None:
    def data(action: str, *arguments: str) -> str:
        return server.command("clearml-data", action, *arguments, home=tmp_path)

    place = ("--project", "Sdk/commands", "--name")
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "a.txt").write_text("one")
    (source / "b.txt").write_text("two")
    first = made(data("create", *place, "fish", "--version", "1.0", "--tags", "wet"))
    data("add", "--files", "source")  # the commands remember of which data set they speak
    data("remove", "--files", "b.txt")
    data("set-description", "--id", first, "--description", "of the sea")
    data("upload")
    data("close")
    assert "Total 1 files, 3 bytes" in data("list", *place, "fish")
    second = made(data("sync", *place, "fish", "--parents", first, "--folder", "source"))
    data("get", "--id", second, "--copy", "copy")
    assert {path.name: path.read_text() for path in copy.iterdir()} == {"a.txt": "one", "b.txt": "two"}
    assert "no errors" in data("verify", "--id", second, "--folder", "copy")
    (copy / "a.txt").write_text("other")
    assert "1 errors" in data("verify", "--id", second, "--folder", "copy")
    data("rename", *place, "fish", "--new-name", "cod")
    data("move", *place, "cod", "--new-project", "Sdk/moved commands")
    found = data("search", "--project", "Sdk/moved commands", "--name", "cod")
    assert set(re.findall(rf"\| cod +\| ([\d.]+) .*({first}|{second})", found)) == {("1.0", first), ("1.1", second)}
    (stored,) = server.call("tasks.get_all", id=[first])["tasks"]
    assert (stored["status"], stored["comment"], stored["tags"]) == ("completed", "of the sea", ["wet"])
    data("delete", "--project", "Sdk/moved commands", "--name", "cod", "--entire-dataset", "--force")
    assert server.call("tasks.get_all", id=[first, second])["tasks"] == []


def test_a_task_that_an_agent_is_told_to_run(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    named = ("--project", "Sdk/commands", "--name", "a program", "--tags", "told")
    script = ("--script", "program.py", "--args", "x=5", "--packages", "clearml", "--skip-repo-detection")
    task = made(server.command("clearml-task", *named, *script, home=tmp_path))
    this_python = {"CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1"}
    assert "x is 5" in server.command("clearml-agent", "execute", "--id", task, home=tmp_path, **this_python)
    (stored,) = server.call("tasks.get_all", id=[task])["tasks"]
    assert (stored["status"], stored["tags"], losses([stored])) == ("completed", ["told"], [10])


def test_a_search_for_parameters(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    searched = {"name": "Args/x", "type": "UniformIntegerParameterRange", "min_value": 1, "max_value": 3}
    named = ("--project-name", "Sdk/commands", "--task-name", "a search")
    script = ("--local", "--script", "program.py", "--args", "x=1", "y=0")
    parameters = ("--params-search", json.dumps(searched), "--params-override", '{"name": "Args/y", "value": 4}')
    objective = ("title", "loss"), ("series", "all"), ("sign", "min")
    metric = [word for name, value in objective for word in (f"--objective-metric-{name}", value)]
    limits = ("--max-number-of-concurrent-tasks", "3", "--total-max-jobs", "3", "--pool-period-min", "0.02")
    way = ("--optimizer-class", "RandomSearch", *limits)
    out = server.command("clearml-param-search", *named, *script, *parameters, *metric, *way, home=tmp_path)
    trials = re.findall("[0-9a-f]{32}", out.partition("Top 10 experiments")[2])
    ended = {task["id"]: task for task in server.call("tasks.get_all", id=trials)["tasks"]}
    assert losses([ended[trial] for trial in trials]) == [4, 5, 5]
    assert {task["status"] for task in ended.values()} == {"completed"}
    (search,) = server.call("tasks.get_all", id=list({task["parent"] for task in ended.values()}))["tasks"]
    assert (search["name"], search["type"], search["status"]) == ("a search", "optimizer", "completed")


def test_the_wizard_takes_what_the_server_wrote(server: LiveServer, tmp_path: Path) -> None:
    def run(name: str, *arguments: str, given: str = "", **environment: str) -> str:
        program = subprocess.Popen(
            [str(Path(sys.executable).parent / name), *arguments],
            cwd=tmp_path,
            env={**clean_environment(), "HOME": str(tmp_path), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return said(program, given)

    section = (server.data / "secrets" / "first-credentials").read_text()
    assert "Credentials verified!" in run("clearml-init", "--file", "made.conf", given=section)
    home = str(tmp_path / "made.conf")
    assert "Search datasets" in run("clearml-data", "search", CLEARML_CONFIG_FILE=home)


def made(out: str) -> str:
    """The id of what a command says it created."""
    (found,) = re.findall(r" created id=([0-9a-f]{32})", out)
    return str(found)


def losses(tasks: list[Any]) -> list[float]:
    """The last value of each task's one metric."""
    metrics = [[variant for metric in task["last_metrics"].values() for variant in metric.values()] for task in tasks]
    return [metric["value"] for (metric,) in metrics]
