"""The doctor: it finds each thing that is wrong, says what helps, and changes nothing."""

import json
import os
import shutil
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from trainshed import bootstrap, cli
from trainshed.adapters.system.certificate import self_signed
from trainshed.cli import doctor
from trainshed.cli.common import Exit
from trainshed.settings import Settings
from trainshed.testing.live import LISTENERS, free_ports

Look = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("filled")
    data.chmod(0o700)
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    task = {"id": "t", "name": "a task", "last_update": "2026-11-01T00:00:00.000000+00:00"}
    engines.documents.insert("tasks", task)
    bootstrap.secret(data, "token")
    engines.close()
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    found = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
    (tmp_path / "conf").mkdir()
    monkeypatch.setenv("CLEARML_CONFIG_DIR", str(tmp_path / "conf"))
    (tmp_path / "conf" / "apiserver.conf").write_text(f"listen {{ port: {found['api']} }}")
    (tmp_path / "conf" / "fileserver.conf").write_text(f"listen {{ port: {found['files']} }}")
    (tmp_path / "conf" / "trainshed.conf").write_text(f"web {{ port: {found['web']} }}")
    return found


@pytest.fixture
def look(data: Path, ports: dict[str, int], capsys: pytest.CaptureFixture[str]) -> Look:
    """Area -> what is worse than ok there; every finding has a remedy then, and nothing is changed."""

    def examine(*flags: str, folder: Path = data) -> dict[str, Any]:
        before = sorted(folder.rglob("*"))
        capsys.readouterr()
        code = cli.main(["doctor", f"--data-dir={folder}", "--json", *flags])
        found = json.loads(capsys.readouterr().out)
        assert sorted(folder.rglob("*")) == before
        worse = [finding for finding in found if finding["verdict"] != "ok"]
        assert all(finding["remedy"] for finding in worse), worse
        problems = [finding for finding in worse if finding["verdict"] == "problem"]
        assert code == (Exit.UNHEALTHY if problems else Exit.OK)
        return {finding["area"]: finding for finding in worse}

    return examine


def test_nothing_is_wrong(look: Look) -> None:
    assert look() == {}
    assert look("--quick") == {}


def test_a_port_that_something_else_has(look: Look, ports: dict[str, int]) -> None:
    with closing(socket.create_server(("127.0.0.1", ports["api"]))) as other:
        other.settimeout(0)
        threading.Thread(target=hang_up, args=(other,)).start()
        assert list(look()) == [f"port {ports['api']} (api)"]


def hang_up(server: socket.socket) -> None:
    server.settimeout(5)
    connection, _ = server.accept()  # the look whether it is free leaves no connection
    connection.close()


@contextmanager
def ours(port: int, certificate: Path | None = None) -> Iterator[None]:
    """What answers as a server of ours does."""

    class Reply(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("X-Request-Id", "1")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", port), Reply) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield
        server.shutdown()


def test_a_port_that_a_server_of_ours_has(look: Look, ports: dict[str, int]) -> None:
    with ours(ports["api"]):
        assert look() == {}


@pytest.mark.parametrize(
    ("days", "verdict", "text"),
    [(400, "ok", ""), (7, "warning", "it ends in 6 days"), (-1, "problem", "it has ended")],
)
def test_a_certificate(look: Look, tmp_path: Path, days: int, verdict: str, text: str) -> None:
    area = f"certificate {tmp_path}/c.pem"
    made = self_signed(["shed.example"], now=datetime.now(UTC) - timedelta(days=2), days=days + 2)
    for name, content in zip(("c.pem", "k.pem"), made, strict=True):
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "conf" / "trainshed.conf").open("a") as conf:
        conf.write(f'\ntls {{ certificate: "{tmp_path}/c.pem", key: "{tmp_path}/k.pem" }}')
    found = look().get(area, {"verdict": "ok", "text": ""})
    assert (found["verdict"], found["text"]) == (verdict, text)
    (tmp_path / "k.pem").write_bytes(self_signed(["shed.example"], now=datetime.now(UTC), days=1)[1])
    assert look()[area]["verdict"] == "problem"


