"""Script in whatever people may write comes back as the text it is, in a form that no browser runs."""

from collections.abc import Iterator
from io import BytesIO
from itertools import product
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from werkzeug.test import Client, TestResponse

from trainshed.bootstrap import build_apps, build_services
from trainshed.domain.identity import Role
from trainshed.services.addresses import Addresses, Advertised
from trainshed.testing.api import QUICK, TOKEN_SECRET, ApiClient, Json, memory_engines, serve
from trainshed.testing.calls import Calls
from trainshed.transport.front import Front
from trainshed.transport.table import ENDPOINTS, Effect

SCRIPT = "</script><script>alert(1)</script>\"'><svg onload=alert(1)>[x](javascript:alert(1)){{7*7}}${7*7}"
TAG = "<script>alert(1)</script>"
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "<B>")
FILES = ("a.html", "a.svg", "a.xhtml", "a.xml", "a.md", "a.js", "a.pdf", "a", "a.HTM", "a.shtml", "a.svgz")
DOCUMENTS = ("text/html", "image/svg", "xhtml", "/xml", "javascript", "text/css", "pdf")  # a browser opens or runs them


class World:
    """The three listeners, and somebody who may do everything."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.calls = Calls(api)
        apps = build_apps(api.engines, build_services(api.engines, token_secret=TOKEN_SECRET, policy=QUICK), QUICK)
        advertised = Advertised(addresses=Addresses(), host="0.0.0.0")
        self.listeners = {
            name: Client(Front(listener=name, apps=apps, advertised=advertised), use_cookies=False) for name in apps
        }

    def send(self, listener: str, path: str, method: str = "GET", **more: Any) -> TestResponse:
        """What the listener answers to the one who may."""
        headers = {"Authorization": self.api.authorization, **more.pop("headers", {})}
        return self.listeners[listener].open(path, method=method, headers=headers, **more)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    engines = memory_engines(tmp_path_factory.mktemp("world"))
    yield World(serve(engines, role=Role.SYSTEM))
    engines.close()


def assert_is_data(reply: TestResponse) -> None:
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    kind = reply.headers["Content-Type"]
    assert kind == "application/json" or reply.headers["Content-Disposition"].startswith("attachment"), kind


@pytest.mark.parametrize("name", ENDPOINTS)
def test_no_endpoint_answers_with_a_page(world: World, name: str) -> None:
    """Script in each of its fields alone: errors repeat some."""
    fields = [field.encode_name for field in msgspec.structs.fields(ENDPOINTS[name].request)]
    token = world.api.call("auth.login")["token"]  # one of the calls ends it
    arguments = world.calls.arguments(name) if ENDPOINTS[name].effect is Effect.READS else {}
    hostile: list[Json] = [{}, {SCRIPT: 1}, *({field: SCRIPT} for field in fields)]
    for some in hostile:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/html", "Accept": "text/html"}
        assert_is_data(world.send("api", f"/{name}", "POST", json={**arguments, **some}, headers=headers))


def _texts(made: str, **given: Any) -> tuple[str, str, dict[str, Any]]:
    return made, made.partition(".")[0][:-1], given


CREATED = [
    _texts("projects.create", description=SCRIPT, tags=[SCRIPT], default_output_destination=SCRIPT),
    _texts("queues.create", tags=[SCRIPT], display_name=SCRIPT),
    _texts("models.create", comment=SCRIPT, tags=[SCRIPT], uri=SCRIPT, framework=SCRIPT, labels={SCRIPT: 1}),
    _texts("reports.create", comment=SCRIPT, tags=[SCRIPT], report=SCRIPT),
    _texts(
        "tasks.create",
        type="training",
        comment=SCRIPT,
        tags=[SCRIPT],
        script={"repository": SCRIPT, "entry_point": SCRIPT, "diff": SCRIPT, "requirements": {"pip": SCRIPT}},
        hyperparams={SCRIPT: {SCRIPT: {"section": SCRIPT, "name": SCRIPT, "value": SCRIPT, "description": SCRIPT}}},
        configuration={SCRIPT: {"name": SCRIPT, "value": SCRIPT, "description": SCRIPT}},
        execution={"artifacts": [{"key": SCRIPT, "type": SCRIPT, "uri": SCRIPT, "type_data": {"preview": SCRIPT}}]},
        container={"image": SCRIPT, "arguments": SCRIPT},
        runtime={"link": SCRIPT},
    ),
]


@pytest.mark.parametrize(("create", "kind", "given"), CREATED, ids=[made for made, _, _ in CREATED])
def test_text_is_kept_as_it_is_and_is_data(world: World, create: str, kind: str, given: dict[str, Any]) -> None:
    """Who shows it must escape it: one that was escaped here would be shown wrongly by all others."""
    name = f"{SCRIPT} {uuid4().hex}"
    made = world.api.call(create, name=name, **given)["id"]
    asked: Json
    by_id, asked = f"{kind}s.get_by_id", {kind: made}
    if kind == "report":
        by_id, asked = "tasks.get_all", {"id": [made], "search_hidden": True}
    reply = world.send("api", f"/{by_id}", "POST", json=asked)
    assert_is_data(reply)
    data = reply.get_json()["data"]
    shown = data[kind] if kind in data else data["tasks"][0]
    for field, value in {**given, "name": name}.items():
        assert _within(value, shown[field]), field


def _within(given: Any, shown: Any) -> bool:
    if isinstance(given, dict):
        return all(key in shown and _within(value, shown[key]) for key, value in given.items())
    if isinstance(given, list):
        return len(given) == len(shown) and all(map(_within, given, shown))
    return bool(given == shown)


@pytest.mark.parametrize(("listener", "below"), [("files", ""), ("web", "/files")])
@pytest.mark.parametrize("name", FILES)
def test_a_stored_file_never_runs(world: World, listener: str, below: str, name: str) -> None:
    """Whatever type it was stored with, and also where it has the origin of the web pages."""
    path = f"{below}/{uuid4().hex}/{name}"
    sent = {"Content-Type": "text/html;charset=utf-7"}
    assert world.send(listener, path, "PUT", data=SCRIPT.encode(), headers=sent).status_code == 200
    for asked in ({}, {"Accept": "text/html"}, {"Range": "bytes=0-"}):
        reply = world.send(listener, path, headers=asked)
        assert reply.status_code in (200, 206)
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in reply.headers["Content-Security-Policy"]
        assert "allow-scripts" not in reply.headers["Content-Security-Policy"]
        kind = reply.headers["Content-Type"]
        assert "utf-7" not in kind
        attached = reply.headers.get("Content-Disposition", "").startswith("attachment")
        assert attached or not any(document in kind for document in DOCUMENTS), kind


@pytest.mark.parametrize("below", ["", "/files"])
def test_a_file_name_is_no_page(world: World, below: str) -> None:
    listener = "web" if below else "files"
    form = {"f": (BytesIO(b"x"), f"/{SCRIPT}.png", "text/html")}
    replies = [
        world.send(listener, f"{below}/", "POST", data=form),
        world.send(listener, f"{below}/missing/{SCRIPT}"),
        world.send(listener, f"{below}/missing/{SCRIPT}", "DELETE"),
        world.send(listener, f"{below}/delete_many", "POST", json={"files": [SCRIPT]}),
        world.send(listener, f"{below}/../{SCRIPT}", "PUT", data=b"x"),
        world.send(listener, f"{below}/{SCRIPT}", "POST"),
    ]
    for reply in replies:
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Type"] in ("application/json", "text/plain; charset=utf-8", "text/plain")


@pytest.mark.parametrize("listener", ["web", "api", "files"])
@pytest.mark.parametrize(
    "sent",
    [
        {"Host": f'">{TAG}'},
        {"X-Forwarded-Host": f'">{TAG}', "X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Prefix": f'/">{TAG}'},
        {"Referer": TAG, "User-Agent": TAG},
        {"Cookie": TAG, "Accept": "text/html"},
    ],
    ids=["Host", "X-Forwarded-Host", "X-Forwarded-Prefix", "Referer", "Cookie"],
)
def test_nothing_of_a_request_comes_back_as_markup(world: World, listener: str, sent: dict[str, str]) -> None:
    for method, path in product(METHODS, ("/", f"/{TAG}", f"/v2.31/{TAG}", f"/x?a={TAG}")):
        reply = world.send(listener, path, method, headers=sent)
        assert reply.status_code < 500
        if reply.data:
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
        if "html" in reply.headers.get("Content-Type", ""):
            assert b"<script" not in reply.data.lower()
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
