"""Who calls: only proxies that are trusted are believed, and only what they themselves wrote."""

import logging
from typing import Any

import pytest

from trainshed.services.addresses import Addresses, Origin
from trainshed.transport.forwarded import Forwarded

PEER = "10.0.0.2"


def origin(peer: str = PEER, *, trusted: str = "10.0.0.0/8", header: Any = "x-forwarded", **said: str) -> Origin:
    environ = {"REMOTE_ADDR": peer, "wsgi.url_scheme": "http", "HTTP_HOST": "inside:8080"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in said.items()}
    found = Forwarded(Addresses(trusted_proxies=tuple(trusted.split())).proxies, header=header).origin(environ)
    assert set(environ) == {"REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST"}, "the headers are not for anybody else"
    return found


def test_a_stranger_is_not_believed() -> None:
    said = {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https", "x_forwarded_host": "evil.example"}
    for found in (
        origin("192.0.2.7", **said, x_forwarded_prefix="/evil", forwarded="for=1.2.3.4"),
        origin("192.0.2.7", header="forwarded", **said, forwarded="for=1.2.3.4;proto=https;host=evil.example"),
        origin("192.0.2.7", trusted="", **said),
        origin("not an address", **said),
    ):
        assert found._replace(address="") == Origin("", "http", "inside:8080")
        assert found.address in ("192.0.2.7", "not an address")


def test_a_trusted_proxy_is() -> None:
    said = {"x_forwarded_for": "1.2.3.4", "x_forwarded_proto": "https", "x_forwarded_host": "shed.example"}
    assert origin(**said, x_forwarded_prefix="/p/") == Origin("1.2.3.4", "https", "shed.example", "/p")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.0.0.9", "1.2.3.4"),
        ("6.6.6.6, 10.0.0.8, 10.0.0.9", "6.6.6.6"),
        ("10.0.0.8,10.0.0.9", "10.0.0.8"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("", PEER),
        ("unknown", PEER),
        ("1.2.3.4, unknown", PEER),
        ("1.2.3.4, 999.1.1.1", PEER),
        ("1.2.3.4,,", PEER),
        ("<script>", PEER),
        ("127.0.0.1\r\nX: y", PEER),
        ("1.2.3.4" + ", 10.0.0.9" * 100, "10.0.0.9"),
        ("9" * 100_000, PEER),
        ("[" * 100_000, PEER),
    ],
)
def test_the_caller(said: str, address: str) -> None:
    assert origin(x_forwarded_for=said).address == address


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for=1.2.3.4;proto=https;host=shed.example", Origin("1.2.3.4", "https", "shed.example")),
        ('For="[2001:db8::1]:4711" ; Proto=HTTPS', Origin("2001:db8::1", "https", "inside:8080")),
        (
            "for=6.6.6.6;host=evil.example, for=1.2.3.4;host=shed.example",
            Origin("1.2.3.4", "http", "shed.example"),
        ),
        ("for=_hidden", Origin(PEER, "http", "inside:8080")),
        ('for="1.2.3.4', Origin(PEER, "http", "inside:8080")),
        (";;;==,", Origin(PEER, "http", "inside:8080")),
        ('for="' + "\\" * 50_000, Origin(PEER, "http", "inside:8080")),
    ],
)
def test_the_other_header(said: str, expected: Origin) -> None:
    assert origin(header="forwarded", forwarded=said) == expected
    assert origin(forwarded=said) == Origin(PEER, "http", "inside:8080"), "a proxy passes on what it does not write"


@pytest.mark.parametrize("said", ["evil example", "a/b", "a@b", "[::1", "host:0", "host:99999", "a\r\nb", "é.example"])
def test_a_host_that_is_none(said: str) -> None:
    assert origin(x_forwarded_host=said).host == "inside:8080"


@pytest.mark.parametrize("said", ["//evil.example", "/a b", "p", "/a/../..", "/<x>", "/a" * 9, "javascript:", "/a?b"])
def test_a_prefix_that_is_none(said: str) -> None:
    assert origin(x_forwarded_prefix=said).prefix == ""


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", "https"), ("http,https", "https"), ("ws", "http"), ("", "http"), ("x,", "http")]
)
def test_the_scheme(said: str, scheme: str) -> None:
    assert origin(x_forwarded_proto=said).scheme == scheme


def test_the_log_tells_once_of_a_proxy_that_nobody_named(caplog: pytest.LogCaptureFixture) -> None:
    forwarded = Forwarded(())
    with caplog.at_level(logging.INFO):
        for number in range(1000):
            forwarded.origin({"REMOTE_ADDR": f"192.0.2.{number % 50}", "HTTP_X_FORWARDED_FOR": "1.2.3.4"})
            forwarded.origin({"REMOTE_ADDR": "198.51.100.1"})
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 20
    assert "192.0.2.0" in said[0]
    assert "proxies.trusted" in said[0]
