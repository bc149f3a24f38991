"""Clients that are slow, silent, gone or too large: others are answered as ever, in bounded memory and threads."""

import gzip
import http.client
import json
import random
import resource
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

import pytest

from trainshed.testing.live import LiveServer
from trainshed.testing.load import Caller, caller_of
from trainshed.testing.process import status
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
MIB = 2**20
USUAL_SECONDS = 0.5  # some hundred times what a call takes
IDLE, SLOW = 500, 40  # connections; of slow requests one holds a thread, and a listener has 64


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("hostile") / "data")
    live.start()
    yield live
    live.stop(signal.SIGKILL)


@pytest.fixture
def caller(server: LiveServer) -> Iterator[Caller]:
    with closing(caller_of(server)) as made:
        yield made


def resident(server: LiveServer) -> int:
    return status(server.pid, "VmRSS") * 1024


@contextmanager
def many_files() -> Iterator[None]:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


def request(method: str, path: str, caller: Caller, length: int) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: {caller.authorization}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def opened(stack: ExitStack, server: LiveServer, listener: str, sent: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.ports[listener])))
    connection.sendall(sent)
    return connection


def assert_answers_as_ever(server: LiveServer) -> None:
    """New clients on both listeners, the middle of some."""
    taken = []
    for number in range(9):
        begin = time.monotonic()
        with closing(caller_of(server)) as caller:
            caller.call("tasks.get_all_ex", size=10)
            caller.file("PUT", f"/usual{number}", b"x")
            assert caller.file("GET", f"/usual{number}") == b"x"
        taken.append(time.monotonic() - begin)
    assert statistics.median(taken) < USUAL_SECONDS, taken


def test_idle_and_slow_clients(server: LiveServer, caller: Caller) -> None:
    caller.file("PUT", "/large", bytes(64 * MIB))
    before = resident(server)
    with ExitStack() as stack:
        stack.enter_context(many_files())
        for _ in range(IDLE):
            opened(stack, server, "api", b"")
            opened(stack, server, "api", b"POST /v2.31/tasks.get_all HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        slow = [
            opened(stack, server, "api", request("POST", "/v2.31/tasks.get_all", caller, 1000)) for _ in range(SLOW)
        ]
        slow += [opened(stack, server, "files", request("PUT", f"/slow{n}", caller, 1000)) for n in range(SLOW // 2)]
        for _ in range(SLOW // 2):  # they never read
            opened(stack, server, "files", request("GET", "/large", caller, 0))
        for _ in range(3):
            for connection in slow:
                connection.sendall(b" ")
            assert_answers_as_ever(server)
        assert resident(server) - before < 128 * MIB
        assert status(server.pid, "Threads") < 200
    assert_answers_as_ever(server)
    deadline = time.monotonic() + 5
    while list((server.data / "files" / ".trainshed-incoming").iterdir()):
        assert time.monotonic() < deadline, "uploads that ended midway leave files"
        time.sleep(0.05)


def test_clients_that_hang_up_midway(server: LiveServer, caller: Caller) -> None:
    """At any byte of a request, and at any moment of the answer."""
    chance = random.Random(6)
    task = caller.call("tasks.create", name="a task", type="training")["id"]
    body = json.dumps({"task": task, "comment": "x" * 50_000}).encode()
    whole = [
        ("api", request("POST", "/v2.31/tasks.edit", caller, len(body)) + body),
        ("files", request("PUT", "/cut", caller, len(body)) + body),
        ("files", request("GET", "/large", caller, 0)),
    ]
    for _ in range(times(100, soak=5000)):
        listener, sent = chance.choice(whole)
        with ExitStack() as stack:
            cut = chance.choice([len(sent), chance.randrange(len(sent)), chance.randrange(min(300, len(sent)))])
            connection = opened(stack, server, listener, sent[:cut])
            if chance.random() < 0.5:  # a reset instead of an end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            time.sleep(chance.choice([0, 0.002]))
    assert_answers_as_ever(server)
    assert caller.call("tasks.get_by_id", task=task)["task"].get("comment", "") in ("", "x" * 50_000)
    assert "Traceback" not in server.log()


def test_large_bodies_and_bombs(server: LiveServer, caller: Caller) -> None:
    """Each body may take what the limit allows and no more, and it is given back."""
    bomb = gzip.compress(bytes(1024 * MIB), 1)
    large = b'{"name": "' + b"x" * (64 * MIB - 20) + b'"}'
    before = resident(server)

    def send(body: bytes, **headers: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", server.ports["api"], timeout=60)) as connection:
            try:
                connection.request(
                    "POST", "/v2.31/tasks.get_all", body, {"Authorization": caller.authorization, **headers}
                )
                return connection.getresponse().status
            except ConnectionError:  # refused before it was sent whole
                return 413

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(send, bomb, **{"Content-Encoding": "gzip"}) for _ in range(3)]
        answers += [pool.submit(send, large) for _ in range(3)]
        highest = 0
        while not all(answer.done() for answer in answers):
            highest = max(highest, resident(server))
            time.sleep(0.01)
    assert {answer.result() for answer in answers} <= {200, 400, 413}
    # 64 MiB as it came, as one piece and decoded, of each of six.
    assert highest - before < 6 * 3 * 64 * MIB
    assert_answers_as_ever(server)
    assert resident(server) - before < 256 * MIB
    assert "Traceback" not in server.log()
