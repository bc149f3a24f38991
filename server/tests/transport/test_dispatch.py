"""From a request to its handler: paths, methods, versions, bodies, and an envelope around whatever comes out."""

import gzip
import zlib

import msgspec
import pytest
from werkzeug.test import create_environ, run_wsgi_app

from trainshed.testing.api import ApiClient
from trainshed.transport.body import MAX_BODY, MAX_DEPTH
from trainshed.transport.table import ENDPOINTS

# Which engine answers makes no difference here.
pytestmark = pytest.mark.parametrize("engines", ["memory"], indirect=True)


# methods and paths


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_any_method_takes_a_body(api: ApiClient, method: str) -> None:
    task = api.call("tasks.create", name="any method", type="training")["id"]
    reply = api.send("/v2.5/tasks.get_by_id", b'{"task": "%s"}' % task.encode(), method=method)
    assert reply.data["task"]["name"] == "any method"


@pytest.mark.parametrize(
    ("path", "requested", "actual"),
    [
        ("/debug.ping", "2.31", "2.31"),
        ("/v2.5/debug.ping", "2.5", "2.5"),
        ("/v2.31/debug.ping", "2.31", "2.31"),
        ("/v2.32/debug.ping", "2.32", "2.31"),
        ("/v3.0/debug.ping", "3.0", "2.31"),
        ("/v999.0/debug.ping", "999.0", "2.31"),
        ("/v2.999/debug.ping", "2.999", "2.31"),
        ("/v2.1/debug.ping", "2.1", "2.1"),
        ("/v2/debug.ping", 2.0, 2.0),
        ("/v1.5/debug.ping", 1.5, 1.5),
        ("/v2.5/debug.ping/", "2.5", "2.5"),
    ],
)
def test_versions_in_the_path(api: ApiClient, path: str, requested: str | float, actual: str | float) -> None:
    reply = api.send(path, b"{}")
    assert reply.pair == (200, 0)
    assert reply.meta["endpoint"] == {
        "name": "debug.ping",
        "requested_version": requested,
        "actual_version": actual,
    }


@pytest.mark.parametrize(
    ("path", "pair"),
    [
        ("/v2.x/debug.ping", (400, 2)),
        ("/vx/debug.ping", (400, 2)),
        ("/v-1.0/debug.ping", (400, 2)),
        ("/v2.5.1/debug.ping", (400, 2)),
        ("/v99999.0/debug.ping", (400, 2)),
        ("/v2.\u0665/debug.ping", (400, 2)),
        ("/v2.5//debug.ping", (400, 2)),
        ("/v2.5/", (400, 2)),
        ("/v1.0/queues.get_all", (400, 1)),
        ("/v2.15/events.scalar_metrics_iter_raw", (400, 1)),
        ("/v2.5/tasks.nothing", (404, 0)),
        ("/nothing.here", (404, 0)),
        ("/v2.5", (404, 0)),
        ("/favicon.ico", (404, 0)),
        ("/a/b/c", (404, 0)),
        ("/tasks.get_all%0a", (404, 0)),
        ("/%ff%00", (404, 0)),
        ("/" + "a" * 10_000, (404, 0)),
        ("/../../etc/passwd", (404, 0)),
    ],
)
def test_paths_that_lead_nowhere(api: ApiClient, path: str, pair: tuple[int, int]) -> None:
    assert api.send(path, b"{}").pair == pair


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"PATH_INFO": "//tasks.get_all"}, 401),
        ({"PATH_INFO": "//"}, 200),
        ({"PATH_INFO": ""}, 200),
        ({"PATH_INFO": "/health"}, 200),
        ({"PATH_INFO": "/debug.ping", "HTTP_HOST": "a b"}, None),
        ({"PATH_INFO": "/debug.ping", "HTTP_HOST": "[::"}, None),
        ({"PATH_INFO": "/debug.ping", "CONTENT_LENGTH": "many"}, None),
        ({"PATH_INFO": "/debug.ping", "QUERY_STRING": "%ff=%ff&&=;"}, None),
    ],
)
def test_odd_requests_get_an_envelope_too(api: ApiClient, environ: dict[str, str], code: int | None) -> None:
    body, status, headers = run_wsgi_app(api.http.application, {**create_environ(), **environ})
    meta = msgspec.json.decode(b"".join(body))["meta"]
    assert meta["result_code"] == int(status[:3])
    assert meta["result_code"] in ({200, 400, 404} if code is None else {code})
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("headers", "connection"),
    [
        ({"X-ClearML-Client": "clearml-2.1.12"}, "close"),
        ({"X-Trains-Client": "clearml-2.1.12"}, "close"),
        ({}, None),
    ],
)
@pytest.mark.parametrize("path", ["/debug.ping", "/tasks.get_all", "/nothing.here"])
def test_a_forking_client_gets_no_second_call_on_its_connection(
    api: ApiClient, path: str, headers: dict[str, str], connection: str | None
) -> None:
    assert api.authorized("").send(path, b"{}", headers=headers).headers.get("Connection") == connection


# bodies


