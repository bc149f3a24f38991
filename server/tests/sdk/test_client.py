"""What the unmodified client does to a live server, and gets back."""

import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.experiment import Sizes, expected, run_log, run_read

from trainshed.testing.live import SCRIPT_SECONDS, LiveServer, finish

pytestmark = pytest.mark.sdk

SCRIPTS = Path(__file__).parent / "scripts"
POINTS = 200


def test_an_experiment_is_the_same_after_a_kill(tmp_path: Path) -> None:
    sizes = Sizes()
    server = LiveServer(tmp_path / "data")
    server.start()
    task = run_log(sizes, server=server.environment(), folder=tmp_path / "log")
    assert run_read(task, sizes, server=server.environment(), folder=tmp_path / "read") == expected(sizes)
    server.stop(signal.SIGKILL)
    server.start()
    assert run_read(task, sizes, server=server.environment(), folder=tmp_path / "again") == expected(sizes)
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_a_model_whose_link_the_client_half_quotes(server: LiveServer, tmp_path: Path) -> None:
    assert server.run(SCRIPTS / "half_quoted.py", home=tmp_path)["weights"] == "weights"


def test_forked_processes_report_at_once(server: LiveServer, tmp_path: Path) -> None:
    # Two such programs: a reply on a connection that a fork shares would be mixed up with another's.
    started = [server.start_script(SCRIPTS / "forks.py", f"run {i}", home=tmp_path / str(i)) for i in range(2)]
    for answer in map(finish, started):
        assert answer["codes"] == [0, 0, 0]
        assert answer["points"] == {"parent": POINTS, "child 0": POINTS, "child 1": POINTS, "child 2": POINTS}


def test_queries(server: LiveServer, tmp_path: Path) -> None:
    assert server.run(SCRIPTS / "queries.py", home=tmp_path) == {
        "by exact name": ["run 1.x"],
        "by project": ["run 0.x", "run 2.x"],
        "by tag": ["run 1.x", "run 3.x"],
        "without tag": ["run 2.x"],
        "by status": ["run 3.x"],
        "newest first": ["run 2.x", "run 1.x", "run 0.x"],
        "model": ["a net"],
        "no model": [],
        "published": True,
        "single": 12.0,
        "last": 3.0,
        "project": True,
    }


def test_the_life_of_a_task(server: LiveServer, tmp_path: Path) -> None:
    def stage(name: str) -> Any:
        return server.run(SCRIPTS / "lifecycle.py", name, home=tmp_path)

    task = stage("run")
    assert stage("resume") == {"id": task, "x": [5, 7]}
    assert stage("rerun") == {"id": task, "scalars": {}}
    assert stage("publish_and_delete") == {
        "numbers": {"x": [1, 2, 3]},
        "status": "published",
        "stored": [200, 401],
        "deleted": True,
        "left": [],
        "gone": 404,
    }


def test_reports_of_every_kind(server: LiveServer, tmp_path: Path) -> None:
    read = server.run(SCRIPTS / "reports.py", home=tmp_path)
    task = read.pop("task")
    assert read == {
        "scalars": {
            "loss": {"train": [[0, 1, 2], [0, 1, 2]], "val": [[0, 1, 2], [0.5, 1.5, 2.5]]},
            "100 % of $x.y/z": {"a.b": [[7], [1.5]]},
        },
        "all": [0.5, 1.5, 2.5],
        "by time": 3,
        "last": {"last": 2.5, "min": 0.5, "max": 2.5},
        "last iteration": 7,
        "single": {"best": 0.25, "worst": 4},
        "one single": 0.25,
        "no single": None,
        "plots": {
            "histogram/of two": ["bar", 0],
            "scatter/flat": ["scatter", 0],
            "scatter/deep": ["scatter3d", 0],
            "matrix/confusion": ["heatmap", 0],
            "surface/hill": ["surface", 0],
            "table/rows": ["table", 0],
            "figure/plotly": ["bar", 2],
        },
        "images": [True, True],
        "elsewhere": "https://elsewhere.example/a.png",
        "html": "<h1>hello</h1>",
        "sound": "RIFF....WAVE",
        "console": [True, True, True, True, False],
    }
    metrics = server.call("events.get_task_metrics", tasks=[task], event_type="plot")["metrics"][0]["metrics"]
    assert sorted(metrics) == ["figure", "histogram", "matrix", "scatter", "surface", "table"]
    (stored,) = server.call("tasks.get_all", id=[task])["tasks"]
    assert (stored["status"], stored["project"] != "", stored["last_iteration"]) == ("completed", True, 7)


