"""An OpenID Connect provider on this machine: the code flow with PKCE over HTTP, ID tokens that it really signs.

It logs in whoever comes, as `person`; and it holds a client to all that the standard asks of one.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, CLIENT_SECRET = "trainshed", "s3cret: with / a colon"
KEY_ID = "current"
Json = dict[str, Any]


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Of all providers of this process: to make one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """person: the claims of who logs in. sign: makes the ID token of its claims; a test may put another there.

    asked: the forms that came to the token endpoint.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.person: Json = {"sub": "1", "email": "jane@example.org", "email_verified": True, "name": "Jane Doe"}
        self.sign: Callable[[Json], str] = signed
        self.asked: list[Json] = []
        self.changes: Json = {}
        self._codes: dict[str, Json] = {}

    def about(self) -> Json:
        """What it says of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=a",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            **self.changes,
        }

    def authorize(self, asked: Json) -> str:
        """Log in at once; return where the browser goes."""
        assert (asked["client_id"], asked["response_type"]) == (CLIENT_ID, "code")
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, authorization: str, form: Json) -> Json | None:
        """An ID token for a code, once; None for what the standard refuses."""
        self.asked.append(form)
        scheme, _, value = authorization.partition(" ")
        name, _, secret = base64.b64decode(value).decode().partition(":")
        begun = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        good = (
            scheme == "Basic"
            and (unquote_plus(name), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)
            and begun is not None
            and form.get("redirect_uri") == begun["redirect_uri"]
            and base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == begun["code_challenge"]
        )
        if not good or begun is None:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 60,
            "nonce": begun["nonce"],
            **self.person,
        }
        return {"id_token": self.sign(claims), "access_token": "x", "token_type": "Bearer"}


def signed(claims: Json, key: Any = None, algorithm: str = "RS256", key_id: str = KEY_ID) -> str:
    """An ID token."""
    return jwt.encode(claims, key if key is not None else private_key(), algorithm=algorithm, headers={"kid": key_id})


@contextmanager
def provider() -> Iterator[Provider]:
    """One that runs until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    _Handler.providers[server.server_address[1]] = made
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    providers: dict[int, Provider] = {}  # noqa: RUF012 - one for each port

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/.well-known/openid-configuration":
            self._reply(200, self._provider.about())
        elif url.path == "/jwks":
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key().public_key()))
            self._reply(200, {"keys": [{**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]})
        elif url.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self._provider.authorize(_fields(url.query)))
            self.end_headers()
        else:
            self._reply(404, {})

    def do_POST(self) -> None:
        form = _fields(self.rfile.read(int(self.headers["Content-Length"])).decode())
        given = self._provider.token(self.headers.get("Authorization", ""), form)
        self._reply(200 if given else 400, given or {"error": "invalid_grant"})

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    @property
    def _provider(self) -> Provider:
        return self.providers[self.server.server_address[1]]  # type: ignore[index]

    def _reply(self, code: int, content: Json) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _fields(text: str) -> Json:
    return {name: values[0] for name, values in parse_qs(text).items()}
