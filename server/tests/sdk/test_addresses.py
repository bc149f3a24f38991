"""The unmodified client by TLS of the server itself, on one address, and through maintenance."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.experiment import Sizes, expected, run_log, run_read

from trainshed.testing.live import LiveServer, finish

pytestmark = pytest.mark.sdk

SIZES = Sizes(points=200, series=2, lines=20, plots=1, images=2, artifact_mib=2, weights_mib=1)
SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("below", [False, True], ids=["three ports", "one address"])
def test_by_tls_with_the_servers_own_certificate(tmp_path: Path, below: bool) -> None:
    server = LiveServer(tmp_path / "data", CLEARML__TRAINSHED__TLS__OWN="true", scheme="https")
    server.start()
    web = server.url("web")
    client = {
        **server.environment(),
        **({"CLEARML_API_HOST": f"{web}/api", "CLEARML_FILES_HOST": f"{web}/files"} if below else {}),
        "REQUESTS_CA_BUNDLE": str(server.data / "tls" / "certificate.pem"),
    }
    task = run_log(SIZES, server=client, folder=tmp_path / "log")
    assert run_read(task, SIZES, server=client, folder=tmp_path / "read") == expected(SIZES)
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_the_client_waits_in_maintenance_and_goes_on(server: LiveServer, tmp_path: Path) -> None:
    script = server.start_script(SCRIPTS / "through_maintenance.py", home=tmp_path)
    begun = tmp_path / "begun"
    while not begun.exists():
        assert script.poll() is None, script.communicate()
        time.sleep(0.05)
    maintain(server, "on")
    (tmp_path / "go").touch()
    time.sleep(8)  # more than one retry, and flushes of reports fall into it
    assert script.poll() is None, "it waits"
    maintain(server, "off")
    answer = finish(script)
    assert answer["points"] == list(range(200))
    assert answer["artifact"] == {"stored": "in maintenance"}


def maintain(server: LiveServer, action: str) -> None:
    command = [sys.executable, "-m", "trainshed", "maintenance", action, "--data-dir", str(server.data)]
    subprocess.run(command, check=True, timeout=60)
