"""Clients that are slow, silent, gone or too large: others are answered as ever, in bounded memory and threads."""

import gzip
import http.client
import json
import random
import resource
import select
import signal
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from trainshed.testing.live import LiveServer
from trainshed.testing.load import Caller, caller_of
from trainshed.testing.process import status
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
MIB = 2**20
USUAL_SECONDS, LONGEST_SECONDS = 1.0, 5.0  # for four calls, on a machine that has other work
PATIENCE = 3  # seconds


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("hostile") / "data", f"--patience={PATIENCE}")
    live.start()
    yield live
    live.stop(signal.SIGKILL)


@pytest.fixture
def caller(server: LiveServer) -> Iterator[Caller]:
    with closing(caller_of(server)) as made:
        yield made


def resident(server: LiveServer) -> int:
    """Without what it sees of files, which the machine can take back."""
    return status(server.pid, "RssAnon") * 1024


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
        "Host: 127.0.0.1",
        f"Authorization: {caller.authorization}",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def opened(stack: ExitStack, server: LiveServer, listener: str, sent: bytes) -> socket.socket:
    connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.ports[listener])))
    connection.sendall(sent)
    return connection


def assert_answers_as_ever(server: LiveServer) -> None:
    """New clients of another address on both listeners, the middle of some, and the slowest."""
    taken = []
    for number in range(9):
        begin = time.monotonic()
        with closing(caller_of(server, source="127.0.0.2")) as caller:
            caller.call("tasks.get_all_ex", size=10)
            caller.file("PUT", f"/usual{number}", b"x")
            assert caller.file("GET", f"/usual{number}") == b"x"
        taken.append(time.monotonic() - begin)
    assert statistics.median(taken) < USUAL_SECONDS, taken
    assert max(taken) < LONGEST_SECONDS, taken


def ended(connections: list[socket.socket]) -> list[bool]:
    """Which ones the server ended; nothing is read from them."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLRDHUP)
    over = {number for number, _ in poll.poll(0)}
    return [connection.fileno() in over for connection in connections]


def test_slow_clients(server: LiveServer, caller: Caller) -> None:
    """Hundreds of one address, slow in every way: they are given up in time, and until then other addresses notice nothing."""
    task = caller.call("tasks.create", name="large", type="training", comment="x" * 16 * MIB)["id"]
    caller.file("PUT", "/large", bytes(64 * MIB))
    chunked = request("POST", "/", caller, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    kinds = {
        "nothing at all": (500, "api", b""),
        "headers without end": (100, "api", b"POST /v2.31/tasks.get_all HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "),
        "a body that never comes": (400, "api", request("POST", "/v2.31/tasks.get_all", caller, 1000)),
        "one that trickles": (100, "api", request("POST", "/v2.31/tasks.get_all", caller, 1000)),
        "one of a HEAD": (5, "api", request("HEAD", "/v2.31/tasks.get_all", caller, 1000)),
        "an upload that trickles": (100, "files", request("PUT", "/slow", caller, 1000)),
        "one in chunks that never come": (5, "files", chunked),
        "a file that is not read": (50, "files", request("GET", "/large", caller, 0)),
        "an answer that is not read": (5, "api", request("GET", f"/v2.31/tasks.get_by_id?task={task}", caller, 0)),
    }
    before = resident(server)
    with ExitStack() as stack:
        stack.enter_context(many_files())
        slow = {
            name: [opened(stack, server, listener, sent) for _ in range(count)]
            for name, (count, listener, sent) in kinds.items()
        }
        deadline = time.monotonic() + 3 * PATIENCE
        left = {name for name, connections in slow.items() if not any(ended(connections))}
        assert left == set(slow), "some are ended at once"
        while left:
            for name in left - {"a body that never comes", "nothing at all"}:
                for connection in slow[name]:
                    with suppress(ConnectionError):
                        connection.sendall(b"x" if "trickles" in name or "headers" in name else b"")
            assert_answers_as_ever(server)
            assert resident(server) - before < 384 * MIB
            assert time.monotonic() < deadline, left
            left = {name for name, connections in slow.items() if not all(ended(connections))}
    deadline = time.monotonic() + 5
    while list((server.data / "files" / ".trainshed-incoming").iterdir()):
        assert time.monotonic() < deadline, "uploads that ended midway leave files"
        time.sleep(0.05)
    assert "Traceback" not in server.log()


def test_a_slow_upload_lives(server: LiveServer, caller: Caller) -> None:
    """As long as it goes on, however long it takes."""
    body = random.Random(7).randbytes(80_000)
    with ExitStack() as stack:
        connection = opened(stack, server, "files", request("PUT", "/steady", caller, len(body)))
        for start in range(0, len(body), 2000):
            connection.sendall(body[start : start + 2000])
            time.sleep(1.3 * PATIENCE / 40)
        assert connection.recv(12) == b"HTTP/1.1 200"
    with closing(caller_of(server)) as another:
        assert another.file("GET", "/steady") == body


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
    with closing(caller_of(server)) as another:  # the first one was idle for too long
        assert another.call("tasks.get_by_id", task=task)["task"].get("comment", "") in ("", "x" * 50_000)
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


def test_many_large_bodies_at_once(tmp_path: Path) -> None:
    """What does not fit beside the others is told to try again, and they keep their place."""
    size = 40 * MIB
    server = LiveServer(tmp_path / "data")  # with all its patience: a busy machine sends slowly
    server.start()
    before = resident(server)
    with ExitStack() as stack:
        stack.callback(server.stop, signal.SIGKILL)
        head = request("POST", "/v2.31/tasks.get_all", stack.enter_context(closing(caller_of(server))), size)
        connections = [opened(stack, server, "api", head) for _ in range(16)]

        def fill(connection: socket.socket) -> bytes:
            with suppress(ConnectionError):
                connection.sendall(b"x" * (size - 1))
            return connection.recv(4096) if select.select([connection], [], [], PATIENCE)[0] else b""

        with ThreadPoolExecutor(len(connections)) as pool:
            answers = list(pool.map(fill, connections))
        assert resident(server) - before < 640 * MIB
        refused = [answer for answer in answers if answer]
        assert 3 <= len(refused) <= 8, refused  # 12 of them have room
        assert all(answer.startswith(b"HTTP/1.1 429") and b"retry-after: 2" in answer.lower() for answer in refused)
        assert_answers_as_ever(server)
    assert "Traceback" not in server.log()
