"""By what urls the server is reached: configured, or else worked out from a request, or else from the host and the ports.

Three layouts: three ports of one name; the labels app., api. and files. before one name; and one address with /api and
/files below it, which a path may come before. Whoever tells somebody a url asks here.
"""

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

LISTENERS = ("web", "api", "files")
PORTS = {"web": 8080, "api": 8008, "files": 8081}
LABELS = {"app": "web", "api": "api", "files": "files"}  # of a host name -> what is there
BELOW = {"web": "", "api": "/api", "files": "/files"}  # one address -> what is there

Network = IPv4Network | IPv6Network

_EVERY = {"", "0.0.0.0", "::"}  # noqa: S104 - only compared
_STANDARD_PORT = {"http": 80, "https": 443}
PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,8}\Z")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:(?P<port>[0-9]{1,5}))?\Z")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """What the operator says of the addresses.

    web, api, files: the urls that people and clients are told, without a slash at the end; empty: worked out, from that of
    web if there is one. The path of one is taken off requests that come with it. prefix: a path under which all three are
    offered, as /prefix, /prefix/api and /prefix/files.
    trusted_proxies: networks (10.0.0.0/8) or addresses whose word on the caller is believed. forwarded: the header in which
    they give it; one only, as a proxy passes on as it came what it does not write itself.
    hosts: names that requests may come to, besides those of the urls; *.name for all below it. any_host: whether they may
    come to every name; None: unless the server listens on the loopback alone, where a page of another site could otherwise
    reach it under a name of its own.
    """

    web: str = ""
    api: str = ""
    files: str = ""
    prefix: str = ""
    trusted_proxies: tuple[str, ...] = ()
    forwarded: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    hosts: tuple[str, ...] = ()
    any_host: bool | None = None

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The trusted ones."""
        return tuple(ip_network(text, strict=False) for text in self.trusted_proxies)


@dataclass(frozen=True, kw_only=True)
class Tls:
    """How the server itself speaks TLS; it does not unless one of the first two is set.

    certificate, key: files in PEM; the first with the certificates that lead to it. own: with a certificate that it makes for
    itself. redirect_port: a port that sends whoever comes by http to the web application by https.
    """

    certificate: Path | None = None
    key: Path | None = None
    own: bool = False
    redirect_port: int | None = None

    @property
    def on(self) -> bool:
        """Whether it does."""
        return self.own or self.certificate is not None


def check_url(url: str) -> str:
    """The url of a server, without a slash at its end. Raises ValueError."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not split_host(parts.netloc) or parts.query or parts.fragment:
        raise ValueError
    return f"{parts.scheme}://{parts.netloc}{check_prefix(path)}"


def check_prefix(path: str) -> str:
    """A path of plain names, with a slash before and none behind it; "" for none. Raises ValueError."""
    path = "/" + path.strip("/")
    if path == "/":
        return ""
    if not PREFIX.match(path):
        raise ValueError
    return path


def check_network(text: str) -> str:
    """An address or a network. Raises ValueError."""
    return str(ip_network(text, strict=False))


def is_among(address: str, networks: Iterable[Network]) -> bool:
    """Whether a peer's address is in one of the networks; one of IPv4 that came as IPv6 is what it was."""
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    peer = getattr(peer, "ipv4_mapped", None) or peer
    return any(peer in network for network in networks)


def split_host(host: str) -> tuple[str, int | None] | None:
    """The name, in small letters, and the port of a Host header; None when it is none."""
    found = _HOST.match(host)
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    return None if port is not None and not 0 < port < 65536 else (found["name"].lower().rstrip("."), port)


class Origin(NamedTuple):
    """Where a request comes from and what it came to, as far as it can be believed.

    address: the caller's. host: as the caller wrote it, with a port that is not the scheme's. prefix: the path that
    a proxy took off.
    """

    address: str
    scheme: str
    host: str
    prefix: str = ""


class Urls(NamedTuple):
    """The three addresses that somebody is told; none ends with a slash."""

    web: str
    api: str
    files: str