def test_what_pandas_and_matplotlib_make(server: LiveServer, tmp_path: Path) -> None:
    frame = {"name": ["a", "b"], "value": [1.5, 2.5]}
    assert server.run(SCRIPTS / "figures.py", home=tmp_path) == {
        "table": [[10, 11], ["a", "b"], [1.5, 2.5]],
        "frame": frame,
        "watched": frame,
        "preview": True,
        "figures": ["bars/as a plot", "shown by itself/plot"],
        "picture": "jpeg",
    }


def test_artifacts_models_and_parameters(server: LiveServer, tmp_path: Path) -> None:
    read = server.run(SCRIPTS / "artifacts.py", home=tmp_path)
    ids, urls = read.pop("ids"), [*read.pop("urls"), read.pop("weights url")]
    parameters = {
        "Args/epochs": 7,
        "Args/rate": 0.1,
        "Args/layers": "[8, 16]",  # the client's own casts know no list of an argument
        "Args/fast": True,
        "nested/a/b": 1,
        "nested/a/c": [1, 2],
        "nested/none": None,
        "nested/text": "é",
        "settings/depth": 3,
        "settings/names": ["a", "b"],
        "settings/ratio": 0.5,
        "extra/one": 1,
        "more/two": 2,
        "properties/place": "here",
        "properties/count": "3",
    }
    assert read.pop("parameters").keys() == parameters.keys()
    assert read == {
        "read back": [[1, 2], 3, ["a", "b"], {"size": 4}, "rate: 0.1\n# a comment\n"],
        "parsed": [7, 0.1, [8, 16], True],
        "typed": parameters,
        "configuration": [{"layers": [{"size": 3}, {"size": 4}]}, "rate: 0.1\n# a comment\n"],
        "user properties": {"place": "here", "count": "3"},
        "labels": {"cat": 1},
        "comment": read["comment"],
        "tags": ["for now", "kept"],
        "docker": "an/image:1 --ipc=host",
        "dict": {"x": [1, 2, {"y": None}]},
        "metadata": {"kind": "of dict"},
        "text": "some words, é",
        "array": [[0, 1, 2], [3, 4, 5]],
        "file": "rate: 0.1\n# a comment\n",
        "folder": {"a.txt": "a", "b.txt": "b"},
        "pickled": [1, 2, 3],
        "sizes": [22, "dict"],
        "keys": ["array", "dict", "file", "folder", "pickled", "text"],
        "model": ["net", "PyTorch", ["trained"], True, {"cat": 1}],
        "model metadata": ["0.9", "float"],
        "weights": "weights",
        "found": [True, 1, True],
        "input": [["base", "https://elsewhere.example/base.bin", "Keras"]],
        "clone": ["a clone", "of it", "created", True, "Sdk/artifacts/moved", "9", "0.1", [], [], ["base"]],
        "deleted": True,
    }
    assert read["comment"].startswith("a comment: é")
    assert [task["id"] for task in server.call("tasks.get_all", id=[ids["task"], ids["clone"]])["tasks"]] == [
        ids["clone"]
    ]
    assert [fetch(server, url) for url in urls] == [404] * len(urls)


def test_models_that_report_and_packages_of_files(server: LiveServer, tmp_path: Path) -> None:
    read = server.run(SCRIPTS / "models.py", home=tmp_path)
    model, base, url = read.pop("model"), read.pop("base"), read.pop("url")
    assert read == {
        "package": {"a.bin": "a.bin", "b.bin": "b.bin"},
        "made": ["reporter", "package", "elsewhere"],
        "last": "elsewhere",
        "by name": "base",
        "removed": True,
        "removed with its file": True,
        "left": ["base", "reporter"],
        "one": 1,
    }
    curve = server.call("events.scalar_metrics_iter_histogram", task=model, model_events=True)["accuracy"]["all"]
    assert (curve["x"], curve["y"]) == ([0, 1, 2], [0, 0.5, 1])
    plots = server.call("events.get_task_plots", task=model, model_events=True)["plots"]
    assert sorted(plot["metric"] for plot in plots) == ["scatter", "table"]
    (stored,) = server.call("models.get_all", id=[model])["models"]
    assert (stored["last_iteration"], stored["parent"]) == (2, base)
    used = server.call("tasks.get_by_id", task=stored["task"])["task"]["models"]["input"]
    assert [(entry["name"], entry["model"]) for entry in used] == [("weights", base)]
    values = {m["metric"]: m["value"] for variants in stored["last_metrics"].values() for m in variants.values()}
    assert values == {"Summary": 3, "accuracy": 1}
    assert fetch(server, url.replace(" ", "%20")) == 404


