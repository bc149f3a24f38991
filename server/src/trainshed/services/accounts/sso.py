"""Logging in elsewhere: what this server keeps between sending a browser away and its coming back.

That is nothing: the browser itself carries it, signed, in a cookie. So nobody can fill our memory, and a page that makes
somebody else's browser come back with a code of its own finds no cookie that fits.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from trainshed.domain.errors import ApiError, Fault, ProviderError
from trainshed.domain.identity import Identity, Role
from trainshed.ports.clock import Clock
from trainshed.ports.provider import Provider
from trainshed.services.accounts.accounts import OIDC
from trainshed.services.accounts.logins import Logins
from trainshed.services.accounts.policy import Oidc

SECONDS = 600  # that somebody has for logging in there
_USE = "oidc"  # so that no other token of ours is taken for one of these
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Departure:
    """address: where the browser goes. luggage: what it has to bring back."""

    address: str
    luggage: str


class SingleSignOn:
    """The use case. Raises ProviderError and ApiError."""

    def __init__(self, *, provider: Provider, logins: Logins, clock: Clock, token_secret: bytes, policy: Oidc) -> None:
        self._provider = provider
        self._logins = logins
        self._clock = clock
        self._secret = token_secret
        self._policy = policy

    def begin(self, *, redirect: str, then: str) -> Departure:
        """Send a browser there. redirect: where it comes back to. then: the path it wanted."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        address = self._provider.address(redirect=redirect, state=state, nonce=nonce, challenge=challenge)
        kept = {"use": _USE, "state": state, "nonce": nonce, "verifier": verifier, "redirect": redirect, "then": then}
        expires = (self._clock.now() + timedelta(seconds=SECONDS)).timestamp()
        return Departure(address, jwt.encode({**kept, "until": expires}, self._secret, algorithm=_ALGORITHM))

    def finish(self, *, luggage: str, state: str, code: str) -> tuple[Identity, str]:
        """Who has come back, and the path that was wanted. Raises INVALID_TICKET for a login that was not begun here."""
        try:
            kept = jwt.decode(luggage, self._secret, algorithms=[_ALGORITHM])
        except jwt.InvalidTokenError as error:
            raise ApiError(Fault.INVALID_TICKET, "begin the login again") from error
        good = kept.get("use") == _USE and kept["until"] > self._clock.now().timestamp()
        if not good or not hmac.compare_digest(kept["state"].encode(), state.encode()):
            raise ApiError(Fault.INVALID_TICKET, "begin the login again")
        claims = self._provider.claims(
            redirect=kept["redirect"], code=code, nonce=kept["nonce"], verifier=kept["verifier"]
        )
        return self._identity(claims), kept["then"]

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        policy = self._policy
        username = claims.get(policy.username)
        if not isinstance(username, str) or not username.strip():
            raise ProviderError(f"the provider does not say {policy.username!r}")
        email = str(claims.get("email", ""))
        if claims.get("email_verified") is False and (policy.username == "email" or policy.domains):
            raise ApiError(Fault.NOT_AUTHORIZED, "the provider has not verified the email address")
        if policy.domains and email.rpartition("@")[2].lower() not in {domain.lower() for domain in policy.domains}:
            raise ApiError(Fault.NOT_AUTHORIZED, "the email address is of another domain")
        return self._logins.from_elsewhere(
            username,
            name=str(claims.get(policy.name) or username),
            source=OIDC,
            role=self._role(claims),
            create=policy.create,
            subject=f"{policy.issuer.rstrip('/')}|{claims['sub']}",
            keep_role=not (policy.admins or policy.viewers),
        )

    def _role(self, claims: Mapping[str, Any]) -> Role:
        said = claims.get(self._policy.roles)
        groups = {str(one) for one in (said if isinstance(said, list) else [said])}
        if groups & set(self._policy.admins):
            return Role.ADMIN
        return Role.VIEWER if groups & set(self._policy.viewers) else self._policy.role
