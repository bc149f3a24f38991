"""One call of the API, as its handler sees it."""

from dataclasses import dataclass
from typing import Any

from trainshed.domain.identity import Identity
from trainshed.services import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler gets besides its request struct.

    identity: the caller; only endpoints that need no login get None. arguments: the decoded body with every field that was
    sent, for listings. body: the raw body, for batches. version: (major, minor) that the caller asked for.
    token: what proved the caller, empty when an access key did. access_key: what was used at the first login.
    address: of the peer.
    """

    services: Services
    who: Identity | None
    arguments: dict[str, Any]
    body: bytes
    version: tuple[int, int]
    token: str = ""
    access_key: str = ""
    address: str = ""

    @property
    def identity(self) -> Identity:
        """The caller of an endpoint that needs a login."""
        assert self.who is not None, "the endpoint table asks for a login"
        return self.who