def test_data_sets_with_versions(server: LiveServer, tmp_path: Path) -> None:
    read = server.run(SCRIPTS / "datasets.py", home=tmp_path)
    first, second, squashed = read.pop("ids")
    urls = read.pop("artifacts")
    original = {"a.txt": "one", "sub/b.txt": "two", "sub/c.txt": "three", "table.csv": "x,y\n1,2\n3,4\n"}
    child = {"a.txt": "one and more", "d.txt": "four", "sub/b.txt": "two", "table.csv": "x,y\n1,2\n3,4\n"}
    name = "birds & bees"
    assert read == {
        "versions": ["1.0.0", "1.0.1"],
        "latest": True,
        "tags": ["raw"],
        "metadata": {"kinds": 2},
        "first": original,
        "second": child,
        "added": ["d.txt"],
        "modified": ["a.txt"],
        "removed": ["sub/c.txt"],
        "graph": True,
        "intact": [[], ["a.txt"]],
        "squashed": {**child, "sub/c.txt": "three"},
        "listed": [[name, "1.0.0"], [name, "1.0.1"], ["squashed", "1.0.0"]],
        "moved": ["1.0.0", "1.0.1"],
        "left": ["squashed"],
        "same": True,
        "used": [second, {"birds": f"{second}"}],
    }
    assert server.call("tasks.get_all", id=[squashed])["tasks"] == []
    assert [fetch(server, url) for url in urls] == [404] * len(urls)
    listed = server.call("projects.get_all_ex", name="^Sdk/(moved )?data", search_hidden=True)["projects"]
    tags = {project["name"]: sorted(project["system_tags"]) for project in listed}
    assert tags["Sdk/moved data/.datasets/bees"] == ["dataset", "hidden"]
    assert tags["Sdk/moved data/.datasets"] == ["hidden"]
    shown = server.call("projects.get_all_ex", name="^Sdk/(moved )?data")["projects"]
    assert sorted(project["name"] for project in shown) == ["Sdk/data", "Sdk/moved data"]
    versions = server.call("tasks.get_all_ex", id=[first, second], only_fields=["project.name", "status"])["tasks"]
    assert {(task["id"], task["project"]["name"], task["status"]) for task in versions} == {
        (first, "Sdk/moved data/.datasets/bees", "completed"),
        (second, "Sdk/moved data/.datasets/bees", "published"),
    }


def test_a_pipeline_of_functions(server: LiveServer, tmp_path: Path) -> None:
    pipeline = server.run(SCRIPTS / "pipeline_functions.py", "run", home=tmp_path)
    assert server.run(SCRIPTS / "pipeline_functions.py", "read", pipeline, home=tmp_path) == {
        "status": "completed",
        "type": "controller",
        "parameters": {
            "Args/count": "5",
            "pipeline/default_queue": "mock",
            "pipeline/add_pipeline_tags": "False",
            "pipeline/target_project": "True",
            "properties/version": "1.2.3",
        },
        "nodes": {"load": [], "total": ["load"], "fail": ["load"]},
        "steps": {"load": "completed", "total": "completed", "fail": "failed"},
        "answer": 30,
        "monitored": {"all": {"last": 30, "min": 30, "max": 30}},
        "numbers": [0, 1, 2, 3, 4],
        "plots": ["Pipeline", "Pipeline Details"],
        "found": True,
    }
    (project,) = server.call("projects.get_all_ex", name="of functions$", search_hidden=True)["projects"]
    assert (project["name"], sorted(project["system_tags"])) == (
        "Sdk/pipelines/.pipelines/of functions",
        ["hidden", "pipeline"],
    )


def test_a_pipeline_of_decorators(server: LiveServer, tmp_path: Path) -> None:
    assert server.run(SCRIPTS / "pipeline_decorators.py", home=tmp_path) == {
        "answers": [15, 30],
        "tasks": [
            ["load", "training", "completed"],
            ["of decorators", "controller", "completed"],
            ["total", "training", "completed"],
            ["total", "training", "completed"],
        ],
    }