@pytest.mark.parametrize(
    ("body", "pair"),
    [
        (b"", (200, 0)),
        (b"  \n", (200, 0)),
        (b"{}", (200, 0)),
        (b'{"method": "get", "unknown": {"a": [1]}, "verify_watched_queue": null}', (200, 0)),
        (b'{"page": null, "id": null, "tags": null, "order_by": null, "only_fields": null}', (200, 0)),
        (b'{"page": 0', (400, 0)),
        (b"{'page': 0}", (400, 0)),
        (b'{"page": 0} {}', (400, 0)),
        (b'{"page": NaN}', (400, 0)),
        (b'{"page": Infinity}', (400, 0)),
        (b'{"page": 1e999}', (400, 0)),
        (b'{"page": %s}' % (b"9" * 5000), (400, 0)),
        (b'{"name": "\\ud800"}', (400, 0)),
        (b"\xff\xfe{}", (400, 0)),
        (b"[" * 100_000, (400, 0)),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, (400, 0)),
        (b'{"runtime": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}", (200, 0)),
        (b'{"runtime": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", (400, 12)),
        (b"[]", (400, 12)),
        (b"null", (400, 12)),
        (b'"text"', (400, 12)),
        (b"17", (400, 12)),
        (b'{"page": "0"}', (400, 12)),
        (b'{"page": -1}', (400, 12)),
        (b'{"page_size": 0}', (400, 12)),
        (b'{"size": -5, "scroll_id": null}', (400, 12)),
        (b'{"page": 18446744073709551615, "page_size": 18446744073709551615}', (400, 12)),
        (b'{"id": {"a": 1}}', (400, 12)),
        (b'{"filters": {"tags": {"some": {}}}}', (400, 12)),
        (b'{"filters": {"tags": {"op": "xor"}}}', (400, 12)),
        (b'{"name": "%s"}' % (b"n" * 10_000_000), (400, 21)),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.usefixtures("no_stack_traces")
def test_bodies(api: ApiClient, body: bytes, pair: tuple[int, int]) -> None:
    assert api.send("/v2.31/tasks.get_all", body).pair == pair


def test_a_long_comment_comes_back(api: ApiClient) -> None:
    comment = "ü" * 5_000_000
    task = api.call("tasks.create", name="one", type="training", comment=comment)["id"]
    assert api.call("tasks.get_by_id", task=task)["task"]["comment"] == comment


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED = b'{"only_fields": ["name"]}'
BOMB = gzip.compress(b" " * (MAX_BODY + 1))


@pytest.mark.parametrize(
    ("encoding", "body", "pair"),
    [
        ("gzip", gzip.compress(PACKED), (200, 0)),
        ("GZip", gzip.compress(PACKED), (200, 0)),
        ("deflate", zlib.compress(PACKED), (200, 0)),
        ("identity", PACKED, (200, 0)),
        ("gzip", b"", (200, 0)),
        ("gzip", PACKED, (400, 0)),
        ("gzip", gzip.compress(PACKED)[:-9], (400, 0)),
        ("deflate", raw_deflate(PACKED), (400, 0)),
        ("br", PACKED, (400, 5)),
        ("gzip", BOMB, (413, 0)),
        ("gzip", gzip.compress(BOMB), (400, 0)),
        ("identity", b" " * (MAX_BODY + 1), (413, 0)),
    ],
    ids=[
        "gzip",
        "upper case",
        "deflate",
        "identity",
        "nothing",
        "not packed",
        "cut off",
        "raw deflate",
        "brotli",
        "bomb",
        "packed twice",
        "too large",
    ],
)
def test_packed_bodies(api: ApiClient, encoding: str, body: bytes, pair: tuple[int, int]) -> None:
    assert api.send("/tasks.get_all", body, headers={"Content-Encoding": encoding}).pair == pair


@pytest.mark.parametrize(
    ("query", "body", "pair"),
    [
        ("expiration_sec=3600", b"", (200, 0)),
        ("expiration_sec=3600", b"{}", (200, 0)),
        ("expiration_sec=soon", b"", (400, 12)),
        ("expiration_sec=soon", b"{}", (400, 12)),
        ("expiration_sec=1&expiration_sec=2", b"", (400, 12)),
        ("unknown=1", b"", (200, 0)),
    ],
)
def test_arguments_in_the_query_string(api: ApiClient, query: str, body: bytes, pair: tuple[int, int]) -> None:
    assert api.send(f"/auth.login?{query}", body, method="GET").pair == pair


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["one one", "two two"]),
        ("name=one", ["one one"]),
        ("tags=a&tags=b", ["one one", "two two"]),
        ("page=1&page_size=1&order_by=name", ["two two"]),
        ("search_hidden=false&order_by=name", ["one one", "two two"]),
        ("search_hidden=true&order_by=name", ["hidden one", "one one", "two two"]),
    ],
)
def test_a_listing_by_query_string(api: ApiClient, query: str, names: list[str]) -> None:
    for name, tag in {"one one": "a", "two two": "b"}.items():
        api.call("tasks.create", name=name, type="training", tags=[tag])
    api.call("tasks.create", name="hidden one", type="training", system_tags=["hidden"])
    reply = api.send(f"/tasks.get_all?{query}", method="GET")
    assert sorted(task["name"] for task in reply.data["tasks"]) == names


# the envelope


def test_an_error_of_the_servers_own_keeps_its_details_in_the_log(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret of the code")

    monkeypatch.setitem(ENDPOINTS, "debug.ping", ENDPOINTS["debug.ping"]._replace(handler=broken))
    reply = api.send("/debug.ping")
    assert reply.pair == (500, 0)
    assert "secret" not in str(reply.meta)
    assert "ZeroDivisionError" in caplog.text


def test_a_request_id_is_in_every_reply_and_new(api: ApiClient) -> None:
    ids = {api.send(path).meta["id"] for path in ("/debug.ping", "/debug.ping", "/no.thing")}
    assert len(ids) == 3
