"""A restore drill, and a move to another server, with what the real client logs."""

from pathlib import Path

import pytest
from tests.experiment import PROJECT, Sizes, expected, run_log, run_read

from trainshed import cli
from trainshed.testing.live import LiveServer

pytestmark = pytest.mark.sdk


def test_a_restored_server_has_the_experiment(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data")
    server.start()
    sizes = Sizes(points=1000, lines=50, artifact_mib=3)
    keys = server.environment()
    task = run_log(sizes, server=keys, folder=tmp_path / "log")
    for place in ("backups", "backup.tar"):
        assert cli.main(["backup", str(tmp_path / place), f"--data-dir={server.data}"]) == 0
        assert cli.main(["verify", str(tmp_path / place)]) == 0
    run_log(sizes, server=keys, folder=tmp_path / "later")
    server.stop()
    for place in ("backups", "backup.tar"):
        copy = LiveServer(tmp_path / f"from-{place}")
        copy.ports = server.ports  # the links to files name them
        assert cli.main(["restore", str(tmp_path / place), f"--data-dir={copy.data}"]) == 0
        copy.start()
        assert run_read(task, sizes, server=keys, folder=tmp_path / f"read-{place}") == expected(sizes)
        assert copy.call("tasks.get_all", only_fields=["id"])["tasks"] == [{"id": task}]
        assert copy.stop() == 0
        assert "Traceback" not in copy.log()


def test_another_server_has_the_experiment(tmp_path: Path) -> None:
    sizes = Sizes(points=1000, lines=50, artifact_mib=3)
    server, other = LiveServer(tmp_path / "data"), LiveServer(tmp_path / "other")
    server.start()
    task = run_log(sizes, server=server.environment(), folder=tmp_path / "log")
    assert cli.main(["project", "export", PROJECT, str(tmp_path / "copy.tar"), f"--data-dir={server.data}"]) == 0
    assert server.stop() == 0
    other.start()
    assert cli.main(["project", "import", str(tmp_path / "copy.tar"), f"--data-dir={other.data}"]) == 0
    moved = ["relocate", f"--from={server.url('files')}", f"--to={other.url('files')}", f"--data-dir={other.data}"]
    assert cli.main(moved) == 0
    assert run_read(task, sizes, server=other.environment(), folder=tmp_path / "read") == expected(sizes)
    assert cli.main(["project", "import", str(tmp_path / "copy.tar"), f"--data-dir={other.data}"]) == 0
    assert other.stop() == 0
    assert "Traceback" not in other.log()
