"""What stands before the applications on every listener: who calls, to which name, for which application, and whether now.

It settles once what they then read from the WSGI environment as if there were no proxy: the caller's address, scheme and
host, and a path without what only proxies need.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from werkzeug.wrappers import Response

from trainshed.domain.errors import ApiError, Fault
from trainshed.services.addresses import BELOW, LABELS, Advertised, Origin, Urls, split_host
from trainshed.transport.envelope import failure
from trainshed.transport.forwarded import SAID, Forwarded

WsgiApp = Callable[..., Iterable[bytes]]

LIVE = frozenset({"/", "/health"})  # answered by each application, to everybody
READY = "/ready"
_HOSTS = 256  # names of which it is remembered whether they are answered: working that out takes longer than all the rest here
RETRY_SECONDS = 5  # that clients wait in maintenance between two tries
# In the environment of a request that came through a Front.
URLS = "trainshed.urls"
PEER = "trainshed.peer"  # who connected: the caller, or a proxy
PASSED_ON = "trainshed.passed_on"  # whether a proxy, trusted or not, says that it has passed the request on


class Front:
    """The WSGI application of one listener, before those of all three.

    listener: which one it is; only the web listener has all three applications. apps: listener -> its application.
    ready: why no traffic may come, else None. maintenance: the operator's word while there is maintenance, else None.
    """

    def __init__(
        self,
        *,
        listener: str,
        apps: Mapping[str, WsgiApp],
        advertised: Advertised,
        ready: Callable[[], str | None] = lambda: None,
        maintenance: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._apps = apps
        self._advertised = advertised
        self._allows = lru_cache(_HOSTS)(advertised.allows)
        self._ready = ready
        self._maintenance = maintenance
        self._forwarded = Forwarded(advertised.addresses.proxies, header=advertised.addresses.forwarded)
        self._below = _below(listener, advertised.prefixes())

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        passed_on = any(name in environ for name in SAID)
        origin = self._forwarded.origin(environ)
        path: str = environ["PATH_INFO"]
        name, taken = self._application(origin.host, path)
        rest = path[len(taken) :] or "/"
        environ.update(
            {
                "REMOTE_ADDR": origin.address,
                "HTTP_HOST": origin.host,
                "wsgi.url_scheme": origin.scheme,
                "SCRIPT_NAME": origin.prefix + taken,
                "PATH_INFO": rest,
                PEER: environ.get("REMOTE_ADDR", ""),
                PASSED_ON: passed_on,
                URLS: lambda: self._advertised.of(origin, self._listener),
            }
        )
        try:
            if rest == READY and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                return _readiness(self._why_not_ready())(environ, start_response)
            if rest not in LIVE:
                self._check_open()
            if rest != "/health":
                self._check_host(origin)
        except ApiError as error:
            reply = failure(error)
            if error.fault is Fault.MAINTENANCE:
                reply.headers["Retry-After"] = str(RETRY_SECONDS)
            reply.headers["Connection"] = "close"  # the body of the request was not read
            return reply(environ, start_response)
        return self._apps[name](environ, start_response)

    def _application(self, host: str, path: str) -> tuple[str, str]:
        """Which application is meant, and how the path begins that only says so."""
        name = self._listener
        if name == "web":
            label, _, domain = host.partition(".")
            name = LABELS.get(label.lower(), "web") if domain else "web"
        if name == self._listener:
            for start, meant in self._below:
                if path.startswith(start) and path[len(start) : len(start) + 1] in ("", "/"):
                    return meant, start
        return name, ""

    def _check_host(self, origin: Origin) -> None:
        if not self._allows(origin.host):
            raise ApiError(
                Fault.INVALID_HEADERS,
                f"Host {origin.host[:100]!r} is no name of this server; if it is yours, add to trainshed.conf:"
                f' addresses.hosts: ["{(split_host(origin.host) or ("its name", None))[0]}"]',
            )

    def _check_open(self) -> None:
        word = self._maintenance()
        if word is not None:
            raise ApiError(Fault.MAINTENANCE, word)

    def _why_not_ready(self) -> str | None:
        word = self._maintenance()
        return self._ready() if word is None else f"maintenance: {word}".rstrip(": ")


def told_urls(environ: Mapping[str, Any]) -> Urls:
    """The addresses that the caller of this request is told. Behind a Front only."""
    urls: Callable[[], Urls] = environ[URLS]
    return urls()


def _readiness(why_not: str | None) -> Response:
    body = msgspec.json.encode({"status": "ready"} if why_not is None else {"status": "not ready", "reason": why_not})
    reply = Response(body, 200 if why_not is None else 503, content_type="application/json")
    if why_not is not None:
        reply.headers["Retry-After"] = str(RETRY_SECONDS)
    return reply


def _below(listener: str, prefixes: Mapping[str, str]) -> list[tuple[str, str]]:
    """How a path may begin that is taken off, and for which application; the longest come first."""
    names = tuple(BELOW) if listener == "web" else (listener,)
    starts = {prefixes[name]: name for name in names}
    if listener == "web":
        starts = {base + BELOW[name]: name for base in ("", prefixes["web"]) for name in names} | starts
    return sorted(((start, name) for start, name in starts.items() if start), key=lambda found: -len(found[0]))
