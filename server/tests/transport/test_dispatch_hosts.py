"""One listener before three applications: by name, by path, and with a word on whether now."""

from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from trainshed.services.addresses import Addresses, Advertised
from trainshed.transport.front import Front, told_urls

PORTS = {"web": 8080, "api": 8008, "files": 8081}
NEAR = "10.0.0.2"


def app(name: str) -> Any:
    def says(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        said = [name, environ["SCRIPT_NAME"], environ["PATH_INFO"], environ["REMOTE_ADDR"], told_urls(environ).api]
        return ["|".join(said).encode("latin-1")]

    return says


def front(listener: str = "web", *, host: str = "0.0.0.0", **more: Any) -> Client:
    said = more.pop("said", {})
    advertised = Advertised(addresses=Addresses(**said), host=host, ports=PORTS)
    return Client(Front(listener=listener, apps={n: app(n) for n in PORTS}, advertised=advertised, **more))


def get(client: Client, url: str, **more: Any) -> TestResponse:
    base, _, path = url.partition("//")[2].partition("/")
    headers = {"Host": base, **more.pop("headers", {})}
    return client.open(f"/{path}", headers=headers, environ_base={"REMOTE_ADDR": NEAR}, **more)


def reached(client: Client, url: str, **more: Any) -> str:
    """application|what was taken off|path"""
    return get(client, url, **more).text.rpartition("|")[0].rpartition("|")[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:8080/projects/a", "web||/projects/a"),
        ("http://h:8080/api/v2.31/tasks.get_all", "api|/api|/v2.31/tasks.get_all"),
        ("http://h:8080/api", "api|/api|/"),
        ("http://h:8080/files/a/b.png", "files|/files|/a/b.png"),
        ("http://h:8080/filesystem", "web||/filesystem"),
        ("http://h:8080/apis/x", "web||/apis/x"),
        ("http://app.h/a", "web||/a"),
        ("http://app.h/api/v2.31/x.y", "api|/api|/v2.31/x.y"),
        ("http://api.h/v2.31/x.y", "api||/v2.31/x.y"),
        ("http://API.h:443/v2.31/x.y", "api||/v2.31/x.y"),
        ("http://files.h/api/x", "files||/api/x"),
        ("http://files.h/files/x", "files||/files/x"),
        ("http://files/x", "web||/x"),
        ("http://apifiles.h/x", "web||/x"),
    ],
)
def test_the_web_listener_has_all_three(url: str, expected: str) -> None:
    assert reached(front(), url) == expected


@pytest.mark.parametrize("listener", ["api", "files"])
@pytest.mark.parametrize("url", ["http://h:1/files/x", "http://app.h/api/x", "http://h/p/x"])
def test_the_others_have_one(listener: str, url: str) -> None:
    path = "/" + url.partition("//")[2].partition("/")[2]
    assert reached(front(listener), url) == f"{listener}||{path}"


@pytest.mark.parametrize(
    ("listener", "path", "expected"),
    [
        ("web", "/p", "web|/p|/"),
        ("web", "/p/", "web|/p|/"),
        ("web", "/p/login", "web|/p|/login"),
        ("web", "/p/api/v2.31/x.y", "api|/p/api|/v2.31/x.y"),
        ("web", "/p/files/a", "files|/p/files|/a"),
        ("web", "/files/a", "files|/files|/a"),
        ("web", "/pp/a", "web||/pp/a"),
        ("api", "/p/api/v2.31/x.y", "api|/p/api|/v2.31/x.y"),
        ("api", "/v2.31/x.y", "api||/v2.31/x.y"),
        ("files", "/p/files/files/a", "files|/p/files|/files/a"),
        ("files", "/files/a", "files||/files/a"),
        ("files", "/p/a", "files||/p/a"),
    ],
)
def test_a_path_before_all(listener: str, path: str, expected: str) -> None:
    assert reached(front(listener, said={"prefix": "/p"}), f"http://h{path}") == expected


def test_the_path_of_a_configured_url_is_taken_off() -> None:
    said = {"web": "https://h/a", "api": "https://h/b", "files": "https://other/c"}
    assert reached(front(said=said), "http://h/a/api/x") == "api|/a/api|/x"
    assert reached(front(said=said), "http://h/b/x") == "api|/b|/x"
    assert reached(front("files", said=said), "http://h/c/c/x") == "files|/c|/c/x"


def test_what_a_trusted_proxy_says() -> None:
    said = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/p", "Host": "h"}
    trusting = front(said={"trusted_proxies": (NEAR,)})
    assert get(trusting, "http://h/a", headers=said).text == "web|/p|/a|9.9.9.9|https://h/p/api"
    assert get(front(), "http://h:8080/a", headers={**said, "Host": "h:8080"}).text == f"web||/a|{NEAR}|http://h:8008"


HOSTILE = ["evil.example", "127.0.0.1.evil.example", "192.0.2.1", "a b", "[::1"]


@pytest.mark.parametrize("listener", ["web", "api", "files"])
@pytest.mark.parametrize("host", HOSTILE)
def test_a_name_that_somebody_else_made_is_refused_on_the_loopback(listener: str, host: str) -> None:
    reply = get(
        front(listener, host="127.0.0.1"), "http://x/v2.31/tasks.get_all", headers={"Host": host}, method="POST"
    )
    assert reply.status_code == 400
    assert reply.json is not None
    assert reply.json["meta"]["result_subcode"] == 5
    assert 'addresses.hosts: ["' in reply.json["meta"]["result_msg"], "the message names the line that mends it"
    assert get(front(listener, host="127.0.0.1"), "http://x/health", headers={"Host": host}).status_code == 200
    assert get(front(listener, host="127.0.0.1"), "http://x/", headers={"Host": host}).status_code == 400


def test_its_own_names_are_not() -> None:
    server = front(host="127.0.0.1", said={"web": "https://shed.example"})
    for host in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080", "shed.example", ""):
        assert get(server, "http://x/a", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("listener", ["web", "api", "files"])
def test_in_maintenance_only_health_is_answered(listener: str) -> None:
    word: list[str] = []
    server = front(listener, maintenance=lambda: word[0] if word else None)
    assert get(server, "http://h/ready").json == {"status": "ready"}
    word.append("back at noon")
    for path in ("/", "/health"):
        assert get(server, f"http://h{path}").status_code == 200
    ready = get(server, "http://h/ready")
    assert ready.status_code == 503
    assert ready.json == {"status": "not ready", "reason": "maintenance: back at noon"}
    for method in ("GET", "POST", "PUT", "DELETE"):
        reply = get(server, "http://h/v2.31/tasks.get_all", method=method)
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.json is not None
        assert reply.json["meta"]["result_code"] == 503
        assert "back at noon" in reply.json["meta"]["result_msg"]
    word.clear()
    assert get(server, "http://h/v2.31/tasks.get_all").status_code == 200


def test_not_ready_says_why() -> None:
    reply = get(front(ready=lambda: "the store is not available"), "http://h/ready")
    assert (reply.status_code, reply.json) == (503, {"status": "not ready", "reason": "the store is not available"})
    assert "Retry-After" in reply.headers
