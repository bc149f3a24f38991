"""A live server: its log of a full run, its figures, and requests that are in flight when it is told to stop."""

import base64
import http.client
import json
import re
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from trainshed.testing.live import LISTENERS, LiveServer

pytestmark = pytest.mark.faults
TASK = {"name": "a task", "type": "training"}


def request(server: LiveServer, listener: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    asked = urllib.request.Request(server.url(listener) + path, body, headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return reply.status, reply.headers["X-Request-Id"]
    except HTTPError as error:
        return error.code, error.headers["X-Request-Id"]


def test_no_secret_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARML__TRAINSHED__LOGS__ACCESS", "true")
    monkeypatch.setenv("CLEARML__LOGGING__ROOT__LEVEL", '"DEBUG"')
    server = LiveServer(tmp_path / "data")
    server.start()
    keys, basic = server.environment(), server.authorization()
    token = server.call("auth.login")["token"]
    made = server.call("auth.create_credentials")["credentials"]
    secrets = [
        keys["CLEARML_API_SECRET_KEY"],
        basic.removeprefix("Basic "),
        token,
        made["secret_key"],
        (server.data / "secrets" / "token").read_text(),
    ]
    wrong = base64.b64encode(b"somebody:my-password").decode()
    for authorization in (f"Basic {wrong}", f"Bearer {token}x", f"Bearer {token}", "Nonsense my-password", basic):
        for listener in LISTENERS:
            request(server, listener, "/v2.31/tasks.get_all?token=my-password", b"{", Authorization=authorization)
    request(server, "api", "/v2.31/tasks.create", b'{"comment": "my-password"', Authorization=basic)
    status, name = request(server, "files", "/folder/a%0Aforged%1B", Authorization=basic)
    assert status in (400, 404)
    server.stop()
    log = server.log()
    assert name in log
    assert "tasks.create" in log  # a line for each request
    for secret in (*secrets, "my-password", wrong):
        assert len(secret) > 8
        assert secret not in log
    assert not any(line.startswith("forged") for line in log.splitlines())  # nor is a line forged


def test_figures_of_a_live_server(server: LiveServer) -> None:
    basic = server.authorization()
    task = server.call("tasks.create", **TASK)["id"]
    events = b"\n".join(
        json.dumps({"type": "training_stats_scalar", "task": task, "metric": "m", "iter": i, "value": i}).encode()
        for i in range(7)
    )
    assert request(server, "api", "/v2.31/events.add_batch", events, Authorization=basic)[0] == 200
    assert request(server, "api", "/metrics")[0] == 401
    assert request(server, "web", "/metrics")[0] != 401  # only the API has them
    asked = urllib.request.Request(f"{server.url('api')}/metrics", headers={"Authorization": basic})
    with urllib.request.urlopen(asked, timeout=30) as reply:
        text = reply.read().decode()
    assert "\ntrainshed_events_total 7\n" in text
    assert 'trainshed_requests_total{listener="api",endpoint="tasks.create",status="200"} 1' in text
    assert re.search(r'\ntrainshed_queue_entries\{queue="default"\} 0\n', text)
    assert re.search(r'\ntrainshed_store_bytes\{store="events.db"\} [1-9]', text)
    assert re.search(r"\ntrainshed_disk_free_bytes [1-9]", text)
    assert 'trainshed_job_last_success_seconds{job="settling"}' in text


def begun(server: LiveServer, listener: str, path: str, body: bytes, **headers: str) -> http.client.HTTPConnection:
    """A request whose last byte is still to be sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.ports[listener], timeout=30)
    connection.putrequest("POST" if listener != "files" else "PUT", path)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[:-1])
    return connection


def test_a_stop_lets_slow_requests_of_every_listener_end(server: LiveServer) -> None:
    basic, body = server.authorization(), json.dumps(TASK).encode()
    slow = {
        "api": begun(server, "api", "/v2.31/tasks.create", body, Authorization=basic),
        "files": begun(server, "files", "/slow/file", b"content", Authorization=basic),
        "web": begun(server, "web", "/api/v2.31/tasks.create", body, Authorization=basic),
    }
    time.sleep(0.3)  # until all three wait for their last byte
    codes: list[int] = []
    stopping = threading.Thread(target=lambda: codes.append(server.stop(signal.SIGTERM)))
    stopping.start()
    while not refuses(server.ports["api"]):
        time.sleep(0.01)
    assert stopping.is_alive()
    for listener, connection in slow.items():
        connection.send((b"content" if listener == "files" else body)[-1:])
        reply = connection.getresponse()
        assert (listener, reply.status) == (listener, 200)
        reply.read()
        connection.close()
    stopping.join()
    assert codes == [0]
    server.start()
    assert len(server.call("tasks.get_all", name="a task")["tasks"]) == 2
    assert request(server, "files", "/slow/file", Authorization=basic)[0] == 200


def refuses(port: int) -> bool:
    """Whether nobody accepts connections there any more."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.settimeout(1)
            return not connection.recv(1) or True
    except OSError:
        return True
