"""What containers are asked: `trainshed-health` against a real server, and against things that are none."""

import socket
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from trainshed import health
from trainshed.testing.live import LiveServer, wait_until


@pytest.mark.parametrize(("scheme", "tls"), [("http", "false"), ("https", "true")])
def test_a_server_is_healthy_from_when_it_answers_until_it_stops(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scheme: str, tls: str
) -> None:
    ready = tmp_path / "ready"
    server = LiveServer(
        tmp_path / "data",
        scheme=scheme,
        CLEARML__TRAINSHED__READY_FILE=str(ready),
        CLEARML__TRAINSHED__TLS__OWN=tls,
    )
    assert health.main([str(ready)]) == 1
    assert "not ready" in capsys.readouterr().out
    server.start()
    try:
        wait_until(ready.exists)
        assert health.main([str(ready)]) == 0, capsys.readouterr()
        said = capsys.readouterr().out
        assert all(f"{scheme}://127.0.0.1:{port}" in said for port in server.ports.values())
    finally:
        server.stop()
    assert not ready.exists()


def test_a_file_that_cannot_be_written_is_told_of_and_the_server_runs(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data", CLEARML__TRAINSHED__READY_FILE=str(tmp_path / "nowhere" / "ready"))
    server.start()
    try:
        wait_until(lambda: "ready_file" in server.log())
    finally:
        assert server.stop() == 0


def one_reply(listening: socket.socket, reply: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(reply)


@pytest.mark.parametrize("reply", [b"HTTP/1.1 500 Oh no\r\n\r\n", b"220 mail\r\n", b""])
def test_another_answer_is_not_healthy(tmp_path: Path, reply: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        threading.Thread(target=one_reply, args=(listening, reply)).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        (tmp_path / "ready").write_text(f"{address}\n")
        assert health.main([str(tmp_path / "ready")]) == 1
    assert f"{address}: it answered" in capsys.readouterr().out


def test_nobody_who_answers_is_not_healthy(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    (tmp_path / "ready").write_text(f"http://127.0.0.1:{port}\n")
    assert health.main([str(tmp_path / "ready")]) == 1
    (tmp_path / "ready").write_text("")
    assert health.main([str(tmp_path / "ready")]) == 1
    assert health.main([]) == 1


def test_it_imports_nothing_of_the_server() -> None:
    program = "import sys, trainshed.health; print([name for name in sys.modules if name.startswith('trainshed')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['trainshed', 'trainshed.health']"