def test_an_offline_session_is_brought_in(server: LiveServer, tmp_path: Path) -> None:
    script = SCRIPTS / "offline.py"
    session = server.run(script, "away", home=tmp_path)
    assert server.run(script, "back", session, home=tmp_path) == {
        "status": "completed",
        "name": ["Sdk/offline", "a session"],
        "tags": ["away"],
        "parameters": {"General": {"lr": "0.5", "deep": {"er": "[1, 2]"}}},
        "configuration": {"depth": 3},
        "scalars": [0, 1, 4, 9, 16],
        "single": 16,
        "plots": ["table"],
        "printed": True,
        "artifact": {"x": [1, 2, 3]},
        "continued": [[10, 11, 12, 13, 14], [0, 1, 4, 9, 16]],
    }


def test_an_offline_data_set_is_brought_in(server: LiveServer, tmp_path: Path) -> None:
    script = SCRIPTS / "offline.py"
    session = server.run(script, "data_away", home=tmp_path)
    assert server.run(script, "data_back", session, home=tmp_path) == {
        "name": "afar",
        "final": True,
        "content": "from afar",
    }


def test_processes_of_one_task(server: LiveServer, tmp_path: Path) -> None:
    assert server.run(SCRIPTS / "processes.py", home=tmp_path) == {
        "codes": [0, 0],
        "children": {"fork": True, "script": True, "spawn": True},
        "tasks": 1,
    }


def test_a_schedule(server: LiveServer, tmp_path: Path) -> None:
    server.call("queues.create", name="scheduled")
    assert server.run(SCRIPTS / "schedules.py", "scheduled", "Sdk/schedule", home=tmp_path) == {
        "called": {"a function": "called"},
        "clones": {"template": "the clock"},
        "stored": [["every hour", 1, None], ["now", None, 1]],
    }


def test_triggers(server: LiveServer, tmp_path: Path) -> None:
    server.call("queues.create", name="triggered")
    assert server.run(SCRIPTS / "schedules.py", "triggered", "Sdk/triggers", home=tmp_path) == {
        "called": True,
        "clones": True,
    }


def test_the_states_of_a_task_and_what_is_written_on_it(server: LiveServer, tmp_path: Path) -> None:
    read = server.run(SCRIPTS / "states.py", home=tmp_path)
    tags = ["a", "b", "c"]
    assert read == {
        "enqueued": ["queued", ["first", "second"], True],
        "dequeued": ["created", ["second"]],
        "in front": ["first", "second"],
        "stopped": ["stopped", "for now", 40, 3],
        "failed": ["failed", "tried", "broke"],
        "reset": ["created", {}, 0, []],
        "changed": [True, "a comment", tags, True],
        "archived": [True, ["renamed", "second"], ["renamed"]],
        "unarchived": [False, ["renamed", "second"]],
        "published": ["published", ["second"], ["renamed", "second"]],
        "queried": [True, tags, "a comment"],
        "imported": ["imported", True, tags, "inference"],
        "projects": ["Sdk/states"],
        "deleted": [True, []],
    }


def test_scripts_that_end_badly(server: LiveServer, tmp_path: Path) -> None:
    ways = ["fails", "exits", "waits to be aborted", "waits for ctrl-c"]
    fails, exits, aborted, interrupted = scripts = [
        server.start_script(SCRIPTS / "endings.py", way, home=tmp_path / way) for way in ways
    ]
    for script in (aborted, interrupted):
        until_line(script, "ready")
    (task,) = server.call("tasks.get_all", name="^waits to be aborted$")["tasks"]
    server.call("tasks.stop", task=task["id"], status_message="enough")
    interrupted.send_signal(signal.SIGINT)
    outputs = [script.communicate(timeout=SCRIPT_SECONDS) for script in scripts]
    ended = {task["name"]: task for task in server.call("tasks.get_all", name="|".join(ways))["tasks"]}
    assert {name: task["status"] for name, task in ended.items()} == {
        "fails": "failed",
        "exits": "failed",
        "waits to be aborted": "stopped",
        "waits for ctrl-c": "stopped",
    }
    assert [script.returncode for script in (fails, exits)] == [1, 3]
    assert "on purpose: é" in outputs[0][1]
    assert "on purpose: é" in console(server, ended["fails"]["id"])
    assert "about to fail" in console(server, ended["fails"]["id"])


def fetch(server: LiveServer, url: str) -> int:
    """The status of a file on the file server."""
    headers = {"Authorization": f"Bearer {server.call('auth.login')['token']}"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def console(server: LiveServer, task: str) -> str:
    events = server.call("events.get_task_log", task=task, batch_size=1000, order="asc")["events"]
    return "\n".join(event["msg"] for event in events)


def until_line(script: "subprocess.Popen[str]", line: str) -> None:
    assert script.stdout is not None
    assert any(said.strip() == line for said in script.stdout), script.communicate()
