"""How long a client may keep its request waiting, and how much of a listener one address may hold.

Granian waits for a body to come, and for a reply to be taken, without end, and each waiting request holds a thread. Its
deadline for headers ends endless ones and idle connections; all the rest is here. See docs/adr/007.
"""

import itertools
import logging
import math
import os
import socket
import struct
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from queue import SimpleQueue
from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.transport.envelope import failure

SECONDS = 30.0
THREADS = 768  # of a listener: a request that waits for its client costs a thread and nothing else
# Of a listener, the idle ones too; further ones stay in the backlog. Each takes some 20 KB, so they all have room.
CONNECTIONS = 4096
_AT_WORK = 64  # requests of a listener that do not wait for their clients: more would only fight for the interpreter
_SHARE = 0.75  # of both, for one address: behind a proxy that may be everybody
_REPLIES = 64  # in pieces, that one address gets at once: each holds some 2 MB, those that wait for their turn do not
# A body is taken in pieces, small ones as long as it comes slowly. Each must come in time, so this is the slowest that lives.
_PIECE = 16 * 1024
_LOOKS = 30  # in the time of patience; a piece that comes between two is a quick one

# How the kernel says what a connection did (Linux 4.19): struct tcp_info.
_SILENT_MS, _UNACKED, _ACKED, _UNSENT, _SENT = "=52xI", "=24xI", "=120xQ", "=144xI", "=200xQQ"
_ADDED = ("server: granian", "date: Sat, 21 Nov 2026 15:24:07 GMT")  # headers that Granian puts to an answer
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: what was not taken is thrown away

_Who = tuple[int, str]  # the port of a listener, and the address of a client
_Turns = SimpleQueue[None]  # to work, free ones; it costs a tenth of a semaphore
_Run = Callable[[Any, dict[str, Any]], Any]  # Granian's: protocol and scope of a request
_log = logging.getLogger(__name__)


@contextmanager
def _own_turn(turns: _Turns) -> Iterator[None]:
    turns.get()
    try:
        yield
    finally:
        turns.put(None)


@contextmanager
def _others_turn(turns: _Turns) -> Iterator[None]:
    """While this request waits for its client."""
    turns.put(None)
    try:
        yield
    finally:
        turns.get()


class _Body:
    """wsgi.input with a deadline for each piece."""

    __slots__ = ("_deadlines", "_left", "_piece", "_seconds", "_stream", "_turns", "method", "protocol", "who")

    def __init__(self, watch: "Watch", turns: _Turns, who: _Who, protocol: Any, scope: dict[str, Any]) -> None:
        self._deadlines = watch.deadlines
        self._turns = turns
        self._left = math.inf if "HTTP_TRANSFER_ENCODING" in scope else int(scope.get("CONTENT_LENGTH") or 0)
        self._seconds = watch.seconds
        self._piece = _PIECE
        self._stream = scope["wsgi.input"]
        self.method: str = scope["REQUEST_METHOD"]
        self.protocol = protocol
        self.who = who

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end. Raises ApiError TOO_SLOW, when the client has its answer already."""
        if not self._left:
            return b""
        began = time.monotonic()
        self._deadlines[self] = began + self._seconds
        with _others_turn(self._turns):
            piece: bytes = self._stream.read(min(size, self._piece))
        if self._deadlines.pop(self, None) is None:
            raise ApiError(Fault.TOO_SLOW)
        self._left -= len(piece)
        self._piece = self._piece * 2 if time.monotonic() - began < self._seconds / _LOOKS else _PIECE
        return piece


class _Client:
    """The requests of an address that run, and the turns of its replies in pieces."""

    def __init__(self) -> None:
        self.requests = 0
        self.replies = threading.Semaphore(_REPLIES)


class _Protocol:
    """Granian's, by which a request is answered."""

    __slots__ = ("_replies", "_turns", "_wrapped", "response_bytes")

    def __init__(self, wrapped: Any, turns: _Turns, replies: threading.Semaphore) -> None:
        self._wrapped = wrapped
        self._turns = turns
        self._replies = replies
        self.response_bytes = wrapped.response_bytes

    def response_iter(self, status: int, headers: list[tuple[str, str]], pieces: Any) -> None:
        with _others_turn(self._turns), self._replies:
            self._wrapped.response_iter(status, headers, pieces)


@dataclass(frozen=True)
class _Sight:
    """What was seen of a connection: bytes sent and acknowledged, the seconds since it sent any, and those of patience left."""

    sent: int
    acked: int
    still: float
    patience: float


