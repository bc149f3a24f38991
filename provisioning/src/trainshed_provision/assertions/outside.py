"""What whoever calls the server sees: by its web address, directly or through a load balancer, with no way in."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from trainshed_provision.assertions.result import Finding, Result

SECONDS = 10.0
MOST = 64 * 1024  # bytes of a reply that are looked at
MADE_UP = "a-token-that-nobody-was-given"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """status: 0 when nobody answered, and then text says why. headers: by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: following it would ask somebody else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """No further request."""


@dataclass(frozen=True, kw_only=True)
class Web:
    """A server that is reached at `url`. authority: a file with certificates to trust, instead of the system's."""

    url: str
    authority: Path | None = None

    def ask(self, path: str, *, call: Mapping[str, str] | None = None, scheme: str = "") -> Reply:
        """GET a path, or POST a call of the API; by another scheme than that of the url, at its own port."""
        base = self.url.rstrip("/")
        if scheme:
            there = urlsplit(base)
            base = f"{scheme}://{there.hostname}{there.path}"
        body = None if call is None else json.dumps(call).encode()
        # Not a form of some page elsewhere, which could not set this.
        headers = {"X-Requested-With": "shed", "Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(base + path, data=body, headers=headers)  # noqa: S310 - http or https, see check
        trust = ssl.create_default_context(cafile=self.authority)
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust), _Stay()]
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
                return _reply(answer.status, answer.headers, answer.read(MOST))
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error.headers, error.read(MOST))
        except (OSError, ValueError) as error:
            return Reply(status=0, headers={}, text=str(getattr(error, "reason", error)))


@dataclass(frozen=True, kw_only=True)
class OutsideRule:
    """One row. encrypted: it is asked of https addresses alone."""

    title: str
    check: Callable[[Web], Finding]
    encrypted: bool = False


def _reply(status: int, headers: Message, body: bytes) -> Reply:
    return Reply(
        status=status,
        headers={name.lower(): value for name, value in headers.items()},
        text=body.decode(errors="replace"),
    )


def _status(web: Web, path: str, *wanted: int, call: Mapping[str, str] | None = None) -> Finding:
    reply = web.ask(path, call=call)
    return Finding(
        ok=reply.status in wanted,
        file=web.url.rstrip("/") + path,
        found=str(reply.status) if reply.status else reply.text,
        wanted=" or ".join(map(str, wanted)),
    )


def runs(web: Web) -> Finding:
    """It answers."""
    return _status(web, "/health", 200)


def is_ready(web: Web) -> Finding:
    """It may have traffic: what a load balancer asks."""
    return _status(web, "/ready", 200)


def api_answers(web: Web) -> Finding:
    """The API is behind the same address."""
    return _status(web, "/api/debug.ping", 200)


def refuses_strangers(web: Web) -> Finding:
    """A09: who has not logged in sees nobody and makes no key."""
    for path in ("/api/users.get_all", "/api/projects.get_all", "/api/auth.create_credentials"):
        finding = _status(web, path, 401, call={})
        if not finding.ok:
            return finding
    return finding


def has_no_default_password(web: Web) -> Finding:
    """A09: neither a usual pair nor a name alone logs in."""
    for path, call in (
        ("/api/accounts.login", {"username": "admin", "password": "admin"}),
        ("/api/accounts.login_by_name", {"name": "admin"}),
    ):
        finding = _status(web, path, 401, 403, 429, call=call)
        if not finding.ok:
            return finding
    return finding


def is_closed_until_claimed(web: Web) -> Finding:
    """A09: nobody becomes the administrator by a token that was never given."""
    return _status(web, "/api/accounts.redeem", 401, 403, 429, call={"token": MADE_UP, "password": MADE_UP})


HEADERS = {
    "content-security-policy": "default-src",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
}


def protects_browsers(web: Web) -> Finding:
    """What the page tells browsers arrives; over https also that they stay there."""
    wanted = {**HEADERS, **({"strict-transport-security": "max-age="} if web.url.startswith("https:") else {})}
    found = web.ask("/").headers
    missing = [f"{name}: {value}" for name, value in wanted.items() if value not in found.get(name, "")]
    return Finding(
        ok=not missing, file=web.url, found=f"missing: {', '.join(missing) or 'none'}", wanted=", ".join(wanted)
    )


def is_trusted(web: Web) -> Finding:
    """H09: the certificate is for this name, in time, and signed by whom the caller trusts."""
    reply = web.ask("/health")
    return Finding(ok=reply.status == 200, file=web.url, found=reply.text, wanted="TLS with a certificate for it")


def redirects_to_https(web: Web) -> Finding:
    """H09: whoever comes by http is sent to https, or finds nobody."""
    reply = web.ask("/", scheme="http")
    there = reply.headers.get("location", "")
    ok = not reply.status or (300 <= reply.status < 400 and there.startswith("https://"))
    return Finding(
        ok=ok,
        file=web.url.replace("https:", "http:", 1),
        found=f"{reply.status} {there}".strip() if reply.status else "nobody",
        wanted="a redirect to https, or nobody",
    )


OUTSIDE: dict[str, OutsideRule] = {
    "health": OutsideRule(title="it runs", check=runs),
    "ready": OutsideRule(title="it may have traffic", check=is_ready),
    "api": OutsideRule(title="the API is behind it", check=api_answers),
    "A09": OutsideRule(title="strangers are refused", check=refuses_strangers),
    "A09b": OutsideRule(title="no default password", check=has_no_default_password),
    "A09c": OutsideRule(title="closed until it is claimed", check=is_closed_until_claimed),
    "headers": OutsideRule(title="browsers are protected", check=protects_browsers),
    "H09": OutsideRule(title="TLS that callers can trust", check=is_trusted, encrypted=True),
    "H09b": OutsideRule(title="http leads to https", check=redirects_to_https, encrypted=True),
}


def run(web: Web) -> list[Result]:
    """Ask every rule that the address can be asked, in order."""
    encrypted = web.url.startswith("https:")
    return [
        Result.of(rule_id, rule.title, "U", rule.check(web))
        for rule_id, rule in OUTSIDE.items()
        if encrypted or not rule.encrypted
    ]
