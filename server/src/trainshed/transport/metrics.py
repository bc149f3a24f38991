"""Figures in Prometheus' text form: those of requests are counted here, the others are asked for when somebody looks.

Labels have few values each, whatever callers send: endpoints, methods and listeners that there are.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from werkzeug.wrappers import Request, Response

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity, Role
from trainshed.services.addresses import Network, is_among
from trainshed.services.gauges import Gauge
from trainshed.transport.envelope import failure
from trainshed.transport.table import ENDPOINTS

WsgiApp = Callable[..., Iterable[bytes]]

PATH = "/metrics"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
# Seconds: most calls take about a millisecond, listings some ten; beyond a second somebody waits.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Requests:
    """Counts requests by listener, endpoint and status, and their seconds until the reply began."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._seconds: dict[tuple[str, str], list[float]] = {}  # a count for each bucket and one beyond, and the sum

    def observe(self, listener: str, method: str, path: str, status: str, seconds: float) -> None:
        """One request."""
        name = path.rstrip("/").rpartition("/")[2]
        endpoint = name if name in ENDPOINTS else method if method in _METHODS else "other"
        counted, timed = (listener, endpoint, status), (listener, endpoint)
        with self._lock:
            self._counts[counted] = self._counts.get(counted, 0) + 1
            found = self._seconds.get(timed)
            if found is None:
                found = self._seconds[timed] = [0.0] * (len(BUCKETS) + 2)
            found[bisect_left(BUCKETS, seconds)] += 1
            found[-1] += seconds

    def lines(self) -> Iterator[str]:
        """What stands in the reply."""
        with self._lock:
            counts = sorted(self._counts.items())
            times = sorted((key, list(found)) for key, found in self._seconds.items())
        yield from _head("trainshed_requests_total", "counter", "Requests answered, by listener, endpoint and status.")
        for (listener, endpoint, status), count in counts:
            yield _line(
                "trainshed_requests_total", {"listener": listener, "endpoint": endpoint, "status": status}, count
            )
        name = "trainshed_request_seconds"
        yield from _head(name, "histogram", "Seconds until the reply began, by listener and endpoint.")
        for (listener, endpoint), found in times:
            labels, so_far = {"listener": listener, "endpoint": endpoint}, 0.0
            for bound, met in zip((*BUCKETS, "+Inf"), found, strict=False):
                so_far += met
                yield _line(f"{name}_bucket", {**labels, "le": str(bound)}, so_far)
            yield _line(f"{name}_sum", labels, found[-1])
            yield _line(f"{name}_count", labels, so_far)


class WithMetrics:
    """An application that also answers /metrics: to administrators, and to addresses that may look without a key.

    identify: who asks; raises ApiError. gauges: what is asked for at each look.
    """

    def __init__(
        self,
        app: WsgiApp,
        *,
        requests: Requests,
        gauges: Callable[[], Iterable[Gauge]],
        identify: Callable[[Any], Identity],
        open_to: Sequence[Network] = (),
    ) -> None:
        self._app = app
        self._requests = requests
        self._gauges = gauges
        self._identify = identify
        self._open_to = tuple(open_to)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return self._app(environ, start_response)
        try:
            self._check(Request(environ))
            text = "".join(f"{line}\n" for line in (*self._requests.lines(), *_gauge_lines(self._gauges())))
            reply = Response(text, content_type="text/plain; version=0.0.4; charset=utf-8")
        except ApiError as error:
            reply = failure(error)
            reply.headers["Connection"] = "close"  # a body may not have been read
        return reply(environ, start_response)

    def _check(self, request: Request) -> None:
        if request.method not in ("GET", "HEAD"):
            raise ApiError(Fault.BAD_REQUEST, "figures are read by GET")
        if not is_among(request.remote_addr or "", self._open_to):
            role = self._identify(request).role
            if role not in (Role.ADMIN, Role.ROOT):
                raise ApiError(Fault.ROLE_NOT_ALLOWED, role.value)


def _gauge_lines(gauges: Iterable[Gauge]) -> Iterator[str]:
    last = ""
    for gauge in gauges:
        if gauge.name != last:
            yield from _head(gauge.name, "counter" if gauge.name.endswith("_total") else "gauge", gauge.help)
            last = gauge.name
        yield _line(gauge.name, gauge.labels, gauge.value)


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _line(name: str, labels: dict[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_quoted(text)}"' for key, text in labels.items())
    number = int(value) if value == int(value) else value
    return f"{name}{{{inner}}} {number}" if inner else f"{name} {number}"


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
