"""The command: what it refuses, with which words and exit code, and a server that lives, ends and is killed."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import Queue
from urllib.error import HTTPError

import msgspec
import pytest

from trainshed import bootstrap, cli
from trainshed.testing.api import Json, basic
from trainshed.testing.live import LISTENERS, LiveServer, free_ports
from trainshed.testing.soak import KILLS


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to refuse."""
    command = [sys.executable, "-m", "trainshed", "serve", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def on_free_ports() -> list[str]:
    return [f"--{name}-port={port}" for name, port in zip(LISTENERS, free_ports(len(LISTENERS)), strict=True)]


def call(server: LiveServer, endpoint: str, authorization: str, body: bytes = b"{}") -> Json:
    request = urllib.request.Request(
        f"{server.url('api')}/v2.31/{endpoint}", data=body, headers={"Authorization": authorization}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        data: Json = msgspec.json.decode(reply.read())["data"]
    return data


# refusals


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    first, hint = done.stderr.splitlines()
    assert first.startswith("trainshed: ")
    assert hint.strip()
    assert all(word in first for word in words)


def test_a_port_in_use(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        done = serve("--data-dir", str(tmp_path / "data"), *on_free_ports()[1:], f"--web-port={port}")
    refused(done, 6, str(port), "web")
    assert not (tmp_path / "data").exists()


def test_one_port_for_two_listeners(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    done = serve(f"--data-dir={tmp_path / 'data'}", f"--web-port={port}", f"--api-port={port}")
    refused(done, 2, str(port), "web", "api")
    assert not (tmp_path / "data").exists()


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    refused(serve(f"--data-dir={tmp_path / 'data'}", "--host=192.0.2.1", *on_free_ports()), 2, "192.0.2.1")


def test_a_data_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("the user's")
    refused(serve(f"--data-dir={tmp_path / 'file'}", *on_free_ports()), 3, str(tmp_path / "file"))
    refused(serve(f"--data-dir={tmp_path / 'file' / 'below'}", *on_free_ports()), 3, str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "the user's"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("made", [False, True], ids=["that cannot be made", "that was made"])
def test_a_data_directory_of_another_user(made: bool) -> None:
    with tempfile.TemporaryDirectory() as above:  # not below pytest's folder, which others may not enter
        Path(above).chmod(0o755)
        folder = Path(above) / "data"
        if made:
            folder.mkdir(mode=0o700)
        command = [sys.executable, "-m", "trainshed", "serve", f"--data-dir={folder}", *on_free_ports()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, user=12345, group=0)
        except PermissionError:
            pytest.skip("another user may not enter this checkout")
        there = folder if made else above
    refused(done, 3, str(folder), f"{there} is of user 0", "runs as user 12345")
    assert f"chown -R 12345 {there} " in done.stderr


@pytest.mark.parametrize("name", ["documents.db", "events.db", "cache.db"])
def test_a_corrupt_database(tmp_path: Path, name: str) -> None:
    junk = b"this is not a database " * 1000
    (tmp_path / name).write_bytes(junk)
    refused(serve(f"--data-dir={tmp_path}", *on_free_ports()), 5, str(tmp_path))
    assert (tmp_path / name).read_bytes() == junk


@pytest.mark.parametrize(
    "options",
    [
        ["serve", "--colour"],
        ["serve", "--api-port=0"],
        ["serve", "--api-port=http"],
        ["serve", "--api-port=65536"],
        ["serve", "--only=web,mail"],
        ["serve", "--only="],
        ["serve", "--data"],
        ["sing"],
        ["credentials"],
        ["credentials", "destroy"],
        [],
    ],
    ids=" ".join,
)
def test_unknown_commands_and_options(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(options)
    assert ended.value.code == cli.Exit.USAGE
    assert capsys.readouterr().err.startswith("usage: trainshed")


def test_a_mistake_in_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apiserver.conf").write_text("listen.port: http")
    monkeypatch.setenv("CLEARML_CONFIG_DIR", str(tmp_path))
    done = serve(f"--data-dir={tmp_path / 'data'}")
    refused(done, 2, str(tmp_path / "apiserver.conf"), "apiserver.listen.port", "1 to 65535", '"http"')
    assert not (tmp_path / "data").exists()


def test_credentials_of_a_server_that_never_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["credentials", "create", f"--data-dir={tmp_path}"]) == cli.Exit.MISSING
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# a live server


def test_all_listeners_answer_and_end_when_they_are_told(server: LiveServer) -> None:
    for name in LISTENERS:
        with urllib.request.urlopen(f"{server.url(name)}/health", timeout=10) as reply:
            assert reply.status == 200
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.log()


def test_a_server_is_set_up_by_files_and_variables(tmp_path: Path) -> None:
    (tmp_path / "services.conf").write_text("tasks { multi_task_histogram_limit: 5, non_responsive_watchdog.x: 1 }")
    (tmp_path / "trainshed.conf").write_text("logs.form: json")
    variable = {"CLEARML__SERVICES__TASKS__MULTI_TASK_HISTOGRAM_LIMIT": "1"}
    server = LiveServer(tmp_path / "data", CLEARML_CONFIG_DIR=str(tmp_path), **variable)
    try:
        server.start()
        asked = (server, "events.multi_task_scalar_metrics_iter_histogram", server.authorization())
        with pytest.raises(HTTPError, match="400") as refusal:
            call(*asked, b'{"tasks": ["a", "b"]}')
        assert "at most 1 tasks" in refusal.value.read().decode()
    finally:
        server.stop(signal.SIGKILL)
    (said,) = [json.loads(line) for line in server.log().splitlines() if "no such key" in line]
    assert "services.tasks.non_responsive_watchdog.x" in json.dumps(said), (
        "and it is said in the form that is asked for"
    )


def test_no_thread_takes_the_signal_away_from_the_one_that_waits_for_it(server: LiveServer) -> None:
    threads = [int(thread.name) for thread in Path(f"/proc/{server.pid}/task").iterdir()]
    assert len(threads) > 3
    assert [thread for thread in threads if not blocks(server.pid, thread, signal.SIGTERM)] in ([], [server.pid])


def blocks(process: int, thread: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{process}/task/{thread}/status").read_text()
    (blocked,) = re.findall(r"^SigBlk:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(blocked, 16) >> (number - 1) & 1)


def test_the_first_credentials_are_for_their_owner_alone(server: LiveServer) -> None:
    assert call(server, "users.get_current_user", server.authorization())["user"]["role"] == "admin"
    secrets = server.data / "secrets"
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert server.environment()["CLEARML_API_SECRET_KEY"] not in server.log()


def test_new_credentials_beside_a_running_server(server: LiveServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["credentials", "create", f"--data-dir={server.data}", "--json", "--label=ci"]) == 0
    keys = json.loads(capsys.readouterr().out)
    authorization = basic(keys["access_key"], keys["secret_key"])
    labels = [key["label"] for key in call(server, "auth.get_credentials", authorization)["credentials"]]
    assert labels == ["first start", "ci"]
    assert cli.main(["credentials", "create", f"--data-dir={server.data}", "--host=box"]) == 0
    snippet = capsys.readouterr().out
    assert 'api_server: "http://box:8008"' in snippet
    assert snippet.count("_key") == 2
    assert cli.main(["credentials", "create", f"--data-dir={server.data}", "--json", "--root"]) == 0
    keys = json.loads(capsys.readouterr().out)
    assert call(server, "server.config", basic(keys["access_key"], keys["secret_key"]))["tasks"]
    with pytest.raises(HTTPError, match="403"):
        call(server, "server.config", authorization)


def test_a_restart_keeps_keys_and_tokens(server: LiveServer) -> None:
    keys = server.authorization()
    token = "Bearer " + call(server, "auth.login", keys)["token"]
    assert server.stop() == 0
    server.start()
    assert call(server, "users.get_current_user", token) == call(server, "users.get_current_user", keys)
    assert server.authorization() == keys


def test_what_was_acknowledged_outlives_a_kill(server: LiveServer) -> None:
    keys = server.authorization()
    task = call(server, "tasks.create", keys, b'{"name": "killed", "type": "training"}')["id"]
    sent = 0
    for _ in range(KILLS):
        for _ in range(5):
            event = {"type": "log", "task": task, "msg": f"line {sent}", "timestamp": sent + 1}
            scalar = {"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v", "iter": sent}
            lines = [msgspec.json.encode(event), msgspec.json.encode({**scalar, "value": sent})]
            assert call(server, "events.add_batch", keys, b"\n".join(lines))["added"] == 2
            sent += 1
        server.stop(signal.SIGKILL)
        server.start()
        asked = msgspec.json.encode({"task": task})
        assert call(server, "events.get_task_log", keys, asked)["total"] == sent
        curve = call(server, "events.scalar_metrics_iter_histogram", keys, asked)["m"]["v"]
        assert curve["y"] == [float(n) for n in range(sent)]


def test_a_stop_lets_running_requests_end(server: LiveServer) -> None:
    keys = server.authorization()
    task = call(server, "tasks.create", keys, b'{"name": "busy", "type": "training"}')["id"]
    event = msgspec.json.encode({"type": "log", "task": task, "msg": "line", "timestamp": 1})
    acknowledged: Queue[None] = Queue()

    def report_until_refused() -> str:
        while True:
            try:
                call(server, "events.add_batch", keys, event)
            except HTTPError as error:
                return f"answered {error.code}"
            except OSError:
                return "not answered"
            acknowledged.put(None)

    with ThreadPoolExecutor(8) as pool:
        ends = [pool.submit(report_until_refused) for _ in range(8)]
        for _ in range(50):
            acknowledged.get(timeout=30)
        assert server.stop() == 0
        assert {end.result() for end in ends} <= {"not answered", "answered 503"}
    assert "Traceback" not in server.log()
    server.start()
    total = call(server, "events.get_task_log", keys, msgspec.json.encode({"task": task}))["total"]
    assert total >= 50 + acknowledged.qsize()


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    first = bootstrap.secret(tmp_path, "token")
    assert bootstrap.secret(tmp_path, "token") == first
    assert len(first) >= 32
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == ["token"]
