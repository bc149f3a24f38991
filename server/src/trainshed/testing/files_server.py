"""A file server in a process of its own, behind the real listener: what it costs can be measured from outside."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.transport.files import create_files_app
from trainshed.transport.listener import Listener

HEADERS = {"Authorization": "Bearer measured"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesServer:
    """A running server."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peak_bytes(self) -> int:
        """The most memory it ever had resident (Linux)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def cpu_seconds(self) -> float:
        """User and system time so far (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def files_server(root: Path) -> Iterator[FilesServer]:
    """Serve the folder until the end of the block."""
    command = [sys.executable, "-m", "trainshed.testing.files_server", str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield FilesServer(port=int(process.stdout.readline()), pid=process.pid)
        finally:
            process.kill()


def _authenticate(request: flask.Request) -> Identity:
    if request.headers.get("Authorization") != HEADERS["Authorization"]:
        raise ApiError(Fault.INVALID_TOKEN)
    return Identity(user="measured")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def _main() -> None:
    app = create_files_app(blobs=FileBlobs(Path(sys.argv[1])), authenticate=_authenticate)
    port = _free_port()
    listener = Listener(number=1, host="127.0.0.1", port=port, app=app)
    listener.start()
    print(port, flush=True)
    sys.stdin.read()
    listener.stop()


if __name__ == "__main__":
    _main()
