"""Ids and figures of requests, and who may read the figures."""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity, Role
from trainshed.domain.trace import current
from trainshed.services.gauges import Gauge
from trainshed.transport.envelope import failure
from trainshed.transport.metrics import BUCKETS, Requests, WithMetrics
from trainshed.transport.observed import HEADER, Observed
from trainshed.transport.table import ENDPOINTS

PEER = {"REMOTE_ADDR": "10.0.0.7"}
Get = Callable[..., TestResponse]


def failing(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    return failure(ApiError(Fault.NOT_FOUND))(environ, start)


def get(app: Any, path: str = "/", method: str = "GET", **headers: str) -> TestResponse:
    return Client(app, Response).open(path, method=method, headers=headers, environ_overrides=PEER)


def observed(*proxies: str) -> Observed:
    return Observed(failing, listener="api", requests=Requests(), proxies=[ip_network(proxy) for proxy in proxies])


def test_an_error_and_its_reply_have_one_id() -> None:
    first, second = get(observed()), get(observed())
    assert first.json is not None
    assert first.json["meta"]["id"] == first.headers[HEADER] == first.json["meta"]["trx"]
    assert first.headers[HEADER] != second.headers[HEADER]


@pytest.mark.parametrize(
    ("proxies", "given", "taken"),
    [
        ((), "from-anybody", False),
        (("10.0.0.0/8",), "from-the-proxy", True),
        (("192.168.0.0/16",), "from-another", False),
        (("10.0.0.0/8",), "x" * 65, False),
        (("10.0.0.0/8",), "two words", False),
        (("10.0.0.0/8",), "", False),
    ],
)
def test_whose_ids_are_taken_over(proxies: tuple[str, ...], given: str, taken: bool) -> None:
    assert (get(observed(*proxies), **{HEADER: given}).headers[HEADER] == given) is taken


def test_no_id_of_a_former_request_is_left() -> None:
    seen: list[str] = []

    def app(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.append(current.get())
        return Response("ok")(environ, start)

    for _ in range(2):
        get(Observed(app, listener="web", requests=Requests()))
    assert len(set(seen)) == 2


def with_metrics(role: Role | None = None, *open_to: str, requests: Requests | None = None) -> WithMetrics:
    def identify(request: Any) -> Identity:
        if role is None:
            raise ApiError(Fault.NO_CREDENTIALS)
        return Identity(user="u", role=role)

    return WithMetrics(
        failing,
        requests=requests or Requests(),
        gauges=lambda: [
            Gauge("trainshed_queue_entries", "Tasks that wait.", 2, {"queue": 'a "b"\nc\\'}),
            Gauge("trainshed_queue_entries", "Tasks that wait.", 0.5, {"queue": "d"}),
        ],
        identify=identify,
        open_to=[ip_network(network) for network in open_to],
    )


@pytest.mark.parametrize(
    ("role", "open_to", "status"),
    [
        (None, (), 401),
        (Role.USER, (), 403),
        (Role.ADMIN, (), 200),
        (None, ("10.0.0.0/8",), 200),
        (None, ("127.0.0.0/8",), 401),
        (None, ("::/0",), 401),
    ],
)
def test_who_reads_figures(role: Role | None, open_to: tuple[str, ...], status: int) -> None:
    assert get(with_metrics(role, *open_to), "/metrics").status_code == status


def test_other_paths_and_methods_are_not_the_figures() -> None:
    assert get(with_metrics(Role.ADMIN), "/metrics/").status_code == 404
    assert get(with_metrics(Role.ADMIN), "/metrics", "POST").status_code == 400


LINE = re.compile(r'[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)*\})? [0-9.e+-]+\Z')


def test_the_form_of_figures() -> None:
    requests = Requests()
    for seconds in (0.0005, 0.0015, 0.3, 99):
        requests.observe("api", "POST", "/v2.31/tasks.get_all", "200", seconds)
    requests.observe("api", "POST", "/v2.31/tasks.get_all", "400", 0.002)
    text = get(with_metrics(Role.ADMIN, requests=requests), "/metrics").text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not LINE.match(line)] == []
    assert 'trainshed_requests_total{listener="api",endpoint="tasks.get_all",status="200"} 4' in lines
    assert 'trainshed_requests_total{listener="api",endpoint="tasks.get_all",status="400"} 1' in lines
    labels = 'listener="api",endpoint="tasks.get_all"'
    met = [f"trainshed_request_seconds_bucket{{{labels},le=" in line for line in lines]
    assert sum(met) == len(BUCKETS) + 1
    for bound, count in (("0.001", 1), ("0.0025", 3), ("0.25", 3), ("0.5", 4), ("10.0", 4), ("+Inf", 5)):
        assert f'trainshed_request_seconds_bucket{{{labels},le="{bound}"}} {count}' in lines
    assert f"trainshed_request_seconds_count{{{labels}}} 5" in lines
    assert f"trainshed_request_seconds_sum{{{labels}}} 99.304" in lines
    assert r'trainshed_queue_entries{queue="a \"b\"\nc\\"} 2' in lines
    assert text.count("# TYPE trainshed_queue_entries gauge") == 1


def test_labels_are_few_whatever_callers_send() -> None:
    requests = Requests()
    for number in range(500):
        requests.observe("api", f"BREW{number}", f"/v2.31/tasks.{number}", "404", 0)
        requests.observe("files", "GET", f"/{number}", "200", 0)
        requests.observe("files", "PUT", f"/project/{number}", "200", 0)
    for name in ENDPOINTS:
        requests.observe("api", "POST", f"/{name}", "200", 0)
    assert len({line for line in requests.lines() if line.startswith("trainshed_requests_total")}) == 3 + len(ENDPOINTS)
