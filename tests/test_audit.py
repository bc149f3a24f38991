"""The gate against known vulnerabilities: it fails on one, and says when nobody could be asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.audit import LOCK, main, shipped

# In the form of osv.dev, which has PyPI's own advisories.
_ADVISORY = {
    "id": "PYSEC-2018-66",
    "aliases": ["CVE-2018-1000656"],
    "summary": "denial of service by JSON in the wrong encoding",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "flask"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.12.3"}]}],
        }
    ],
}


class _Known(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = {"vulns": [_ADVISORY]} if (asked["package"]["name"], asked["version"]) == ("flask", "0.12") else {}
        body = json.dumps(known).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Known) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def lock(folder: Path, *pins: str) -> str:
    file = folder / "requirements.lock"
    file.write_text("".join(f"{pin}\n    # via\n    #   trainshed\n    #   trainshed-provision\n" for pin in pins))
    return str(file)


def test_a_known_vulnerability_fails(service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pins = lock(tmp_path, "bcrypt==4.2.0", "flask==0.12")
    assert main(["--lock", pins, "--", "--vulnerability-service=osv", f"--osv-url={service}"]) == 1
    assert capsys.readouterr().out == "pip-audit: flask 0.12: PYSEC-2018-66, mended in 0.12.3\n"


def test_nobody_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = "--osv-url=http://127.0.0.1:9/"
    assert main(["--lock", lock(tmp_path, "flask==0.12"), "--", "--vulnerability-service=osv", nobody]) == 0
    assert capsys.readouterr().out == "pip-audit: skipped, nobody here tells what is known of flask 0.12\n"


def test_a_broken_tool_is_not_silence(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="unrecognized"):
        main(["--lock", lock(tmp_path, "flask==0.12"), "--", "--no-such-option"])


def test_what_is_asked_for() -> None:
    names = {pin.name for pin in shipped(LOCK.read_text())}
    assert {"flask", "werkzeug", "granian", "cryptography", "paramiko"} <= names
    assert not names & {"clearml", "mypy", "hypothesis"}