@dataclass(frozen=True, kw_only=True)
class Advertised:
    """What is said of the addresses, and how the server listens.

    files_urls: further urls that lead to the file server. host: the address it listens on. ports: listener -> its port.
    scheme: https when it serves TLS itself.
    """

    addresses: Addresses = field(default_factory=Addresses)
    files_urls: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    ports: Mapping[str, int] = field(default_factory=PORTS.copy)
    scheme: Literal["http", "https"] = "http"

    def urls(self, name: str = "") -> Urls:
        """What people are told who do not ask over the network. name: of this machine, where it is known better."""
        own = name or (socket.gethostname() if self.host in _EVERY else "localhost" if self.on_loopback else self.host)
        return self._explicit_or(self._beside(self.scheme, own, self.addresses.prefix))

    def of(self, origin: Origin, listener: str) -> Urls:
        """What the caller of a request is told that came to this listener."""
        prefix = origin.prefix.removesuffix(BELOW[listener]) if origin.prefix else self.addresses.prefix
        parts = split_host(origin.host)
        if parts is None:
            return self.urls()
        name, port = parts
        if not prefix and (labelled := _labelled(origin.scheme, name, port)):
            return self._explicit_or(labelled)
        elsewhere = listener == "web" and (port or _STANDARD_PORT[origin.scheme]) != self._port("web")
        if prefix or origin.prefix or elsewhere:  # somebody stands before it, who may let nobody to the other ports
            base = _url(origin.scheme, name, port or _STANDARD_PORT[origin.scheme]) + prefix
            return self._explicit_or(_below(base))
        return self._explicit_or(self._beside(origin.scheme, name, ""))

    def prefixes(self) -> dict[str, str]:
        """Listener -> the path that comes before its own in a url; "" for none."""
        prefix = self.addresses.prefix
        none = _below(prefix) if prefix else Urls("", "", "")
        return {
            name: urlsplit(url).path or other for name, url, other in zip(LISTENERS, self._said(), none, strict=True)
        }

    def names(self) -> set[str]:
        """Of hosts, and addresses, by which the server is reached as far as it knows: for its certificate."""
        own = {"localhost", "127.0.0.1", "::1", socket.gethostname(), self.host}
        return (own | set(self._hosts())) - _EVERY

    def by_https(self, host: str) -> str | None:
        """Where the web application is by https under this name; None when it is none."""
        found = split_host(host)
        if found is None:
            return None
        said = split_host(urlsplit(self.addresses.web).netloc)
        port = (said[1] or _STANDARD_PORT["https"]) if said and self.addresses.web else self._port("web")
        return _url("https", found[0], port)

    def own_files(self) -> tuple[str, ...]:
        """Every url that is known to lead to the file server."""
        names = dict.fromkeys(("localhost", "127.0.0.1", "[::1]", _bracketed(self.host), socket.gethostname()))
        said = self._said()
        web = [f"{scheme}://{name}:{self._port('web')}" for name in names for scheme in _STANDARD_PORT]
        web += [said.web] if said.web else []
        return (
            *(url for url in (said.files, *self.files_urls) if url),
            *(f"{scheme}://{name}:{self._port('files')}" for name in names for scheme in _STANDARD_PORT),
            *(f"{base}{path}" for base in web for path in {"/files", f"{self.addresses.prefix}/files"}),
        )

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)

    def allows(self, host: str) -> bool:
        """Whether a request may come to this host: a name that leads here is not enough, as everybody can make one."""
        if self.addresses.any_host or (self.addresses.any_host is None and not self.on_loopback):
            return True
        if not host:  # no browser leaves it out; load balancers do
            return True
        parts = split_host(host)
        if parts is None:
            return False
        name = parts[0]
        return name == "localhost" or is_loopback(name.strip("[]")) or any(_fits(name, good) for good in self._hosts())

    def _hosts(self) -> Iterator[str]:
        yield from self.addresses.hosts
        for url in (*self._said(), *self.files_urls):
            if url and (parts := split_host(urlsplit(url).netloc)):
                yield parts[0]

    def _port(self, listener: str) -> int:
        return self.ports.get(listener, PORTS[listener])

    def _beside(self, scheme: str, name: str, prefix: str) -> Urls:
        """Three ports of one name; under a prefix all of it is at the first."""
        if prefix:
            return _below(_url(scheme, name, self._port("web")) + prefix)
        return Urls(*(_url(scheme, name, self._port(listener)) for listener in LISTENERS))

    def _explicit_or(self, urls: Urls) -> Urls:
        return Urls(*(said or url for said, url in zip(self._said(), urls, strict=True)))

    def _said(self) -> Urls:
        """What is configured, and what follows from it; "" for the rest."""
        said = Urls(self.addresses.web, self.addresses.api, self.addresses.files)
        if not said.web:
            return said
        parts = urlsplit(said.web)
        name, port = split_host(parts.netloc) or ("", None)
        rest = (not parts.path and _labelled(parts.scheme, name, port)) or _below(said.web)
        return Urls(*(url or other for url, other in zip(said, rest, strict=True)))


def _below(base: str) -> Urls:
    """One address for all three: the web listener has them all."""
    return Urls(*(base + BELOW[listener] for listener in LISTENERS))


def _labelled(scheme: str, name: str, port: int | None) -> Urls | None:
    """The same name with each label, if it has one of them."""
    label, _, domain = name.partition(".")
    if label not in LABELS or not domain:
        return None
    end = domain if port is None else f"{domain}:{port}"
    return Urls(*(f"{scheme}://{label}.{end}" for label in LABELS))


def _url(scheme: str, name: str, port: int) -> str:
    return f"{scheme}://{_bracketed(name)}" + ("" if port == _STANDARD_PORT[scheme] else f":{port}")


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def is_loopback(host: str) -> bool:
    """Whether it is an address of this machine alone, or the name of that."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fits(name: str, good: str) -> bool:
    good = good.lower()
    return name.endswith(good[1:]) if good.startswith("*.") else name == good
