"""Several WSGI applications in one process, each on its own port, by Granian's worker.

Granian's own command serves one application on one port from a parent and a child process; three of those would take three
times the memory. Its worker class takes any number: hence the names with an underscore, and a version pinned to the minor.
"""

import asyncio
import errno
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from granian import _futures, _granian
from granian.http import HTTP1Settings
from granian.wsgi import _callback_wrapper
from werkzeug.wsgi import ClosingIterator

from trainshed.domain.errors import ApiError, Fault
from trainshed.transport.envelope import failure
from trainshed.transport.patience import CONNECTIONS, THREADS, Watch

WsgiApp = Callable[..., Any]

# Granian's stubs lag behind its extension.
_WSGIWorker: Any = _granian.WSGIWorker
_SocketHolder: Any = _granian.SocketHolder
_new_scheduler: Any = _futures._new_cbscheduler

_BACKLOG = 1024
_IDLE_SECONDS = 30  # of a thread: they come with load, up to THREADS
_FILES = 8 * CONNECTIONS  # three listeners, a file or database of many requests each
# A thread waits for its client's bytes. A client that vanished would be waited for for ever: after so many seconds of silence
# the kernel asks whether it is there, so often and so many times.
_ASK_AFTER, _ASK_EVERY, _ASK_TIMES = 60, 15, 4
_NO_TLS: tuple[Any, ...] = (False, None, None, None, "tls1.3", None, [], False)
_NO_METRICS = (None, None)
_STOP_SECONDS = 10.0  # that running requests get to end before the process does


class PortInUseError(Exception):
    """Somebody else listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host}:{port} is in use")
        self.port = port


def check_free(host: str, port: int) -> None:
    """Raise PortInUseError when the address is taken; OSError when it is not one of this machine.

    The listeners share their ports between processes, so a second server would start without a word and take half of the
    requests. This asks for the port alone.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUseError(host, port) from error
            raise


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket; connections inherit its options."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _ASK_AFTER)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _ASK_EVERY)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ASK_TIMES)
    listening.setblocking(False)
    return listening


def _allow_files() -> None:
    """Let this process open files for all connections: its first limit is often 1024."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(few, enough), most))


class _Counted:
    """An application that knows how many of its requests run, streamed replies included."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app
        self._running = 0
        self._closed = False
        self._changed = threading.Condition()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._changed:
            if self._closed:  # it came over a connection that was there already; clients try a 503 again
                reply = failure(ApiError(Fault.STOPPING))
                reply.headers["Connection"] = "close"
                return reply(environ, start_response)
            self._running += 1
        try:
            reply = self._app(environ, start_response)
        except BaseException:
            self._end()
            raise
        if isinstance(reply, list):  # all of it is there
            self._end()
            return reply
        return ClosingIterator(reply, self._end)

    def close(self) -> None:
        """Refuse new requests."""
        with self._changed:
            self._closed = True

    def wait(self, seconds: float) -> None:
        """Return when none runs any more, or after so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, seconds)

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()


class Listener:
    """One application on one port, served by threads of this process from start() to stop().

    tls: the files of the certificate, with those that lead to it, and of its key, if it speaks TLS.
    """

    def __init__(
        self,
        *,
        number: int,
        host: str,
        port: int,
        app: WsgiApp,
        watch: Watch,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._number = number
        self._app = _Counted(app)
        self._run = watch.guard(port, _callback_wrapper(self._app, {}))
        self._settings = HTTP1Settings(header_read_timeout=int(watch.seconds * 1000))
        self._tls = _NO_TLS if tls is None else (True, *map(str, tls), None, "tls1.2", None, [], False)
        self._socket = _listening(host, port)
        self._workers: list[tuple[Any, Any, asyncio.AbstractEventLoop]] = []  # the last one accepts

    def start(self) -> None:
        """Accept connections; returns at once."""
        _allow_files()
        self._serve()

    def renew(self) -> None:
        """Take the files of TLS anew. New connections get them; requests that run end with the old ones.

        Idle connections are closed, and one whose handshake is under way in that moment is cut: clients try those again.
        """
        _, accepting, _ = self._workers[-1]
        self._serve()  # first: both accept for a moment, and nobody is turned away
        accepting.set()

    def refuse(self) -> None:
        """Accept no more connections or requests; the running requests have _STOP_SECONDS from here to end."""
        self._workers[-1][1].set()
        self._app.close()
        self._end = time.monotonic() + _STOP_SECONDS

    def stop(self) -> None:
        """After refuse(): let the running requests end."""
        self._app.wait(max(0.0, self._end - time.monotonic()))
        for _, _, loop in self._workers:
            loop.close()
        self._socket.close()

    def _serve(self) -> None:
        ends, loop = _granian.WorkerSignal(), asyncio.new_event_loop()
        worker = _WSGIWorker(
            self._number,
            (None, _SocketHolder(os.dup(self._socket.fileno()), False, _BACKLOG)),
            None,
            1,
            512,
            THREADS,
            _IDLE_SECONDS,
            CONNECTIONS,
            "1",
            self._settings,
            None,
            None,
            *self._tls,
            _NO_METRICS,
        )
        worker.serve_mtr(_new_scheduler(loop, self._run, impl_asyncio=True), loop, ends)
        self._workers.append((worker, ends, loop))
