"""`shed check url` against a real server, over http and over https with its own key, and against one that agrees to everything."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from trainshed.testing.live import LiveServer
from trainshed_provision import cli
from trainshed_provision.assertions.outside import OUTSIDE
from trainshed_provision.errors import Exit


class Agreeable(BaseHTTPRequestHandler):
    """Says 200 to everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def agreeable() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Agreeable) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: Exit) -> dict[str, bool]:
    """Rule -> whether it holds."""
    assert cli.main(["check", "url", *words, "--json"]) == code
    return {result["rule"]: result["ok"] for result in json.loads(capsys.readouterr().out)}


def test_a_new_server_keeps_every_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = LiveServer(tmp_path / "data", "--host=0.0.0.0")
    server.start()
    try:
        found = asked(capsys, f"http://127.0.0.1:{server.ports['web']}", code=Exit.OK)
    finally:
        server.stop()
    assert found == {rule: True for rule, row in OUTSIDE.items() if not row.encrypted}


def test_a_server_with_its_own_key_keeps_those_of_tls_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = LiveServer(tmp_path / "data", "--host=0.0.0.0", scheme="https", CLEARML__TRAINSHED__TLS__OWN="true")
    server.start()
    try:
        url = f"https://localhost:{server.ports['web']}"
        own = tmp_path / "data" / "tls" / "certificate.pem"
        assert asked(capsys, url, f"--ca={own}", code=Exit.OK) == dict.fromkeys(OUTSIDE, True)
        assert not asked(capsys, url, code=Exit.UNHEALTHY)["H09"]  # which nobody has signed whom the system trusts
    finally:
        server.stop()


def test_a_server_that_lets_everybody_in_breaks_them(agreeable: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(capsys, agreeable, code=Exit.UNHEALTHY)
    assert [rule for rule, ok in found.items() if not ok] == ["A09", "A09b", "A09c", "headers"]


def test_nobody_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(asked(capsys, "http://127.0.0.1:1", code=Exit.UNHEALTHY).values())
    found = asked(capsys, "https://127.0.0.1:1", code=Exit.UNHEALTHY)
    assert [rule for rule, ok in found.items() if ok] in ([], ["H09b"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["url"], Exit.USAGE),
        (["url", "shed.example.com"], Exit.USAGE),
        (["url", "ftp://shed.example.com"], Exit.USAGE),
        (["url", "https://shed.example.com", "--ca=/nowhere.pem"], Exit.MISSING),
        (["ssh"], Exit.USAGE),
        (["ssh", "127.0.0.1", "--key=/nowhere"], Exit.MISSING),
    ],
)
def test_what_cannot_be_asked_is_a_line_with_a_hint(
    words: list[str], code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", *words]) == code
    assert capsys.readouterr().err.count("\n") == 2


def test_a_machine_that_does_not_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "key"
    key.touch()
    assert cli.main(["check", "ssh", "127.0.0.1", "--port=1", f"--key={key}"]) == Exit.FAILED
    assert "no ssh to admin@127.0.0.1 port 1" in capsys.readouterr().err
