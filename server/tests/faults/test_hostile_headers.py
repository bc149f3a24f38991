"""Requests that lie about where they come from and where they go, byte by byte: nobody else hears of it."""

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.testing.live import LISTENERS, LiveServer, free_ports

pytestmark = pytest.mark.faults

EVIL = "evil.example"
SPLIT = "/%0d%0aX-Evil:%201%0d%0a%0d%0a<script>"


@pytest.fixture(scope="module")
def redirect_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, redirect_port: int) -> Iterator[LiveServer]:
    live = LiveServer(
        tmp_path_factory.mktemp("headers") / "data",
        scheme="https",
        CLEARML__TRAINSHED__TLS__OWN="true",
        CLEARML__TRAINSHED__TLS__REDIRECT_PORT=str(redirect_port),
    )
    live.start()
    yield live
    assert live.stop() == 0
    assert "Traceback" not in live.log()
    assert "X-Evil: 1" not in live.log().splitlines()


def say(port: int, *lines: str, trusted: Path | None = None) -> tuple[int, list[str], str]:
    """Status, lines of the head, and body of the reply to a request of these lines."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    if trusted is not None:
        plain = ssl.create_default_context(cafile=str(trusted)).wrap_socket(plain, server_hostname="localhost")
    with plain as connection:
        connection.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode("latin-1"))
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = reply.decode("latin-1").partition("\r\n\r\n")
    status, *headers = head.split("\r\n")
    return int(status.split()[1]), headers, body


def ask(server: LiveServer, listener: str, *lines: str) -> tuple[int, list[str], str]:
    return say(server.ports[listener], *lines, trusted=server.data / "tls" / "certificate.pem")


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("path", ["/", "/v2.31/login.supported_modes", "/a", "/api/v2.31/x.y", "/files/a"])
def test_a_name_that_somebody_made_for_this_machine(server: LiveServer, listener: str, path: str) -> None:
    for host in (EVIL, f"{EVIL}:{server.ports[listener]}", f"127.0.0.1.{EVIL}", "0.0.0.0"):
        status, _, body = ask(server, listener, f"GET {path} HTTP/1.1", f"Host: {host}")
        assert status == 400
        assert json.loads(body)["meta"]["result_subcode"] == 5
    assert ask(server, listener, "GET /health HTTP/1.1", f"Host: {EVIL}")[0] == 200


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize(
    "lines",
    [
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"Host: {EVIL}"),
        ("GET /configuration.json HTTP/1.1", f"Host: {EVIL}", "Host: localhost"),
        (f"GET http://{EVIL}/configuration.json HTTP/1.1", "Host: localhost"),
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"X-Forwarded-Host: {EVIL}"),
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"X_Forwarded_Host: {EVIL}"),
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"X-Forwarded-Prefix: //{EVIL}"),
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"Forwarded: host={EVIL}"),
        ("GET /configuration.json HTTP/1.1", "Host: localhost", f"X-Original-URL: https://{EVIL}/"),
    ],
)
def test_a_lie_about_the_name_is_not_passed_on(server: LiveServer, listener: str, lines: tuple[str, ...]) -> None:
    status, headers, body = ask(server, listener, *lines)
    assert status == 400 or EVIL not in body + "".join(headers)


@pytest.mark.parametrize("listener", LISTENERS)
@pytest.mark.parametrize("path", [SPLIT, f"/api{SPLIT}", f"/files{SPLIT}", "/a?x=%0d%0aX-Evil:%201"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
def test_a_header_is_not_written_by_a_path(server: LiveServer, listener: str, path: str, method: str) -> None:
    status, headers, _ = ask(server, listener, f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 0")
    assert status in (200, 400, 401, 404, 405)
    assert not [line for line in headers if line.lower().startswith("x-evil")]


def test_the_way_from_http_leads_to_this_server_alone(server: LiveServer, redirect_port: int) -> None:
    own = f"https://localhost:{server.ports['web']}/"
    for path in ("/a?b=c", f"//{EVIL}/", "/\\" + EVIL, f"/@{EVIL}", f"http://{EVIL}/", SPLIT):
        status, headers, _ = say(redirect_port, f"GET {path} HTTP/1.1", "Host: localhost")
        led = [line.partition(": ")[2] for line in headers if line.lower().startswith("location")]
        assert (status == 308 and led[0].startswith(own)) or (status == 400 and not led), path
        assert not [line for line in headers if line.lower().startswith("x-evil")]
    _, headers, _ = say(redirect_port, "GET /a?b=c HTTP/1.1", "Host: localhost")
    assert f"location: {own}a?b=c" in headers
    assert say(redirect_port, "GET / HTTP/1.1", f"Host: {EVIL}")[0] == 400
    assert say(redirect_port, "GET / HTTP/1.1", f"Host: localhost@{EVIL}")[0] == 400
