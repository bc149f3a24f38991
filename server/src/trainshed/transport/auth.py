"""Who calls, for every listener: by header, by cookie, or by a proxy's word; and what a browser is told and believed.

A header (Basic, Bearer) is sent by a program that knows what it does. A cookie, or the word of a proxy, goes with whatever the
browser was made to send by any page: with it alone nothing is changed, unless the call proves that a page of ours made it.
"""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from flask import Flask, Request, Response, request

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.services.accounts import OUT_OF_THE_BOX, Accounts, Logins, Policy
from trainshed.services.addresses import is_among, is_loopback
from trainshed.transport.front import PASSED_ON, PEER, URLS, told_urls

_SESSION = "trainshed.session"  # likewise: the token to put into the cookie, or "" to clear it
_SAFE = ("GET", "HEAD", "OPTIONS")
# Only a page of ours can send one of these along with the cookie: other origins would have to ask before, and are refused.
_OWN_HEADERS = ("X-Requested-With", "X-ClearML-Client", "X-Trains-Client")
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED = "Content-Disposition, Content-Range, ETag, Retry-After, Upload-Offset"
_PREFLIGHT_SECONDS = "600"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, \t-]*")  # of headers: nothing else is repeated
# Access keys look like this, ours and those of the configuration: their secrets are not tried as passwords of a user.
_LIKE_A_KEY = re.compile(r"[A-Za-z0-9_-]{20}|[A-Z0-9]{20,40}|")


@dataclass(frozen=True, slots=True)
class Login:
    """An authenticated request.

    identity: the caller, or whom the caller acts as. by: the caller. token: what proved it, if one did. access_key: what was
    used at the first login, if one was. password: whether it was a password.
    """

    identity: Identity
    by: Identity
    token: str = ""
    access_key: str = ""
    password: bool = False


class Session:
    """What becomes of the browser's cookie at the end of a request."""

    def __init__(self, guard: "Guard", http: Request) -> None:
        self._guard = guard
        self._http = http

    def check(self) -> None:
        """Raises CROSS_SITE: a foreign page must not log people in as somebody else. Ask before anything else is done."""
        self._guard.check_own_page(self._http)

    def begin(self, token: str, *, proved: bool = False) -> None:
        """Let the browser keep the token. proved: that it asks for it of its own accord is known. Raises as check."""
        if not proved:
            self.check()
        self._http.environ[_SESSION] = token

    def offer(self, token: str) -> None:
        """As begin, for callers of which many are no browsers: these get no cookie."""
        if self._guard.is_own_page(self._http):
            self._http.environ[_SESSION] = token

    def end(self) -> None:
        """Let the browser forget it."""
        self._http.environ[_SESSION] = ""

    def is_local(self) -> bool:
        """Whether a page of this machine's own name asks, and nothing passed it on."""
        return self._guard.is_own_page(self._http) and _is_local(self._http)


