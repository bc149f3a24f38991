"""A server behind a real proxy, started with the very files of docs/proxies: only addresses and folders are others here."""

import http.client
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from trainshed.adapters.system.certificate import self_signed
from trainshed.testing.live import LISTENERS, READY_SECONDS, LiveServer, free_ports

PROXIES = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
DOMAIN = "shed.example.com"
_PUBLIC = (80, 443, 8080, 8008, 8081)  # ports on which the files have the proxy
_INSIDE = {"web": 18080, "api": 18008, "files": 18081}  # and the server, in the layout of three ports
# The names in the files lead here: for a Python program alone, whatever the machine knows of them.
_RESOLVER = f"""
import socket
_find = socket.getaddrinfo
def _here(host, *more, **other):
    name = host.decode() if isinstance(host, bytes) else host
    return _find("127.0.0.1" if name and name.endswith("{DOMAIN}") else host, *more, **other)
socket.getaddrinfo = _here
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A server behind a proxy. ports: of the proxy, those in the files -> those here.

    client: the variables of a client that comes by the proxy. trusted: the certificate that it trusts.
    """

    server: LiveServer
    ports: Mapping[int, int]
    client: Mapping[str, str]
    trusted: Path

    def url(self, listener: str) -> str:
        """What clients call the listener."""
        return self.client[f"CLEARML_{listener.upper()}_HOST"]

    def connect(self, url: str, *, source: str = "127.0.0.1") -> http.client.HTTPConnection:
        """A connection to the proxy for this url. source: the address it comes from."""
        parts = urlsplit(url)
        port = parts.port or self.ports[443 if parts.scheme == "https" else 80]
        if parts.scheme == "http":
            return http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
        trusting = ssl.create_default_context(cafile=self.trusted)
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=30, source_address=(source, 0), context=trusting)

    def ask(
        self, url: str, method: str = "GET", *, source: str = "127.0.0.1", body: bytes = b"", **headers: str
    ) -> tuple[int, Message, bytes]:
        """Status, headers and body of a reply; _ in the names of headers is -."""
        parts = urlsplit(url)
        connection = self.connect(url, source=source)
        sent = {"Host": parts.netloc} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path or "/", body, sent)
        reply = connection.getresponse()
        found = reply.status, reply.headers, reply.read()
        connection.close()
        return found


def program(proxy: str) -> str | None:
    """Where the proxy is installed: Debian has it where the PATH of most people does not lead."""
    return shutil.which(proxy, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin")))


@contextmanager
def behind(layout: str, proxy: str, *, docs: Path, folder: Path) -> Iterator[Site]:
    """A server and a proxy until the end of the block. docs: the folder of the files; folder: an empty one."""
    public = dict(zip(_PUBLIC, free_ports(len(_PUBLIC)), strict=True))
    configuration, certificate = folder / "config", folder / "certificate"
    for each in (configuration, certificate):
        each.mkdir()
    for said in (docs / layout).glob("*.conf"):
        if said.name not in PROXIES.values():
            (configuration / said.name).write_text(_ports_in_urls(said.read_text(), public))
    (folder / "sitecustomize.py").write_text(_RESOLVER)
    trusted = _certificate(certificate)
    server = LiveServer(folder / "data", CLEARML_CONFIG_DIR=str(configuration))
    server.start()
    try:
        text = _here((docs / layout / PROXIES[proxy]).read_text(), public, server, certificate)
        with _running([program(proxy) or proxy, *_ARGUMENTS[proxy](folder, text)]):
            client = {
                **server.environment(),
                **_told(server),
                "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
                "REQUESTS_CA_BUNDLE": str(trusted),
            }
            site = Site(server=server, ports=public, client=client, trusted=trusted)
            _wait(site)
            yield site
    finally:
        server.stop()


def _told(server: LiveServer) -> dict[str, str]:
    """The addresses in the section for clearml.conf that the server wrote at its first start."""
    section = (server.data / "secrets" / "first-credentials").read_text()
    return {f"CLEARML_{name.upper()}_HOST": url for name, url in re.findall(r'(\w+)_server: "([^"]+)"', section)}


def _ports_in_urls(text: str, public: Mapping[int, int]) -> str:
    return re.sub(r'(https://[^"/:]+)(?::(\d+))?', lambda found: f"{found[1]}:{public[int(found[2] or 443)]}", text)


def _here(text: str, public: Mapping[int, int], server: LiveServer, certificate: Path) -> str:
    inside = {_INSIDE[name]: server.ports[name] for name in LISTENERS} | {8080: server.ports["web"]}
    text = re.sub(r"(?<=127\.0\.0\.1:)(\d+)", lambda found: str(inside[int(found[1])]), text)
    text = re.sub(r"(?<=listen )(\d+)", lambda found: f"127.0.0.1:{public[int(found[1])]}", text)
    text = re.sub(r"(?<=bind ):(\d+)", lambda found: f"127.0.0.1:{public[int(found[1])]}", text)
    return text.replace("/etc/ssl/shed", str(certificate))


def _certificate(folder: Path) -> Path:
    made, key = self_signed([DOMAIN, f"*.{DOMAIN}", "127.0.0.1"], now=datetime.now(UTC), days=1)
    for name, content in (("fullchain.pem", made), ("privkey.pem", key), ("both.pem", made + key)):
        (folder / name).write_bytes(content)
    return folder / "fullchain.pem"


def _nginx(folder: Path, text: str) -> list[str]:
    own = folder / "nginx"
    own.mkdir()
    temporary = "".join(f"{n}_temp_path {own}/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.geteuid() == 0 else ""
    (own / "nginx.conf").write_text(
        f"{user}daemon off; master_process off; pid {own}/pid; error_log {own}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    return ["-c", str(own / "nginx.conf"), "-e", str(own / "error.log")]


def _haproxy(folder: Path, text: str) -> list[str]:
    (folder / "haproxy.cfg").write_text(f"global\n    maxconn 256\n\n{text}")
    return ["-db", "-q", "-f", str(folder / "haproxy.cfg")]


_ARGUMENTS = {"nginx": _nginx, "haproxy": _haproxy}


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            assert process.poll() is None, f"{command[0]} has ended"
            process.terminate()
            process.wait(READY_SECONDS)


def _wait(site: Site) -> None:
    """Until the proxy leads to all three."""
    end = time.monotonic() + READY_SECONDS
    for listener in LISTENERS:
        while not _answers(site, listener):
            assert time.monotonic() < end, f"{listener} does not answer through the proxy"
            time.sleep(0.05)


def _answers(site: Site, listener: str) -> bool:
    try:
        return site.ask(f"{site.url(listener)}/health")[0] == 200
    except OSError:
        return False
