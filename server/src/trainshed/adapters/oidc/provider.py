"""OpenID Connect: the code flow with PKCE. PyJWT checks what the provider signed; the rest is two requests."""

import base64
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt

from trainshed.domain.errors import ProviderError

_SECONDS = 10  # for each request
_MOST_BYTES = 1024 * 1024  # of a reply
_REMEMBER_SECONDS = 3600  # what the provider says of itself
_REST_SECONDS = 5  # after it did not answer: else everybody who wants to log in would wait for it in turn
_LEEWAY = 60  # seconds that two clocks may differ
# Signatures with public keys: one with a shared secret, or none, is nobody's.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A provider that sends us elsewhere is asked there by nobody: the configuration names whom we trust."""

    def redirect_request(self, *_: Any) -> None:
        return None


class OidcProvider:
    """Provider, by OpenID Connect. issuer: its address, over TLS unless it is on this machine. Raises ValueError."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, scopes: tuple[str, ...]) -> None:
        parts = urlsplit(issuer)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"the address of an OpenID Connect provider begins with https://: {issuer}")
        if not client_id:
            raise ValueError("an OpenID Connect provider needs a client_id")
        self._issuer = issuer.rstrip("/")
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = " ".join(scopes)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._lock = threading.Lock()
        self._known: tuple[float, Mapping[str, Any], jwt.PyJWKClient] | None = None
        self._failed: tuple[float, str] | None = None

    def address(self, *, redirect: str, state: str, nonce: str, challenge: str) -> str:
        about, _ = self._about()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        place = _checked(about, "authorization_endpoint")
        return f"{place}{'&' if urlsplit(place).query else '?'}{urlencode(asked)}"

    def claims(self, *, redirect: str, code: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        about, keys = self._about()
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        headers = {"Accept": "application/json"}
        methods = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._client_secret and "client_secret_basic" in methods:
            pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            asked |= {"client_id": self._client_id}
            asked |= {"client_secret": self._client_secret} if self._client_secret else {}
        given = self._json(_checked(about, "token_endpoint"), urlencode(asked).encode(), headers)
        token = given.get("id_token")
        if not isinstance(token, str):
            raise ProviderError("the provider gave no ID token")
        claims = self._verified(token, keys)
        if not hmac.compare_digest(str(claims.get("nonce", "")), nonce):
            raise ProviderError("the ID token is of another login")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._client_id:
            raise ProviderError("the ID token is for somebody else")
        return claims

    def _verified(self, token: str, keys: jwt.PyJWKClient) -> Mapping[str, Any]:
        try:
            key = keys.get_signing_key_from_jwt(token)
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                audience=self._client_id,
                issuer=[self._issuer, f"{self._issuer}/"],
                leeway=_LEEWAY,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise ProviderError(f"the ID token is not good: {error}") from error
        return claims

    def _about(self) -> tuple[Mapping[str, Any], jwt.PyJWKClient]:
        """What the provider says of itself, and its keys."""
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > _REMEMBER_SECONDS:
                if self._failed is not None and time.monotonic() - self._failed[0] < _REST_SECONDS:
                    raise ProviderError(self._failed[1])
                try:
                    self._known = (time.monotonic(), *self._ask())
                except ProviderError as error:
                    self._failed = (time.monotonic(), str(error))
                    raise
            return self._known[1], self._known[2]

    def _ask(self) -> tuple[Mapping[str, Any], jwt.PyJWKClient]:
        about = self._json(f"{self._issuer}/.well-known/openid-configuration")
        if str(about.get("issuer", "")).rstrip("/") != self._issuer:
            raise ProviderError(f"the provider calls itself {str(about.get('issuer'))[:200]!r}")
        return about, jwt.PyJWKClient(_checked(about, "jwks_uri"), timeout=_SECONDS)

    def _json(self, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Mapping[str, Any]:
        request = urllib.request.Request(url, body, dict(headers))  # noqa: S310 - _checked, or the configuration's
        try:
            with self._opener.open(request, timeout=_SECONDS) as reply:
                decoded = json.loads(reply.read(_MOST_BYTES))
        except (OSError, HTTPException, ValueError) as error:  # HTTPError too; its body may repeat a secret
            raise ProviderError(f"the provider does not answer as it should: {error}") from error
        if not isinstance(decoded, dict):
            raise ProviderError("the provider does not answer as it should")
        return decoded


def _checked(about: Mapping[str, Any], name: str) -> str:
    """An address that the provider tells of itself."""
    url = about.get(name)
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or (parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ProviderError(f"the provider has no good {name}")
    return str(url)