def test_a_port_that_a_server_of_ours_has_by_tls(look: Look, ports: dict[str, int], tmp_path: Path) -> None:
    with (tmp_path / "conf" / "trainshed.conf").open("a") as conf:
        conf.write("\ntls.own: true")
    made = self_signed(["localhost"], now=datetime.now(UTC), days=1)
    (tmp_path / "both.pem").write_bytes(b"".join(made))
    with ours(ports["api"], tmp_path / "both.pem"):
        assert look() == {}


def test_a_configuration_with_mistakes(look: Look, tmp_path: Path) -> None:
    (tmp_path / "conf" / "secure.conf").write_text("auth { tokn_secret: x }")
    found = look()["configuration"]
    assert (found["verdict"], "tokn_secret" in found["text"]) == ("warning", True)
    (tmp_path / "conf" / "secure.conf").unlink()
    (tmp_path / "conf" / "apiserver.conf").write_text("listen { port: many }")
    assert look()["configuration"]["verdict"] == "problem"


def test_permissions(look: Look, data: Path) -> None:
    (data / "secrets" / "token").chmod(0o644)
    assert "token" in look()["data folder"]["text"]
    (data / "secrets" / "token").chmod(0o600)
    data.chmod(0o755)
    assert "chmod 700" in look()["data folder"]["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user(look: Look, data: Path) -> None:
    os.chown(data / "cache.db", 12345, 12345)
    assert "cache.db" in look()["data folder"]["text"]


def test_what_was_left_half_done(look: Look, data: Path) -> None:
    (data / ".restoring").mkdir()
    (data / "replaced-20260101T000000Z").mkdir()
    bootstrap.maintenance(data).on("moving")
    found = look()
    assert found["maintenance"]["text"] == "everybody is turned away: moving"
    assert found["restore"]["verdict"] in ("problem", "warning")
    (data / "replaced-20260101T000000Z").rmdir()
    assert look()["restore"]["verdict"] == "problem"


def test_databases(look: Look, data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "events.db")) as database:
        database.execute("PRAGMA user_version = 99")
    content = bytearray((data / "documents.db").read_bytes())
    content[5 * 4096 : 30 * 4096] = bytes(25 * 4096)
    (data / "documents.db").write_bytes(content)
    (data / "cache.db").unlink()
    found = look()
    assert set(found) == {"events.db", "documents.db", "cache.db"}
    assert "newer release" in found["events.db"]["text"]
    assert look("--quick").keys() == {"events.db", "cache.db"}


def test_a_clock_that_is_behind(look: Look, data: Path) -> None:
    with closing(sqlite3.connect(data / "documents.db")) as database:
        database.execute("UPDATE tasks SET v_last_update = '2999-01-01T00:00:00.000000+00:00'")
        database.commit()
    assert "ahead" in look()["clock"]["text"]


@pytest.mark.parametrize(
    ("name", "value", "area"),
    [
        ("_LITTLE_SPACE", 2**63, "disk"),
        ("_LITTLE_SHARE", 1.1, "disk"),
        ("_SLOW_SYNC", -1.0, "disk"),
        ("_LITTLE_MEMORY", 2**63, "memory"),
        ("_FILES", 2**62, "open files"),
        ("_EARLIEST", 2**40, "clock"),
        ("_SKEW", -1.0, "clock"),
    ],
)
def test_bounds(look: Look, monkeypatch: pytest.MonkeyPatch, name: str, value: float, area: str) -> None:
    monkeypatch.setattr(doctor, name, value)
    assert list(look()) == [area]


def test_a_folder_that_is_not_there(look: Look, tmp_path: Path) -> None:
    assert list(look(folder=tmp_path / "none")) == ["data folder"]
