"""One call of the API, as its handler sees it."""

from dataclasses import dataclass
from typing import Any

from trainshed.domain.identity import Identity
from trainshed.services import Services
from trainshed.transport.auth import Login, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler gets besides its request struct.

    arguments: the decoded body with every field that was sent, for listings. body: the raw body, for batches.
    version: (major, minor) that the caller asked for. session: what becomes of the browser's cookie. login: the proof of who
    the caller is; only endpoints that need no login get None. address: of the peer.
    """

    services: Services
    arguments: dict[str, Any]
    body: bytes
    version: tuple[int, int]
    session: Session
    login: Login | None = None
    address: str = ""

    @property
    def proof(self) -> Login:
        """The login of a caller of an endpoint that needs one."""
        assert self.login is not None, "the endpoint table asks for a login"
        return self.login

    @property
    def identity(self) -> Identity:
        """The caller of an endpoint that needs a login."""
        return self.proof.identity
