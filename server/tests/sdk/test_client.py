"""What the unmodified client does to a live server, and gets back."""

import signal
from pathlib import Path
from typing import Any

import pytest
from tests.experiment import Sizes, expected, run_log, run_read

from trainshed.testing.live import LiveServer, finish

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
