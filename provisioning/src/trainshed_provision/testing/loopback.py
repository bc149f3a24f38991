"""A small HTTP server on this machine in a thread: the floor under a stand-in for a cloud.

It takes one request at a time, so that a stand-in needs no locks of its own, except for the reading of bodies: uploads run side
by side. What goes wrong is ordered beforehand: `before("storage.objects.insert", act)` runs `act` ahead of that call.
"""

import json
import socket
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from trainshed_provision.testing.discovery import Refused

PIECE = 64 << 10  # bytes read at once


class Cut(Exception):
    """The line breaks: the connection ends without an answer."""


@dataclass
class Request:
    """One request. headers: names in lower case. read: the body, piece by piece as it comes; a line that breaks ends it early."""

    http: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    read: Callable[[int], bytes]
    body: Any = None
    method: str = ""  # the id, when it is known


@dataclass
class Answer:
    """One answer: JSON unless it is None."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Act = Callable[[Request], None]


@dataclass
class _Order:
    method: str
    act: Act
    skip: int
    times: int


class Loopback:
    """Serves `handle`, which a stand-in overrides, while it is entered."""

    def __init__(self) -> None:
        self.calls: list[str] = []  # ids of methods, in order
        self.lock = threading.RLock()
        self._orders: list[_Order] = []
        self._open: set[int] = set()
        self._taken: list[int] = []
        self._quiet = threading.Condition()

    def handle(self, request: Request) -> Answer:
        """Answer one request, or raise Refused or Cut."""
        raise NotImplementedError

    def before(self, method: str, act: Act, *, times: int = 1, skip: int = 0) -> None:
        """Run act ahead of that method: it may raise Refused or Cut, wait, or change what is there. The first `skip` calls
        go by."""
        self._orders.append(_Order(method, act, skip, times))

    def fail(self, method: str, code: int, reason: str, message: str = "as ordered", *, times: int = 1) -> None:
        """Refuse that method so many times."""

        def act(request: Request) -> None:
            raise Refused(code, reason, message)

        self.before(method, act, times=times)

    def connected(self, port: int) -> None:
        """A connection from that port is open; to be told by the server, before it takes the next."""
        with self._quiet:
            self._open.add(port)
            self._taken.append(port)
            self._quiet.notify_all()

    def disconnected(self, port: int) -> None:
        """It is closed, and all that came by it is dealt with."""
        with self._quiet:
            self._open.discard(port)
            self._quiet.notify_all()

    def connections(self) -> frozenset[int]:
        """The ports of those that are open."""
        with self._quiet:
            return frozenset(self._open)

    def wait_for_end(self, others: frozenset[int]) -> None:
        """Return when no connection but these others is open: all that a killed client had sent is dealt with then."""
        with socket.create_connection(("127.0.0.1", self._server.server_port)) as last:
            port = last.getsockname()[1]
        with self._quiet:
            self._quiet.wait_for(lambda: port in self._taken and not self._open - others)

    def forget_orders(self) -> None:
        """From here on nothing goes wrong."""
        self._orders.clear()

    def called(self, request: Request, method: str) -> None:
        """To be told by `handle` once it knows the method, outside of the lock."""
        request.method = method
        with self.lock:
            self.calls.append(method)
            due = [order for order in self._orders if order.method == method]
            acts = [order.act for order in due if order.skip == 0 and order.times > 0]
            for order in due:
                if order.skip > 0:
                    order.skip -= 1
                else:
                    order.times -= 1
        for act in acts:
            act(request)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stand_in = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a test may leave a request hanging on purpose
    stand_in: Loopback

    def process_request(self, request: Any, client_address: Any) -> None:
        self.stand_in.connected(client_address[1])
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        self.stand_in.disconnected(client_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the tests' standard error."""

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        left = int(self.headers.get("content-length") or 0)

        def read(most: int) -> bytes:
            nonlocal left
            got = self.rfile.read1(min(most, left, PIECE)) if left else b""
            left -= len(got)
            return got

        request = Request(
            self.command,
            url.path,
            dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            read,
        )
        try:
            answer = self.server.stand_in.handle(request)
        except Refused as refused:
            answer = Answer(refused.body(), refused.code)
        except (Cut, ConnectionError):
            self.close_connection = True
            return
        while read(PIECE):
            pass
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        try:
            self.send_response(answer.status)
            headers = {
                "content-type": "application/json; charset=UTF-8",
                "content-length": str(len(data)),
                **answer.headers,
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except ConnectionError:
            self.close_connection = True  # the client was killed, as some are here

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of the base class
