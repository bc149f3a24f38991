"""TLS that the server itself speaks: its certificate, a renewed one, and the way from http."""

import http.client
import logging
import ssl
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from werkzeug.test import Client

from trainshed.adapters.system.certificate import own_certificate, self_signed
from trainshed.services.addresses import Addresses, Advertised
from trainshed.testing.live import free_ports
from trainshed.transport.listener import Listener
from trainshed.transport.patience import Watch
from trainshed.transport.redirect import redirecting
from trainshed.transport.tls import Certificate, check

NOW = datetime.now(UTC)
NAMES = {"localhost", "127.0.0.1", "::1", "shed.example", "*.shed.example"}


def serial(certificate: Path) -> int:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


def put(folder: Path, *names: str, days: int = 10) -> tuple[Path, Path]:
    """A new certificate in the place of the one that was there."""
    for name, content in zip(("c.pem", "k.pem"), self_signed(names, now=NOW, days=days), strict=True):
        (folder / name).write_bytes(content)
    return folder / "c.pem", folder / "k.pem"


def test_the_server_makes_a_certificate_once(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path / "tls", NAMES, now=NOW)
    check((certificate, key))
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    first = serial(certificate)
    assert serial(own_certificate(tmp_path / "tls", NAMES - {"::1"}, now=NOW)[0]) == first
    assert serial(own_certificate(tmp_path / "tls", NAMES, now=NOW + timedelta(days=700))[0]) == first
    said = x509.load_pem_x509_certificate(certificate.read_bytes()).extensions
    names = said.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "shed.example", "*.shed.example"}


@pytest.mark.parametrize("why", ["it soon expires", "a name is new", "the key is gone", "it is none"])
def test_it_makes_another_when(tmp_path: Path, why: str) -> None:
    certificate, key = own_certificate(tmp_path, NAMES, now=NOW)
    first, names, now = serial(certificate), NAMES, NOW
    if why == "it soon expires":
        now = NOW + timedelta(days=800)
    elif why == "a name is new":
        names = NAMES | {"other.example"}
    elif why == "the key is gone":
        key.unlink()
    else:
        certificate.write_text("what is that?")
    check(own_certificate(tmp_path, names, now=now))
    assert serial(certificate) != first


def test_names_of_the_server() -> None:
    said = Advertised(addresses=Addresses(web="https://app.h.example", hosts=("*.other.example",)), host="0.0.0.0")
    assert {"app.h.example", "api.h.example", "files.h.example", "*.other.example", "localhost"} <= said.names()
    assert "0.0.0.0" not in said.names()


def test_a_renewed_certificate_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = put(tmp_path, "localhost")
    certificate = Certificate(lambda: files)
    assert certificate.files() == files
    assert not certificate.renewed()
    put(tmp_path, "localhost")
    assert certificate.renewed()
    assert not certificate.renewed()
    with caplog.at_level(logging.WARNING):
        other = self_signed(["localhost"], now=NOW, days=10)
        files[0].write_bytes(other[0])  # and not yet its key
        assert not certificate.renewed()
        assert not certificate.renewed()
        assert len(caplog.records) == 1, "the log tells it once"
        files[1].write_bytes(other[1])
        assert certificate.renewed()
        files[0].unlink()
        assert not certificate.renewed()


@pytest.mark.parametrize("wrong", ["another's key", "a key with a password", "no certificate", "no file"])
def test_what_cannot_be_served_with(tmp_path: Path, wrong: str) -> None:
    certificate, key = put(tmp_path, "localhost")
    if wrong == "another's key":
        key.write_bytes(self_signed(["localhost"], now=NOW, days=1)[1])
    elif wrong == "a key with a password":
        plain = serialization.load_pem_private_key(key.read_bytes(), None)
        hidden = serialization.BestAvailableEncryption(b"secret")
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key.write_bytes(plain.private_bytes(pem, form, hidden))
    elif wrong == "no certificate":
        certificate.write_text("")
    else:
        key.unlink()
    with pytest.raises(OSError):
        Certificate(lambda: (certificate, key)).files()


