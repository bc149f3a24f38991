"""The page of the web listener."""

from typing import Any

import pytest
from werkzeug.test import Client

from trainshed.services.addresses import Addresses, Advertised
from trainshed.transport.front import Front
from trainshed.transport.web import create_web_app

VERSION = "1.2.3"


def web(**said: Any) -> Client:
    advertised = Advertised(addresses=Addresses(**said), host="0.0.0.0")
    return Client(Front(listener="web", apps={"web": create_web_app(product_version=VERSION)}, advertised=advertised))


@pytest.mark.parametrize("path", ["/", "/projects/a/tasks/b/output/log"], ids=["root", "a link that the client prints"])
def test_the_page(path: str) -> None:
    reply = web().get(path, headers={"Host": "shed.example:8080"})
    assert reply.status_code == 200
    assert f"Trainshed {VERSION}" in reply.text
    assert 'api_server: "http://shed.example:8008"' in reply.text


def test_what_the_pages_are_told() -> None:
    told = web(prefix="/p", files="https://files.example").get("/p/configuration.json", headers={"Host": "h"}).json
    assert told == {
        "webBaseUrl": "http://h/p",
        "apiBaseUrl": "http://h/p/api",
        "fileBaseUrl": "https://files.example",
    }


@pytest.mark.parametrize("path", ["/", "/health", "/configuration.json"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_headers_that_keep_other_pages_out(path: str, method: str) -> None:
    headers = web().open(path, method=method).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert "script-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_browser_that_came_by_https_stays_there() -> None:
    by_https: Any = {"headers": {"X-Forwarded-Proto": "https"}, "environ_base": {"REMOTE_ADDR": "127.0.0.1"}}
    proxied = web(trusted_proxies=("127.0.0.1",)).get("/", **by_https)
    assert proxied.headers["Strict-Transport-Security"] == "max-age=31536000"
    for reply in (web().get("/"), web().get("/", **by_https)):
        assert "Strict-Transport-Security" not in reply.headers


HOSTILE = ['"><script>alert(1)</script>', "a'b", "<img src=x>", "h\u00e9", "%3Cscript%3E"]


@pytest.mark.parametrize("host", HOSTILE)
def test_a_hostile_name_is_not_in_the_page(host: str) -> None:
    reply = web().get("/", headers={"Host": host.encode().decode("latin-1")})
    assert reply.status_code == 200
    assert host not in reply.text
    assert "<script" not in reply.text


def test_health() -> None:
    assert web().get("/health").json == {"status": "ok"}