class Watch:
    """Sees to it that the requests of some listeners do not wait for their clients for ever, from start() to stop().

    seconds: how long a client may let its request wait. It ends a body that does not come on any system, a client that holds
    on to its connection even then, or does not take its reply, on Linux only.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._most_requests = int(THREADS * _SHARE)
        self._most_connections = int(CONNECTIONS * _SHARE)
        self.deadlines: dict[_Body, float] = {}
        self._clients: dict[_Who, _Client] = {}
        self._lock = threading.Lock()
        self._ports: set[int] = set()
        self._paddings = itertools.cycle(range(4 * THREADS))
        self._marks: dict[tuple[tuple[int, str], int], float] = {}  # whose, length of an answer -> known until
        self._sights: dict[tuple[int, Any], _Sight] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="patience", daemon=True)

    def guard(self, port: int, run: _Run) -> _Run:
        """The handler of a listener's requests, with a limit of patience and of requests of one address."""
        self._ports.add(port)
        turns: _Turns = SimpleQueue()
        for _ in range(_AT_WORK):
            turns.put(None)

        def guarded(protocol: Any, scope: dict[str, Any]) -> Any:
            who = port, scope["REMOTE_ADDR"]
            with self._lock:
                client = self._clients.setdefault(who, _Client())
                client.requests += 1
                many = client.requests > self._most_requests
            try:
                if many:
                    return _refuse(protocol, Fault.TOO_MANY_REQUESTS, scope["REQUEST_METHOD"])
                scope["wsgi.input"] = _Body(self, turns, who, protocol, scope)
                with _own_turn(turns):
                    return run(_Protocol(protocol, turns, client.replies), scope)
            finally:
                with self._lock:
                    client.requests -= 1
                    if not client.requests:
                        del self._clients[who]

        return guarded

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        looked = time.monotonic()
        while not self._stopping.wait(self.seconds / _LOOKS):
            now = time.monotonic()
            self._look(now - looked)
            self._answer_late_bodies(now)
            looked = now

    def _answer_late_bodies(self, now: float) -> None:
        """Tell their clients. Who does not hang up then is known at the next look by the length of this very answer.

        A request does not say which connection it came by, and nothing but the end of that wakes the thread that reads.
        """
        self._marks = {mark: until for mark, until in self._marks.items() if now < until}
        for body, deadline in self.deadlines.copy().items():
            if deadline < now and self.deadlines.pop(body, None) is not None:
                _log.warning("a request of %s was given up: its body does not come", body.who[1])
                length = _refuse(body.protocol, Fault.TOO_SLOW, body.method, padding=next(self._paddings))
                self._marks[body.who, length] = now + self.seconds

    def _look(self, seconds: float) -> None:
        """At every connection, so many seconds after the look before."""
        before, self._sights = self._sights, {}
        silent: dict[_Who, list[tuple[int, int]]] = defaultdict(list)
        for number in _open_files():
            with suppress(OSError), _borrowed(number) as connection:  # most are no connections, and one may just end
                peer, here = connection.getpeername(), connection.getsockname()
                if not isinstance(peer, tuple) or here[1] not in self._ports:
                    continue
                who, key = (here[1], peer[0].partition("%")[0]), (number, peer)
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                sight = self._sight(info, before.get(key, _Sight(0, 0, 0, self.seconds)), seconds)
                if not self._is_given_up(who, before.get(key), sight):
                    self._sights[key] = sight
                    silent[who].append((*struct.unpack_from(_SILENT_MS, info), number))
                else:
                    _cut(connection)
        for who, its in silent.items():
            self._end_too_many(who, its)

    def _is_given_up(self, who: _Who, before: _Sight | None, sight: _Sight) -> bool:
        if sight.patience <= 0:
            _log.warning("a reply to %s was given up: it is not taken", who[1])
            return True
        # Others may have an answer of this length by chance, but not just after such a silence.
        return (
            before is not None
            and before.still > self.seconds / 2
            and self._marks.pop((who, sight.sent - before.sent), None) is not None
        )

    def _end_too_many(self, who: _Who, its: list[tuple[int, int]]) -> None:
        """its: each connection's milliseconds of silence, and its file number."""
        excess = len(its) - self._most_connections
        if excess > 0:
            _log.warning("%s has %d connections: those that were silent longest are ended", who[1], len(its))
            for _, number in sorted(its, reverse=True)[:excess]:
                with suppress(OSError), _borrowed(number) as connection:
                    if connection.getpeername()[0].partition("%")[0] == who[1]:
                        _cut(connection)

    def _sight(self, info: bytes, before: _Sight, seconds: float) -> _Sight:
        sent, again = struct.unpack_from(_SENT, info)
        (acked,) = struct.unpack_from(_ACKED, info)
        still = before.still + seconds if sent - again == before.sent else 0.0
        patience = self.seconds
        if any(struct.unpack_from(_UNACKED, info) + struct.unpack_from(_UNSENT, info)):
            patience = min(before.patience - seconds + (acked - before.acked) * self.seconds / _PIECE, self.seconds)
        return _Sight(sent - again, acked, still, patience)


def _open_files() -> Iterator[int]:
    return map(int, os.listdir("/proc/self/fd") if sys.platform == "linux" else ())  # noqa: PTH208 - thousands of paths


@contextmanager
def _borrowed(number: int) -> Iterator[socket.socket]:
    """The socket with this file number, which stays open.

    Never a copy: where the number is by now a database's, closing a copy of it would give up the locks of SQLite.
    """
    connection = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=number)
    try:
        yield connection
    finally:
        connection.detach()


def _cut(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.shutdown(socket.SHUT_RDWR)


def _refuse(protocol: Any, fault: Fault, method: str, *, padding: int = 0) -> int:
    """Answer a request with the error. Returns the length of the answer on the wire."""
    reply = failure(ApiError(fault))
    body = reply.get_data()
    headers = [
        ("content-type", str(reply.content_type)),
        ("content-length", str(len(body))),
        ("connection", "close"),
        ("x-padding", "-" * padding),
    ]
    protocol.response_bytes(fault.code, headers, body)
    lines = [f"HTTP/1.1 {fault.code} {HTTPStatus(fault.code).phrase}", *map(": ".join, headers), *_ADDED, ""]
    return sum(len(line) + 2 for line in lines) + (0 if method == "HEAD" else len(body))
