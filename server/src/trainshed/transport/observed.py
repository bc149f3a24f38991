"""What is noted of each request on every listener: an id by which all speak of it, its figures, and a line if asked for."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any

from trainshed.domain.ids import new_id
from trainshed.domain.trace import current
from trainshed.services.addresses import Network, is_among
from trainshed.services.logs import ACCESS
from trainshed.transport.metrics import Requests

WsgiApp = Callable[..., Iterable[bytes]]

HEADER = "X-Request-Id"
_ID = re.compile(r"[A-Za-z0-9._+/=-]{1,64}\Z")

log = logging.getLogger(ACCESS)


class Observed:
    """The WSGI application of a listener, observed.

    proxies: those whose ids of requests are taken over. access: whether to write a line for each request; without the query,
    which may hold secrets.
    """

    def __init__(
        self, app: WsgiApp, *, listener: str, requests: Requests, proxies: Sequence[Network] = (), access: bool = False
    ) -> None:
        self._app = app
        self._listener = listener
        self._requests = requests
        self._proxies = tuple(proxies)
        self._access = access

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        began = perf_counter()
        given = environ.get("HTTP_X_REQUEST_ID")
        name = given if given and self._proxies and self._takes(given, environ) else new_id()
        former = current.set(name)
        status = "500"

        def start(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = line[:3]
            headers.append((HEADER, name))
            return start_response(line, headers, *rest)

        try:
            return self._app(environ, start)
        finally:
            seconds = perf_counter() - began
            self._requests.observe(self._listener, environ["REQUEST_METHOD"], environ["PATH_INFO"], status, seconds)
            if self._access:
                log.info(
                    "%s %s %s %s %s %.1f ms",
                    self._listener,
                    environ.get("REMOTE_ADDR", "-"),
                    environ["REQUEST_METHOD"],
                    environ["PATH_INFO"],
                    status,
                    seconds * 1000,
                )
            current.reset(former)

    def _takes(self, given: str, environ: dict[str, Any]) -> bool:
        return bool(_ID.match(given)) and is_among(environ.get("REMOTE_ADDR", ""), self._proxies)