class Slow:
    """An application with a reply that ends when it is told to."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return self._slow() if environ["PATH_INFO"] == "/slow" else [environ["wsgi.url_scheme"].encode()]

    def _slow(self) -> Iterator[bytes]:
        yield b"begun, "
        assert self.end.wait(20)
        yield b"ended"


def connect(port: int, trusted: Path) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(
        "localhost", port, timeout=20, context=ssl.create_default_context(cafile=str(trusted))
    )


def ask(port: int, trusted: Path) -> bytes:
    with closing(connect(port, trusted)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().read()


def test_a_renewed_certificate_is_served_and_running_requests_end(tmp_path: Path) -> None:
    files = put(tmp_path, "localhost")
    former = tmp_path / "former.pem"
    former.write_bytes(files[0].read_bytes())
    (port,) = free_ports(1)
    app = Slow()
    listener = Listener(number=1, host="127.0.0.1", port=port, app=app, watch=Watch(30), tls=files)
    listener.start()
    running = connect(port, former)
    try:
        assert ask(port, former) == b"https"
        running.request("GET", "/slow")
        reply = running.getresponse()
        put(tmp_path, "localhost")
        listener.renew()
        for _ in range(100):  # a handshake that is under way in that moment is cut; clients try again
            try:
                ask(port, former)
            except ssl.SSLCertVerificationError:
                break
            except OSError:
                continue
        assert ask(port, files[0]) == b"https"
        with pytest.raises(ssl.SSLCertVerificationError):
            ask(port, former)
        app.end.set()
        assert reply.read() == b"begun, ended"
    finally:
        app.end.set()
        running.close()
        listener.refuse()
        listener.stop()


def test_old_versions_of_tls_and_plain_http_are_not_spoken(tmp_path: Path) -> None:
    files = put(tmp_path, "localhost")
    (port,) = free_ports(1)
    listener = Listener(number=1, host="127.0.0.1", port=port, app=Slow(), watch=Watch(30), tls=files)
    listener.start()
    try:
        assert ask(port, files[0]) == b"https"
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as plain:
            plain.request("GET", "/")
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                plain.getresponse()
        # By OpenSSL's own program: Python refuses even to ask for them.
        for version, spoken in (("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)):
            command = ["openssl", "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect", f"127.0.0.1:{port}"]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
            assert (done.returncode == 0) is spoken, version
    finally:
        listener.refuse()
        listener.stop()


@pytest.mark.parametrize(
    ("said", "host", "path", "location"),
    [
        ({}, "shed.example:8081", "/a?b=c%20d", "https://shed.example:8443/a?b=c%20d"),
        ({}, "api.shed.example", "/v2.31/x.y", "https://api.shed.example:8443/v2.31/x.y"),
        ({"web": "https://shed.example"}, "shed.example", "/a b/\u00e9", "https://shed.example/a%20b/%C3%A9"),
        ({}, "[2001:db8::1]", "/", "https://[2001:db8::1]:8443/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_way_from_http(said: dict[str, Any], host: str, path: str, location: str, method: str) -> None:
    advertised = Advertised(addresses=Addresses(**said), host="0.0.0.0", ports={"web": 8443}, scheme="https")
    reply = Client(redirecting(advertised)).open(path, method=method, headers={"Host": host})
    assert (reply.status_code, reply.headers["Location"]) == (308, location)


@pytest.mark.parametrize("host", ["", "a b", "evil.example/@", "evil\r\nX: y"])
def test_a_name_that_is_none_leads_nowhere(host: str) -> None:
    advertised = Advertised(host="0.0.0.0", scheme="https")
    environ = {"HTTP_HOST": host, "PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    said: list[str] = []
    list(redirecting(advertised)(environ, lambda status, headers: said.append(status)))
    assert said == ["400 BAD REQUEST"]
    local = Advertised(host="127.0.0.1", scheme="https")
    assert Client(redirecting(local)).get("/", headers={"Host": "evil.example"}).status_code == 400
