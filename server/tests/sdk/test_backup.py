"""A restore drill with what the real client logs."""

from pathlib import Path

import pytest
from tests.experiment import Sizes, expected, run_log, run_read

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
