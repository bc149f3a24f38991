"""How often passwords may be tried, so that none can be guessed and nobody can shut the others out.

An attempt takes a place in two groups, and gives them back when the password was right. A full group refuses further attempts
until its places end.

- The address's group, of all its attempts whomever they are for (an IPv6 network of 64 bits counts as one address). So one
  address cannot try many accounts.
- The account's group, which all addresses share that this account has never logged in from. So many addresses cannot try
  one account. An address from which the account did log in has a group of its own: strangers cannot fill that.

One address has fewer places than one account, so a single hostile one locks out nobody but itself. What is kept ends by
itself; it is bounded by the checks that bcrypt lets through, a few a second.
"""

import hashlib
import ipaddress
from dataclasses import dataclass

from trainshed.domain.errors import ApiError, Fault
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.services.accounts import policy

_REMEMBERED = 90 * 24 * 3600  # seconds that an address counts as one of the account's
_IPV6_NETWORK = 64  # bits: what one household gets


@dataclass(frozen=True, slots=True)
class Taken:
    """The places of one attempt."""

    places: tuple[str, str]
    known: str


class Limiter:
    """Places for attempts, in all processes."""

    def __init__(self, *, cache: Cache, clock: Clock, limits: policy.Attempts) -> None:
        self._cache = cache
        self._clock = clock
        self._limits = limits

    def take(self, account: str, address: str) -> Taken:
        """Before a password is looked at. Raises TOO_MANY_LOGINS with the seconds to wait for."""
        network, name = _network(address), hashlib.sha256(account.encode()).hexdigest()[:32]
        known = f"login-known:{name}:{network}"
        own = self._cache.get(known) is not None
        group = f"{name}:{network}" if own else name
        size = self._limits.per_address if own else self._limits.per_account
        return Taken((self._place(f"@{network}", self._limits.per_address), self._place(group, size)), known)

    def succeeded(self, taken: Taken) -> None:
        """Give back the places of an attempt with the right password."""
        for place in taken.places:
            self._cache.delete(place)
        self._cache.set(taken.known, b"", _REMEMBERED)

    def _place(self, group: str, size: int) -> str:
        now = self._clock.now().timestamp()
        ends = str(now + self._limits.seconds).encode()
        places = [f"login:{group}:{number}" for number in range(size)]
        for place in places:
            if self._cache.add(place, ends, self._limits.seconds):
                return place
        left = min(float(self._cache.get(place) or ends) for place in places) - now
        raise ApiError(
            Fault.TOO_MANY_LOGINS, f"try again in {max(1, round(left))} seconds", retry_after=max(1, round(left))
        )


def _network(address: str) -> str:
    """The address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), _IPV6_NETWORK), strict=False))
    return str(parsed)
