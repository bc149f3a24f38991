"""Bytes that no client of ours sends: each is refused or taken in bounded time and memory, and the next caller is served."""

import gzip
import json
import socket
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache

import pytest

from trainshed.testing.fuzzed import FuzzedServer
from trainshed.transport.body import MAX_BODY

pytestmark = pytest.mark.fuzz
SECONDS = 100.0  # that a reply may take on a busy machine: what takes longer hangs
WORK = 15.0  # seconds of processor that a test may cost the server, of bodies of 64 MB
GROWTH = 6 * MAX_BODY  # bytes of memory that one request may cost: what came, unpacked, decoded, and copied on its way
MB = 1024 * 1024


@pytest.fixture(autouse=True)
def bounded(server: FuzzedServer) -> Iterator[None]:
    """Each test costs little work and memory, and leaves a server that answers."""
    before, begin = server.peak_memory(), server.work()
    yield
    assert server.work() - begin < WORK
    assert server.peak_memory() < max(before, 150 * MB) + GROWTH
    assert server.api.call("debug.ping")


def post(
    server: FuzzedServer, name: str, body: bytes | Iterable[bytes], **headers: str
) -> tuple[int, tuple[int, int] | None]:
    """HTTP status and (code, subcode), None when the reply is not the API's; (0, None) when there was none."""
    lines = {"Host": "localhost", "Authorization": server.api.authorization, "Connection": "close"}
    lines |= {key.replace("_", "-"): value for key, value in headers.items()}
    pieces = [body] if isinstance(body, bytes) else body
    if isinstance(body, bytes):
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
    with socket.create_connection(("127.0.0.1", server.live.ports["api"]), SECONDS) as connection:
        with suppress(OSError):  # it may have answered before the end
            connection.sendall(f"POST /v2.31/{name} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
            for piece in pieces:
                connection.sendall(piece)
        return _reply(connection)


def _reply(connection: socket.socket) -> tuple[int, tuple[int, int] | None]:
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    try:
        meta = json.loads(body)["meta"]
    except ValueError:
        return status, None
    assert status == meta["result_code"]
    assert b"Traceback" not in body
    return status, (meta["result_code"], meta["result_subcode"])


@cache
def bomb() -> bytes:
    """A quarter of a megabyte that unpacks to a thousand times as much."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b"\n" * MB) for _ in range(256)) + packer.flush()


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "x" * 5000])
def test_an_encoding_that_it_does_not_know(server: FuzzedServer, encoding: str) -> None:
    assert post(server, "debug.ping", b"{}", Content_Encoding=encoding)[1] == (400, 5)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize(
    "body", [b"{}", gzip.compress(b"{}")[:-4], zlib.compress(b"{}")[:-1], b"\x1f\x8b", b"\0" * 1000, b"x\x9c"]
)
def test_a_packed_body_that_is_not_whole(server: FuzzedServer, encoding: str, body: bytes) -> None:
    assert post(server, "debug.ping", body, Content_Encoding=encoding)[1] == (400, 0)


@pytest.mark.parametrize("name", ["debug.ping", "events.add_batch", "tasks.create"])
def test_a_bomb(server: FuzzedServer, name: str) -> None:
    assert len(bomb()) < MB // 2
    assert post(server, name, bomb(), Content_Encoding="gzip")[1] == (413, 0)


@pytest.mark.parametrize(
    ("body", "pair"),
    [
        (b"[" * 100_000, (400, 0)),
        (b'{"a":' * 100_000, (400, 0)),
        (b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}", (400, 0)),
        (b'{"a":' * 500 + b"1" + b"}" * 500, (400, 12)),
        (b'{"name": NaN}', (400, 0)),
        (b'{"name": -Infinity}', (400, 0)),
        (b'{"name": 1e999}', (400, 0)),
        (b'{"name": ' + b"9" * 100_000 + b"}", (400, 0)),
        (b'{"name": "\xff\xfe"}', (400, 0)),
        (b'{"name": "\\ud800"}', (400, 0)),
        (b"\xef\xbb\xbf{}", (400, 0)),
        ('{"name": "x"}'.encode("utf-16"), (400, 0)),
        (b"{} {}", (400, 0)),
        (b"{'name': 1}", (400, 0)),
        (b"null", (400, 12)),
        (b"[]", (400, 12)),
        (b'"text"', (400, 12)),
        (b"\0" * 1000, (400, 0)),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_a_body_that_is_no_arguments(server: FuzzedServer, body: bytes, pair: tuple[int, int]) -> None:
    assert post(server, "tasks.create", body)[1] == pair


def test_the_last_of_two_equal_keys_counts(server: FuzzedServer) -> None:
    status, _ = post(server, "tasks.create", b'{"name": 1, "name": "twice", "type": "training", "type": "testing"}')
    assert status == 200
    assert server.api.call("tasks.get_all", name="^twice$")["tasks"][0]["type"] == "testing"


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "application/xml", "x" * 8000, "\xff/\xff"])
def test_the_content_type_does_not_matter(server: FuzzedServer, kind: str) -> None:
    assert post(server, "debug.ping", b"{}", Content_Type=kind)[0] == 200


@pytest.mark.parametrize("name", ["tasks.create", "projects.create", "queues.create", "models.create"])
@pytest.mark.parametrize("character", ["x", "/", "\0", "é", "\u202e", "("], ids=ascii)
def test_a_name_of_ten_megabytes(server: FuzzedServer, name: str, character: str) -> None:
    body = {"name": character * (10 * MB // len(character.encode())), "type": "training", "uri": "file:///m"}
    status, _ = post(server, name, json.dumps(body, ensure_ascii=False).encode())
    assert status == 400


@pytest.mark.parametrize("name", ["tasks.get_all_ex", "projects.get_all_ex", "queues.get_all_ex", "models.get_all_ex"])
@pytest.mark.parametrize(
    "pattern",
    ["(" * 10_000, "(a*)*" * 2_000, "(a*)*" * 200, "(x+x+)+y", "x{1000}{1000}", "[" * MB, "a|" * MB, "\\" * 9],
)
def test_a_pattern_built_to_explode(server: FuzzedServer, name: str, pattern: str) -> None:
    assert server.api.error(name, name=pattern)[0] in (200, 400)


@pytest.mark.parametrize("name", ["tasks.get_all_ex", "organization.get_tags", "projects.get_task_tags"])
def test_a_million_ids(server: FuzzedServer, name: str) -> None:
    many = [str(number) for number in range(1_000_000)]
    for field in ("id", "projects", "tags", "only_fields"):
        assert post(server, name, json.dumps({field: many}).encode())[0] in (200, 400)


def test_millions_of_lines_that_are_no_events(server: FuzzedServer) -> None:
    assert post(server, "events.add_batch", b"{}\n" * 200_000)[1] == (400, 131)
    assert post(server, "events.add_batch", b"{}\n" * 20_000_000)[1] == (413, 0)


def test_a_head_of_megabytes(server: FuzzedServer) -> None:
    status, pair = post(server, "debug.ping", b"{}", X_Long="x" * (4 * MB))
    assert status in (0, 400, 431)
    assert pair is None


def test_ten_thousand_heads(server: FuzzedServer) -> None:
    headers = {f"X-{number}": "x" for number in range(10_000)}
    assert post(server, "debug.ping", b"{}", **headers)[0] in (0, 400, 431)


@pytest.mark.parametrize("value", ["Bearer " + "x" * 60_000, "Basic " + "A" * 60_000, "Basic /w==", "Bearer \xff", ":"])
def test_a_login_of_nonsense(server: FuzzedServer, value: str) -> None:
    assert post(server, "users.get_current_user", b"{}", Authorization=value)[0] == 401


def test_chunks_without_end(server: FuzzedServer) -> None:
    piece = b"100000\r\n" + b" " * MB + b"\r\n"
    endless = (piece for _ in range(1024))  # a gigabyte
    assert post(server, "debug.ping", endless, Transfer_Encoding="chunked")[1] in ((413, 0), None)


def test_a_body_that_is_cut(server: FuzzedServer) -> None:
    with socket.create_connection(("127.0.0.1", server.live.ports["api"]), SECONDS) as connection:
        connection.sendall(b"POST /v2.31/debug.ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        assert _reply(connection) in ((400, (400, 0)), (0, None))


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"zz\r\n{}\r\n", b"f" * 20 + b"\r\n", b"2\r\n{}X\r\n0\r\n\r\n", b"\0"])
def test_chunks_that_are_none(server: FuzzedServer, chunk: bytes) -> None:
    assert post(server, "debug.ping", [chunk], Transfer_Encoding="chunked")[0] < 500


@pytest.mark.parametrize(
    "line",
    [
        b"\0\0\0\0",
        b"GET",
        b"GET / HTTP/9.9",
        b"GET  HTTP/1.1",
        b"\xff\xfe /v2.31/debug.ping HTTP/1.1",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1",
        b"GET /%00%ff%fe HTTP/1.1",
        b"GET /v2.31/../../etc/passwd HTTP/1.1",
        b"GET /v99999999999999999999.1/debug.ping HTTP/1.1",
        b"GET /v2.31/debug.ping?" + b"a=1&" * 10_000 + b" HTTP/1.1",
        b"PRI * HTTP/2.0",
    ],
    ids=lambda line: repr(line[:30]),
)
def test_a_first_line_of_nonsense(server: FuzzedServer, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.live.ports["api"]), SECONDS) as connection:
        connection.sendall(line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert _reply(connection)[0] < 500
