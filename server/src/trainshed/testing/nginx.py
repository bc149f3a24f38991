"""nginx as a plain file server, from Debian's package: what a gigabyte costs can be measured beside it."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainshed.testing.files_server import FilesServer, free_port

_START_SECONDS = 10

# One process, as ours is; sendfile as Debian configures it. A PUT goes to a temporary file of the same disk, then gets its name.
_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_max_body_size 0; default_type application/octet-stream;
  client_body_temp_path {root}/.temporary; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; root {root}; dav_methods PUT DELETE; create_full_put_path on; }}
}}
"""


def installed() -> bool:
    """Whether there is one to start."""
    return shutil.which("nginx") is not None


@contextmanager
def nginx_server(root: Path, folder: Path) -> Iterator[FilesServer]:
    """Serve the root until the end of the block. folder: for its own files."""
    port = free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(user + _CONFIGURATION.format(root=root, folder=folder, port=port))
    with subprocess.Popen(["nginx", "-c", configuration, "-e", folder / "error.log"]) as process:
        server = FilesServer(port=port, pid=process.pid)
        try:
            _wait(server, process)
            yield server
        finally:
            process.kill()


def _wait(server: FilesServer, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.answers():
        if process.poll() is not None or time.monotonic() > end:
            raise OSError("nginx does not start")
        time.sleep(0.01)
