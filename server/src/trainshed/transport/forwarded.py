"""Where a request comes from: the peer, or what proxies that are trusted say of it.

A header is believed only from a peer that is one of them, and of a list only the end that trusted proxies wrote. What is
not an address, a host or a scheme is as good as not said.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal

from trainshed.services.addresses import PREFIX, Network, Origin, split_host

_LONGEST = 64  # characters of an address with its port
_REMEMBERED = 1024  # addresses: the same ones come again and again, and reading one takes longer than all the rest here
_TOLD = 20  # strangers of whom the log tells
_MOST = 32  # proxies in a row that are looked at
# What proxies say.
SAID = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PREFIX",
)
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;\s]*)\s*\Z')
_V4_PORT = re.compile(r"([0-9.]{7,15}):[0-9_]{1,6}\Z")
_V6_PORT = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](:[0-9_]{1,6})?\Z")

Address = IPv4Address | IPv6Address

log = logging.getLogger(__name__)


class Forwarded:
    """Reads and removes what proxies say. proxies: those that are believed. header: in which form they say it."""

    def __init__(
        self, proxies: Sequence[Network] = (), *, header: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    ) -> None:
        self._proxies = tuple(proxies)
        self._told: set[str] = set()
        self._trusts = lru_cache(_REMEMBERED)(self._is_one)
        self._header = header

    def origin(self, environ: dict[str, Any]) -> Origin:
        """Of the request. Nobody reads these headers afterwards: they are gone."""
        said = {name: environ.pop(name) for name in SAID if name in environ}
        peer = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")  # IPv4 on a socket for both
        near = Origin(peer, environ.get("wsgi.url_scheme", "http"), environ.get("HTTP_HOST", ""))
        if not said:
            return near
        if not self._trusts(_address(peer)):
            self._tell(peer)
            return near
        return self._rfc7239(near, said) if self._header == "forwarded" else self._x_forwarded(near, said)

    def _tell(self, peer: str) -> None:
        """Once of each: whoever set up a proxy and forgot this sees one caller for all."""
        if peer not in self._told and len(self._told) < _TOLD:
            self._told.add(peer)
            log.info("what %s says of who calls is not believed; if it is your proxy, name it in proxies.trusted", peer)

    def _x_forwarded(self, near: Origin, said: dict[str, str]) -> Origin:
        hops = said.get("HTTP_X_FORWARDED_FOR", "").split(",")[-_MOST:]
        prefix = said.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        return Origin(
            self._caller(near.address, hops),
            _scheme(_last(said.get("HTTP_X_FORWARDED_PROTO", ""))) or near.scheme,
            _host(_last(said.get("HTTP_X_FORWARDED_HOST", ""))) or near.host,
            prefix if PREFIX.match(prefix) else "",
        )

    def _rfc7239(self, near: Origin, said: dict[str, str]) -> Origin:
        hops = [_pairs(hop) for hop in said.get("HTTP_FORWARDED", "").split(",")[-_MOST:]]
        last = hops[-1]
        return Origin(
            self._caller(near.address, [hop.get("for", "") for hop in hops]),
            _scheme(last.get("proto", "")) or near.scheme,
            _host(last.get("host", "")) or near.host,
        )

    def _caller(self, peer: str, hops: Iterable[str]) -> str:
        """The last address that no trusted proxy has; what was written before it may be anybody's."""
        caller = peer
        for hop in reversed(list(hops)):
            address = _address(hop.strip())
            if address is None:
                break
            caller = str(address)
            if not self._trusts(address):
                break
        return caller

    def _is_one(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)


def _address(text: str) -> Address | None:
    """An address, with or without a port; one of IPv4 that came as IPv6 is what it was."""
    return _read(text) if len(text) <= _LONGEST else None


@lru_cache(_REMEMBERED)
def _read(text: str) -> Address | None:
    if found := _V4_PORT.match(text) or _V6_PORT.match(text):
        text = found[1]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _pairs(hop: str) -> dict[str, str]:
    found = [_PAIR.match(pair) for pair in hop.split(";")]
    return {pair[1].lower(): pair[2].strip('"') for pair in found if pair}


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in ("http", "https") else ""


def _host(text: str) -> str:
    return text if split_host(text) else ""
