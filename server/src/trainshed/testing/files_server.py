"""A file server in a process of its own, behind the real listener: what it costs can be measured from outside."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.adapters.system.clock import SystemClock
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.services.stored_files import StoredFiles
from trainshed.testing import process
from trainshed.transport.files import create_files_app
from trainshed.transport.listener import Listener
from trainshed.transport.patience import Watch

HEADERS = {"Authorization": "Bearer measured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesServer:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        """Whether somebody listens there."""
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def peak_bytes(self) -> int:
        """The most memory it ever had resident (Linux)."""
        return process.status(self.pid, "VmHWM") * 1024

    def cpu_seconds(self) -> float:
        """User and system time so far (Linux)."""
        return process.cpu_seconds(self.pid)


@contextmanager
def files_server(root: Path) -> Iterator[FilesServer]:
    """Serve the folder until the end of the block."""
    command = [sys.executable, "-m", "trainshed.testing.files_server", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield FilesServer(port=int(server.stdout.readline()), pid=server.pid)
        finally:
            server.kill()


def _authenticate(request: flask.Request) -> Identity:
    if request.headers.get("Authorization") != HEADERS["Authorization"]:
        raise ApiError(Fault.INVALID_TOKEN)
    return Identity(user="measured")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on at this moment."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def _main() -> None:
    files = StoredFiles(blobs=FileBlobs(Path(sys.argv[1])), clock=SystemClock())
    app = create_files_app(files=files, authenticate=_authenticate)
    port = free_port()
    watch = Watch()
    listener = Listener(number=1, host="127.0.0.1", port=port, app=app, watch=watch)
    watch.start()
    listener.start()
    print(port, flush=True)
    sys.stdin.read()
    listener.refuse()
    listener.stop()


if __name__ == "__main__":
    _main()