class Guard:
    """The way in of all listeners."""

    def __init__(
        self,
        accounts: Accounts,
        logins: Logins,
        *,
        policy: Policy = OUT_OF_THE_BOX,
    ) -> None:
        self._accounts = accounts
        self._logins = logins
        self._cookie = policy.cookies
        self._header = policy.trusted_header.name
        self._proxies = tuple(ipaddress.ip_network(text, strict=False) for text in policy.trusted_header.proxies)
        self._anybody = "*" in policy.cors.origins
        self._named = frozenset(origin.lower().rstrip("/") for origin in policy.cors.origins if origin != "*")

    # who

    def identify(self, http: Request) -> Identity:
        """Who sent a request whose method tells whether it changes something.

        Raises ApiError: 401 when nobody is known, 403 when the known one may not do that.
        """
        changes = http.method not in _SAFE
        identity = self.login(http, changes=changes).identity
        if changes and identity.role.only_reads:
            raise ApiError(Fault.ROLE_NOT_ALLOWED, identity.role.value)
        return identity

    def login(self, http: Request, *, changes: bool, passwords: bool = False) -> Login:
        """The proof that a request brings. passwords: whether Basic may be a username and password.

        Raises NO_CREDENTIALS, BAD_AUTH_TYPE, BAD_CREDENTIALS, and what Accounts raises for wrong ones: all are 401, so that
        the client logs in anew. CROSS_SITE, when it changes something and there is no more than a cookie.
        """
        header = http.headers.get("Authorization")
        if header:
            return self._by_header(header, address=http.remote_addr or "", passwords=passwords)
        found = self._by_cookie(http) or self._by_proxy(http)
        if found is None:
            raise ApiError(Fault.NO_CREDENTIALS)
        if changes:
            self.check_own_page(http)
        return found

    def impersonate(self, login: Login, user: str | None) -> Login:
        """The same login, acting as the user that the caller's header names, if it names one."""
        return replace(login, identity=self._accounts.impersonate(login.identity, user)) if user else login

    def session(self, http: Request) -> Session:
        """What the request can do with the browser's cookie."""
        return Session(self, http)

    def _by_header(self, header: str, *, address: str, passwords: bool) -> Login:
        scheme, _, value = header.partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer":
            identity, key = self._accounts.by_token(value)
            return Login(identity, identity, token=value, access_key=key)
        if scheme.lower() != "basic":
            raise ApiError(Fault.BAD_AUTH_TYPE)
        name, secret = _basic(value)
        if passwords and not _LIKE_A_KEY.fullmatch(name) and not self._accounts.has_key(name):
            identity = self._logins.by_password(name, secret, address=address)
            return Login(identity, identity, password=True)
        identity, key = self._accounts.by_credentials(name, secret, address=address)
        return Login(identity, identity, access_key=key)

    def _by_cookie(self, http: Request) -> Login | None:
        # After a change of the configured domain a browser sends the old one too.
        refused = None
        for token in _cookies(http.headers.get("Cookie", ""), self._cookie.name):
            try:
                identity, key = self._accounts.by_token(token)
            except ApiError as error:
                refused = error
            else:
                return Login(identity, identity, token=token, access_key=key)
        if refused is not None:
            http.environ[_SESSION] = ""
            raise refused
        return None

    def _by_proxy(self, http: Request) -> Login | None:
        name = http.headers.get(self._header, "") if self._header else ""
        if not name or not is_among(http.environ.get(PEER) or http.remote_addr or "", self._proxies):
            return None
        identity = self._logins.by_header(name)
        return Login(identity, identity)

    # from where

    def check_own_page(self, http: Request) -> None:
        """Raises CROSS_SITE unless the request proves that no foreign page made it."""
        if not self.is_own_page(http):
            raise ApiError(Fault.CROSS_SITE)

    def is_own_page(self, http: Request) -> bool:
        """Whether a page of ours made the request, or one of an origin that the configuration names."""
        origin = http.headers.get("Origin")
        if origin is not None:
            return self._is_own_origin(http, origin)
        if "Sec-Fetch-Site" in http.headers:  # "none" too is refused: a link in a mail, a bookmark
            return http.headers["Sec-Fetch-Site"] == "same-origin"
        return any(name in http.headers for name in _OWN_HEADERS)

    def _is_own_origin(self, http: Request, origin: str) -> bool:
        origin = origin.lower()
        if origin in self._named:
            return True
        if origin.startswith("http:") and http.scheme == "https":  # whoever is on the wire may have written that page
            return False
        page = _place(origin)
        return page is not None and page in (_place(f"//{http.host.lower()}"), _place(_web_address(http)))

    # what browsers are told

    def install(self, app: Flask) -> None:
        """Let an application answer browsers: the cookie, and which pages of other origins may read its replies."""
        app.before_request_funcs.setdefault(None, []).insert(0, lambda: self.preflight(request))
        app.after_request(lambda response: self.finish(request, response))

    def preflight(self, http: Request) -> Response | None:
        """The answer to a browser that asks whether a page may call; None for any other request."""
        if http.method != "OPTIONS" or "Access-Control-Request-Method" not in http.headers:
            return None
        response = Response(status=204)
        if self._may_read(http):
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            names = http.headers.get("Access-Control-Request-Headers", "")
            response.headers["Access-Control-Allow-Headers"] = names if _NAMES.fullmatch(names) else ""
            response.headers["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
        return response

    def finish(self, http: Request, response: Response) -> Response:
        """The reply with its headers for browsers."""
        token = http.environ.get(_SESSION)
        if token is not None:
            self._set_cookie(http, response, token)
        origin = http.headers.get("Origin")
        if origin is not None and (allowed := self._may_read(http)):
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            if allowed != "*":
                response.headers["Access-Control-Allow-Credentials"] = "true"
                response.vary.add("Origin")
        return response

    def _may_read(self, http: Request) -> str:
        """Which origin may: the one that asks, with its visitor's cookie; or any, without."""
        origin = http.headers.get("Origin", "")
        if self._is_own_origin(http, origin):
            return origin
        return "*" if self._anybody else ""

    def _set_cookie(self, http: Request, response: Response, token: str) -> None:
        cookie, domain = self._cookie, self._domain(http)
        response.headers["Cache-Control"] = "no-store"

        def put(value: str, max_age: int, domain: str | None) -> None:
            response.set_cookie(
                cookie.name,
                value,
                max_age=max_age,
                domain=domain,
                secure=cookie.secure,
                httponly=cookie.httponly,
                samesite=cookie.samesite,
            )

        if token:
            put(token, cookie.max_age, domain)
        else:
            for where in {None, domain}:  # also one of before the domain was configured
                put("", 0, where)

    def _domain(self, http: Request) -> str | None:
        """The configured domain; of several the one that the request's host belongs to."""
        domains = self._cookie.domain
        if len(domains) < 2:
            return domains[0] if domains else None
        host = f".{(urlsplit(f'//{http.host}').hostname or '').lower()}"
        return next((domain for domain in domains if host.endswith("." + domain.lower().lstrip("."))), None)


def _cookies(header: str, name: str) -> list[str]:
    """The values of a cookie. Ours need no unquoting, and the framework's reader takes longer than all the rest of a login."""
    pairs = (pair.partition("=") for pair in header.split(";"))
    return [value.strip() for key, _, value in pairs if key.strip() == name]


def _web_address(http: Request) -> str:
    """Where the caller of this request finds the pages of this server."""
    return told_urls(http.environ).web if URLS in http.environ else ""


def _place(url: str) -> tuple[str, int | None] | None:
    """Host and port, None for the scheme's: which of the two that is a proxy may have changed without a word."""
    try:
        parts = urlsplit(url)
        port = None if parts.port in (80, 443) else parts.port
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def _basic(value: str) -> tuple[str, str]:
    try:
        access_key, separator, secret_key = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ApiError(Fault.BAD_CREDENTIALS) from error
    if not separator:
        raise ApiError(Fault.BAD_CREDENTIALS)
    return access_key, secret_key


def _is_local(http: Request) -> bool:
    """Whether the request came from this machine to a name of this machine, and nothing passed it on."""
    host = urlsplit(f"//{http.host}").hostname or ""
    passed_on = http.environ.get(PASSED_ON) or any(name in http.headers for name in ("Via", "X-Real-IP"))
    return not passed_on and _is_loopback(host) and _is_loopback(http.remote_addr or "")


def _is_loopback(host: str) -> bool:
    return host.endswith(".localhost") or is_loopback(host)
