"""Is it well, seen from outside: one GET per service, one banner from ssh."""

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor

from trainshed_provision.spec import SERVICES, Ports, VmSpec

PATHS = {"web": "/health", "api": "/debug.ping", "files": "/health"}
PROBE_SECONDS = 3.0  # the forwarding accepts a connection before the machine does, and then is silent


def services(spec: VmSpec, *, timeout: float = PROBE_SECONDS) -> dict[str, bool]:
    """Service name to whether it answers 200, all asked at once."""
    with ThreadPoolExecutor(len(SERVICES)) as pool:
        answers = pool.map(lambda name: answers_200(getattr(spec.ports, name), PATHS[name], timeout=timeout), SERVICES)
        return dict(zip(SERVICES, answers, strict=True))


def answers_200(port: int, path: str, *, timeout: float = PROBE_SECONDS) -> bool:
    """Whether 127.0.0.1:port answers GET path with 200 within timeout seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ssh_answers(port: int, *, timeout: float = PROBE_SECONDS) -> bool:
    """Whether an ssh server says its name on 127.0.0.1:port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def taken(ports: Ports) -> frozenset[str]:
    """Names of the ports that this host will not give to us."""
    names = ("web", "api", "files", "ssh")
    return frozenset(name for name in names if not _free(getattr(ports, name)))


def _free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
