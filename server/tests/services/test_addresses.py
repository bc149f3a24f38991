"""What people and clients are told of the addresses, layout by layout."""

from ipaddress import ip_network
from typing import Any

import pytest

from trainshed.services.addresses import Addresses, Advertised, Origin, Urls, check_prefix, check_url, is_among

ME = "192.0.2.7"


def advertised(host: str = "0.0.0.0", ports: dict[str, int] | None = None, **said: Any) -> Advertised:
    ports = {"web": 8080, "api": 8008, "files": 8081} if ports is None else ports
    return Advertised(addresses=Addresses(**said), host=host, ports=ports)


def told(url: str, listener: str = "web", *, prefix: str = "", **said: Any) -> str:
    """The three addresses that a request to this url is told."""
    scheme, _, host = url.partition("://")
    return " ".join(advertised(**said).of(Origin(ME, scheme, host, prefix), listener))


THREE_PORTS = "http://shed.example:8080 http://shed.example:8008 http://shed.example:8081"
THREE_LABELS = "https://app.shed.example https://api.shed.example https://files.shed.example"
ONE_ADDRESS = "https://shed.example https://shed.example/api https://shed.example/files"
UNDER_A_PATH = "https://shed.example/p https://shed.example/p/api https://shed.example/p/files"


def test_three_ports() -> None:
    assert told("http://shed.example:8080") == THREE_PORTS
    assert told("http://shed.example:8008", "api") == THREE_PORTS
    assert told("http://shed.example:8081", "files") == THREE_PORTS
    assert told("http://[::1]:8080") == "http://[::1]:8080 http://[::1]:8008 http://[::1]:8081"


def test_other_ports() -> None:
    ports = {"web": 80, "api": 9008, "files": 9081}
    assert told("http://shed.example", ports=ports) == (
        "http://shed.example http://shed.example:9008 http://shed.example:9081"
    )


def test_labels() -> None:
    assert told("https://app.shed.example") == THREE_LABELS
    assert told("https://api.shed.example", "api") == THREE_LABELS
    assert told("http://APP.shed.example:8443") == (
        "http://app.shed.example:8443 http://api.shed.example:8443 http://files.shed.example:8443"
    )
    assert told("http://app:8080").startswith("http://app:8080 http://app:8008"), "a label needs a name behind it"


def test_one_address() -> None:
    assert told("https://shed.example") == ONE_ADDRESS


@pytest.mark.parametrize("listener", ["web", "api", "files"])
def test_a_path_that_the_proxy_took_off(listener: str) -> None:
    taken = {"web": "/p", "api": "/p/api", "files": "/p/files"}[listener]
    assert told("https://shed.example", listener, prefix=taken) == UNDER_A_PATH


def test_a_path_that_we_take_off() -> None:
    assert advertised(prefix="/p").of(Origin(ME, "https", "shed.example"), "api") == Urls(*UNDER_A_PATH.split())
    assert advertised(prefix="/p", host=ME).urls() == Urls(
        f"http://{ME}:8080/p", f"http://{ME}:8080/p/api", f"http://{ME}:8080/p/files"
    )
    assert advertised(prefix="/p").prefixes() == {"web": "/p", "api": "/p/api", "files": "/p/files"}


def test_what_the_operator_says_wins() -> None:
    said: dict[str, Any] = {"api": "https://api.example", "files": "https://f.example/x/files"}
    assert told("http://shed.example:8080", **said) == (
        "http://shed.example:8080 https://api.example https://f.example/x/files"
    )
    assert advertised(**said).prefixes() == {"web": "", "api": "", "files": "/x/files"}


def test_the_rest_follows_from_what_is_said_of_the_web() -> None:
    assert " ".join(advertised(web="https://app.shed.example").urls()) == THREE_LABELS
    assert " ".join(advertised(web="https://shed.example").urls()) == ONE_ADDRESS
    below = advertised(web="https://shed.example/p")
    assert " ".join(below.urls()) == UNDER_A_PATH
    assert below.prefixes() == {"web": "/p", "api": "/p/api", "files": "/p/files"}
    assert "https://shed.example/p/files" in below.own_files()
    assert advertised(web="https://app.h", files="https://f.h").urls() == (
        "https://app.h",
        "https://api.h",
        "https://f.h",
    )


def test_without_a_request() -> None:
    assert advertised("127.0.0.1").urls() == Urls(
        "http://localhost:8080", "http://localhost:8008", "http://localhost:8081"
    )
    assert advertised("::").urls("shed").files == "http://shed:8081"
    assert advertised("2001:db8::1").urls().api == "http://[2001:db8::1]:8008"


def test_a_host_that_is_none_leads_nowhere_else() -> None:
    assert told("http://evil.example/x:8080", host=ME) == f"http://{ME}:8080 http://{ME}:8008 http://{ME}:8081"


def test_links_that_are_its_own() -> None:
    own = Advertised(
        addresses=Addresses(web="https://shed.example", files="https://files.example"),
        files_urls=("http://old:8081",),
        host=ME,
        ports={"web": 9080, "api": 9008, "files": 9081},
    ).own_files()
    assert {
        "https://files.example",
        "http://old:8081",
        f"http://{ME}:9081",
        "http://localhost:9081",
        f"http://{ME}:9080/files",
        "https://shed.example/files",
    } <= set(own)


@pytest.mark.parametrize(
    "url",
    [
        "shed.example",
        "ftp://shed.example",
        "https://shed.example/a?b",
        "https://user:secret@shed.example",
        "https://",
        "https://shed.example/../a",
        "https://shed.example:99999",
    ],
)
def test_what_is_no_url_of_a_server(url: str) -> None:
    with pytest.raises(ValueError):
        check_url(url)


@pytest.mark.parametrize(("said", "plain"), [("p", "/p"), ("/p/", "/p"), ("/a/b", "/a/b"), ("/", ""), ("", "")])
def test_a_path(said: str, plain: str) -> None:
    assert check_prefix(said) == plain
    assert check_url(f"https://shed.example/{plain.lstrip('/')}/") == f"https://shed.example{plain}"


@pytest.mark.parametrize("said", ["/../p", "/a b", "/a//b", "/<a>"])
def test_what_is_no_path(said: str) -> None:
    with pytest.raises(ValueError):
        check_prefix(said)


LOCAL = ["localhost", "localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "LOCALHOST.", ""]
OTHER = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1", "[2001:db8::1]", "a b", "\0"]


def test_on_the_loopback_only_its_own_names_are_answered() -> None:
    server = advertised("127.0.0.1", web="https://shed.example", hosts=("tunnel.example", "*.ok.example"))
    named = ["shed.example", "shed.example:443", "tunnel.example", "a.ok.example"]
    assert [host for host in LOCAL + named + OTHER if server.allows(host)] == LOCAL + named
    assert not server.allows("ok.example.evil.example")
    assert advertised("127.0.0.1", any_host=True).allows("evil.example")


def test_on_a_network_every_name_is_answered_unless_told_otherwise() -> None:
    assert advertised("0.0.0.0").allows("anything.example")
    assert not advertised("0.0.0.0", any_host=False).allows("anything.example")


@pytest.mark.parametrize(
    ("address", "among"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("fd00::7", True), ("11.1.2.3", False), ("", False), ("x", False)],
)
def test_a_peer_is_among_networks(address: str, among: bool) -> None:
    assert is_among(address, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]) is among
