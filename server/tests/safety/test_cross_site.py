"""What pages of other sites can make a visitor's browser do: nothing that changes anything, on any listener, by any method."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import Client, TestResponse

from trainshed.bootstrap import Engines, build_apps, build_services
from trainshed.domain.identity import Role
from trainshed.services.accounts.policy import Cors, Policy, TrustedHeader
from trainshed.services.addresses import PORTS, Addresses, Advertised
from trainshed.testing.api import QUICK, TOKEN_SECRET, memory_engines
from trainshed.transport.front import Front
from trainshed.transport.table import ENDPOINTS, Effect

HOST = "box.example.org"
NAMED = "https://notebooks.example.org"
POLICY = replace(
    QUICK,
    cors=Cors(origins=(NAMED,)),
    trusted_header=TrustedHeader(name="RemoteUser", proxies=("127.0.0.0/8",), role=Role.ADMIN),
)
PEER_ADDRESS = {"REMOTE_ADDR": "127.0.0.1"}  # of a trusted proxy
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "QUERY")
# What the browser says of a call that a foreign page, a mail or a bookmark made.
FOREIGN: dict[str, dict[str, str]] = {
    "a link on plain http": {},
    "a link": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    "a link in a mail": {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"},
    "a form": {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
    "a form as text": {"Origin": "https://evil.example", "Content-Type": "text/plain"},
    "a sandboxed page": {"Origin": "null"},
    "another port": {"Origin": f"http://{HOST}:9999"},
    "a neighbour": {"Origin": f"http://evil.{HOST}:8080", "Sec-Fetch-Site": "same-site"},
    "a name that begins so": {"Origin": f"http://{HOST}.evil.example:8080"},
    "a name that hides it": {"Origin": f"http://{HOST}@evil.example:8080"},
    "a page that wants to be ours": {"Origin": "https://evil.example", "X-Requested-With": "x"},
}
OWN: dict[str, dict[str, str]] = {
    "the web app": {"Origin": f"http://{HOST}:8080"},
    "the web app, by its own address": {"Sec-Fetch-Site": "same-origin"},
    "a header of ours": {"X-Requested-With": "XMLHttpRequest"},
    "a named origin": {"Origin": NAMED},
}
CHANGING = [name for name, entry in ENDPOINTS.items() if entry.login and entry.effect is not Effect.READS]


class Browser:
    """A browser that somebody has logged in with, against the three listeners."""

    def __init__(self, engines: Engines, policy: Policy = POLICY) -> None:
        services = build_services(engines, token_secret=TOKEN_SECRET, policy=policy)
        self.user = services.accounts.create_user("visitor", role=Role.SYSTEM)
        token = services.accounts.issue_token(services.accounts.identity(self.user))
        self.cookie = {"Cookie": f"{POLICY.cookies.name}={token}"}
        self.bearer = {"Authorization": f"Bearer {token}"}
        advertised = Advertised(addresses=Addresses(), host="0.0.0.0")
        apps = build_apps(engines, services, policy)
        fronts = {name: Front(listener=name, apps=apps, advertised=advertised) for name in apps}
        self._http = {name: Client(front, use_cookies=False) for name, front in fronts.items()}

    def send(
        self, listener: str, path: str, headers: Mapping[str, str], method: str = "POST", **more: Any
    ) -> TestResponse:
        """What the listener answers."""
        sent = {"Host": f"{HOST}:{PORTS[listener]}", **headers}
        return self._http[listener].open(path, method=method, headers=sent, environ_base=PEER_ADDRESS, **more)


# The API is at two addresses, and so are the files.
API = (("api", ""), ("web", "/api"))
FILES = (("files", ""), ("web", "/files"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    engines = memory_engines(tmp_path_factory.mktemp("browser"))
    engines.blobs.put("there/already", [b"content"])
    yield Browser(engines)
    engines.close()


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(("listener", "below"), API)
def test_a_cookie_alone_changes_nothing(browser: Browser, listener: str, below: str, headers: dict[str, str]) -> None:
    for method in METHODS:
        for name in CHANGING:
            reply = browser.send(listener, f"{below}/{name}?task=x&queue=x", {**browser.cookie, **headers}, method)
            assert reply.status_code == 403, (method, name)
    for path in (f"{below}/tasks.get_all", f"{below}/v2.31/users.get_current_user"):  # nobody else can read the answer
        assert browser.send(listener, path, {**browser.cookie, **headers}, "GET").status_code == 200


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize(("listener", "below"), FILES)
def test_a_cookie_alone_stores_and_deletes_no_file(
    browser: Browser, listener: str, below: str, headers: dict[str, str]
) -> None:
    sent = {**browser.cookie, **headers}
    form = {"new": (BytesIO(b"x"), "new")}
    assert (
        browser.send(listener, f"{below}/", {**browser.cookie, **_without_type(headers)}, data=form).status_code == 403
    )
    assert browser.send(listener, f"{below}/new", sent, "PUT", data=b"x").status_code == 403
    assert browser.send(listener, f"{below}/there/already", sent, "DELETE").status_code == 403
    listed = b'{"files": ["there/already"]}'
    assert browser.send(listener, f"{below}/delete_many", sent, data=listed).status_code == 403
    assert browser.send(listener, f"{below}/there/already", sent, "GET").data == b"content"  # as an image in a page
    assert browser.send(listener, f"{below}/new", browser.cookie, "GET").status_code == 404


@pytest.mark.parametrize("headers", OWN.values(), ids=OWN)
def test_pages_of_ours_may(browser: Browser, headers: dict[str, str]) -> None:
    sent = {**browser.cookie, **headers}
    for listener, below in API:
        assert browser.send(listener, f"{below}/projects.create", sent, json={"name": uuid4().hex}).status_code == 200
    for listener, below in FILES:
        assert browser.send(listener, f"{below}/ours", sent, "PUT", data=b"x").status_code == 200


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_program_with_a_header_is_not_affected(browser: Browser, headers: dict[str, str]) -> None:
    sent = {**browser.bearer, **headers}
    body = f'{{"name": "{uuid4().hex}"}}'
    assert browser.send("api", "/projects.create", sent, data=body).status_code == 200
    assert browser.send("files", "/theirs", sent, "PUT", data=b"x").status_code == 200


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_proxys_word_alone_changes_nothing(browser: Browser, headers: dict[str, str]) -> None:
    sent = {"RemoteUser": "jane", **headers}
    assert browser.send("api", "/users.get_current_user", sent, "GET").status_code == 200
    assert browser.send("api", "/projects.create", sent, json={"name": "by a foreign page"}).status_code == 403
    assert browser.send("files", "/new", sent, "PUT", data=b"x").status_code == 403


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_page_logs_nobody_in_or_out(browser: Browser, headers: dict[str, str]) -> None:
    for name in ("accounts.login", "accounts.login_by_name", "accounts.redeem"):
        fields = {"username": "jane", "password": "correct horse", "name": "jane", "token": "t"}
        reply = browser.send("api", f"/{name}", headers, query_string=fields, method="GET")
        assert (reply.status_code, reply.headers.get("Set-Cookie")) == (403, None)
    reply = browser.send("api", "/login.logout", {**browser.cookie, **headers}, "GET")
    assert reply.headers.get("Set-Cookie") is None
    assert browser.send("api", "/users.get_current_user", browser.cookie, "GET").status_code == 200


# reading from other origins


@pytest.mark.parametrize("listener", ["api", "files", "web"])
@pytest.mark.parametrize("origin", [NAMED, f"http://{HOST}:8080"])
def test_named_origins_may_read_with_the_cookie(browser: Browser, listener: str, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    for reply in (
        browser.send(listener, "/x", asked, "OPTIONS"),
        browser.send(listener, "/", {**browser.cookie, "Origin": origin}, "GET"),
    ):
        assert reply.headers["Access-Control-Allow-Origin"] == origin
        assert reply.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in reply.headers["Vary"]
    exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Content-Disposition", "Content-Range", "ETag", "Retry-After", "Upload-Offset"} == {*exposed}
    assert browser.send(listener, "/x", asked, "OPTIONS").headers["Access-Control-Allow-Headers"] == "content-type"


@pytest.mark.parametrize("listener", ["api", "files", "web"])
@pytest.mark.parametrize("headers", [h for h in FOREIGN.values() if "Origin" in h], ids=lambda h: h["Origin"])
def test_no_other_origin_may_read(browser: Browser, listener: str, headers: dict[str, str]) -> None:
    for reply in (
        browser.send(listener, "/x", {**headers, "Access-Control-Request-Method": "POST"}, "OPTIONS"),
        browser.send(listener, "/", {**browser.cookie, **headers}, "GET"),
    ):
        assert not [name for name in dict(reply.headers) if name.startswith("Access-Control-Allow")]


@pytest.mark.parametrize("listener", ["api", "files", "web"])
def test_out_of_the_box_every_origin_may_read_without_the_cookie_alone(listener: str, tmp_path: Path) -> None:
    browser = Browser(memory_engines(tmp_path), replace(POLICY, cors=Cors()))
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = browser.send(listener, "/x", asked, "OPTIONS")
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers


def _without_type(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Content-Type"}
