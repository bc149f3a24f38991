"""The file server behind the real listener: memory, broken connections, raw paths."""

import hashlib
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from trainshed.testing.files_server import HEADERS, FilesServer, files_server

_MIB = 1024 * 1024
_BIG = 128 * _MIB
_FLAT = 16 * _MIB
_FORM = "multipart/form-data; boundary=bnd"
_HEAD = b'--bnd\r\nContent-Disposition: form-data; name="/form"; filename="x"\r\n\r\n'
_TAIL = b"\r\n--bnd--\r\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("live") / "files"


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[FilesServer]:
    with files_server(root) as server:
        yield server


@contextmanager
def connected(server: FilesServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        yield connection


def call(server: FilesServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with connected(server) as connection:
        connection.request(method, path, body, HEADERS | named)
        response = connection.getresponse()
        return response.status, response.read()


def big() -> Iterator[bytes]:
    """128 MiB, a kilobyte of which looks like a boundary in each piece."""
    piece = (b"\r\n--bn" * 200 + bytes(range(256)) * 5000)[:_MIB].ljust(_MIB, b"\r")
    for _ in range(_BIG // _MIB):
        yield piece


def digest_of_download(server: FilesServer, path: str) -> str:
    digest = hashlib.sha256()
    with connected(server) as connection:
        connection.request("GET", path, headers=HEADERS)
        response = connection.getresponse()
        while piece := response.read(_MIB):
            digest.update(piece)
    return digest.hexdigest()


def test_memory_does_not_grow_with_the_file(server: FilesServer, root: Path) -> None:
    expected = hashlib.sha256()
    for piece in big():
        expected.update(piece)
    call(server, "PUT", "/small", b"x")
    before = server.peak_bytes()

    def form() -> Iterator[bytes]:
        yield _HEAD
        yield from big()
        yield _TAIL

    length = str(len(_HEAD) + _BIG + len(_TAIL))
    assert call(server, "POST", "/", form(), Content_Type=_FORM, Content_Length=length) == (200, b'["form"]')
    assert call(server, "PUT", "/put", big(), Content_Length=str(_BIG))[0] == 200
    for path in ("/form", "/put"):
        assert digest_of_download(server, path) == expected.hexdigest()
    assert server.peak_bytes() - before < _FLAT
    for path in ("/form", "/put"):
        call(server, "DELETE", path)


def test_a_form_in_chunks(server: FilesServer) -> None:
    assert call(server, "POST", "/", iter([_HEAD, b"content", _TAIL]), Content_Type=_FORM) == (200, b'["form"]')
    assert call(server, "GET", "/form") == (200, b"content")


def test_a_broken_connection_leaves_nothing(server: FilesServer, root: Path) -> None:
    call(server, "PUT", "/kept", b"before")
    body = _HEAD.replace(b"/form", b"/kept") + b"x" * _MIB
    for head in (
        b"PUT /kept HTTP/1.1\r\nContent-Length: 5000000\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5000000\r\nContent-Type: multipart/form-data; boundary=bnd\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(
                head + b"Host: x\r\nAuthorization: " + HEADERS["Authorization"].encode() + b"\r\n\r\n" + body
            )
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100).startswith((b"HTTP/1.1 400 ", b""))
    assert call(server, "GET", "/kept") == (200, b"before")
    assert list((root / ".trainshed-incoming").iterdir()) == []


def test_a_refused_upload_is_answered_before_it_is_sent_whole(server: FilesServer) -> None:
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\nAuthorization: Bearer wrong\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + b"x" * 1000)
        assert connection.recv(1000).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/a/..%2f..%2fsecret",
        "//../secret",
        "/..%5csecret",
        "/%c0%ae%c0%ae/secret",
        "/%00",
        "/%ff",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_raw_paths(server: FilesServer, root: Path, method: str, path: str) -> None:
    secret = root.parent / "secret"
    secret.write_text("secret")
    assert call(server, method, path, b"x")[0] == 400
    assert secret.read_text() == "secret"


def test_a_link_is_unquoted_once(server: FilesServer, root: Path) -> None:
    assert call(server, "PUT", "/caf%25C3%25A9/%252e%252e", b"x") == (200, b'["caf%C3%A9/%2e%2e"]')
    assert (root / "caf%C3%A9/%2e%2e").read_bytes() == b"x"
    assert call(server, "GET", "/caf%25C3%25A9/%252e%252e") == (200, b"x")


def test_head_has_the_length(server: FilesServer) -> None:
    call(server, "PUT", "/sized", b"12345")
    with connected(server) as connection:
        for _ in range(2):  # on one connection
            connection.request("HEAD", "/sized", headers=HEADERS)
            response = connection.getresponse()
            assert (response.status, response.headers["Content-Length"], response.read()) == (200, "5", b"")
