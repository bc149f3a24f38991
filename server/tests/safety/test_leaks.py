"""Where secrets and the server's insides must not be: at rest, in errors, in logs, in the arguments of commands, in headers."""

import argparse
import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from werkzeug.test import TestResponse

from trainshed import bootstrap
from trainshed.bootstrap import Engines, build_apps, build_services
from trainshed.cli import _parser
from trainshed.domain.errors import StoreError
from trainshed.domain.identity import Role
from trainshed.services.accounts.policy import Cors
from trainshed.settings import Settings
from trainshed.testing.api import QUICK, TOKEN_SECRET, CallFailed, memory_engines, serve, sqlite_engines
from trainshed.testing.calls import PASSWORD, Calls
from trainshed.transport.replies import REPLIES, File
from trainshed.transport.table import ENDPOINTS

INSIDE = "/srv/secret-folder/documents.db: near SELECT password FROM users"


# at rest


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, name)
    elif isinstance(value, str) and value and name in ("token", "secret_key"):
        yield value


def test_no_secret_that_is_only_compared_is_at_rest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever secret any endpoint hands out, and the passwords that it takes: not in a database, its log, or ours."""
    with caplog.at_level(logging.DEBUG):
        engines = sqlite_engines(tmp_path)
        api = serve(engines, role=Role.SYSTEM)
        calls = Calls(api)
        given = {PASSWORD, api.keys.secret_key, api.authorization.partition(" ")[2]}
        for name in ENDPOINTS:
            if name.startswith(("accounts.", "auth.", "login.", "users.")):
                with suppress(CallFailed):  # those that need what is configured
                    given.update(_secrets(calls.make(name)))
        calls.with_password()
        open_files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        engines.close()
    assert len(given) >= 8, given
    closed = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert any(path.name.endswith("-wal") for path in tmp_path.iterdir()) or b"a task" in open_files
    for secret in given:
        assert secret.encode() not in open_files, secret
        assert secret.encode() not in closed, secret
        assert secret not in caplog.text, secret


def test_what_is_stored_is_its_owners_alone(tmp_path: Path) -> None:
    """Whatever the mask of who starts it allows; there are no temporary files elsewhere."""
    data, former = tmp_path / "data", os.umask(0)
    try:
        settings = Settings(data_dir=data, durable=False)
        engines = bootstrap.open_engines(settings)
        services = bootstrap.build_services(engines, token_secret=bootstrap.secret(data, "token"))
        services.accounts.ensure_admin()
        engines.blobs.put("a/b/c", [b"x"])
        open_to_others = [
            (str(path.relative_to(data)), oct(path.stat().st_mode))
            for path in [data, *data.rglob("*")]
            if path.stat().st_mode & 0o077
            and not any(above.stat().st_mode & 0o077 == 0 for above in within(path, data))
        ]
        engines.close()
    finally:
        os.umask(former)
    assert open_to_others == []


def within(path: Path, root: Path) -> list[Path]:
    """The folders that one must pass to reach it."""
    return [above for above in path.parents if above.is_relative_to(root)]


# errors


class Broken:
    """An engine that fails after so many calls, and says what nobody outside may read."""

    def __init__(self, whole: Any, error: type[Exception]) -> None:
        self._whole = whole
        self._error = error
        self.left: int | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._whole, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if self.left is not None:
                self.left -= 1
                if self.left < 0:
                    raise self._error(INSIDE)
            return method(*arguments, **named)

        return call if callable(method) else method


@pytest.fixture(scope="module", params=[StoreError, RuntimeError])
def broken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engines, Any]]:
    whole = memory_engines(tmp_path_factory.mktemp("broken"))
    parts = {name: Broken(getattr(whole, name), request.param) for name in ("documents", "events")}
    engines = replace(whole, **parts)
    api = serve(engines, role=Role.SYSTEM)
    yield engines, (api, Calls(api))
    whole.close()


@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_broken_engine_is_not_described(broken: tuple[Engines, Any], name: str) -> None:
    engines, (api, calls) = broken
    arguments = msgspec.json.encode(calls.arguments(name))
    token = api.call("auth.login")["token"]  # one of the calls ends it
    engines_broken: Any = (engines.documents, engines.events)
    codes = set()
    for left in (0, 1, 2, 4):
        for engine in engines_broken:
            engine.left = left
        try:
            reply = api.authorized(f"Bearer {token}").send(f"/{name}", arguments)
        except (StoreError, RuntimeError):  # in the middle of a file: the listener hangs up
            assert isinstance(REPLIES[name], File)
            continue
        for engine in engines_broken:
            engine.left = None
        codes.add(reply.meta["result_code"])
        assert not re.search(r"secret-folder|SELECT|Traceback|\.py|/home|/srv", str((reply.meta, reply.data))), left
        assert reply.meta["error_stack"] in ("", None)
    assert codes <= {200, 400, 401, 403, 500}


# arguments of commands, which everybody on the machine can read


def _options(commands: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.Action]]:
    for action in commands._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _options(inner, f"{path} {name}")
        else:
            yield path, action


def test_no_command_takes_a_secret_as_its_argument() -> None:
    """Options that name a file of it may be there, and switches."""
    found = [
        f"{path} {action.option_strings or action.dest}"
        for path, action in _options(_parser())
        if re.search("passw|secret|token|credential|key", f"{action.dest} {action.option_strings}")
        and action.nargs != 0
        and not re.search("file|access.key|label", f"{action.dest} {action.option_strings}")
    ]
    assert found == []


# headers

LINES = ("x\r\nSet-Cookie: stolen=1", "x\nSet-Cookie: stolen=1", "x\r\n\r\n<script>", "x\rSet-Cookie: stolen=1", "x\0y")
ECHOED = (
    "HTTP_ORIGIN",
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
    "HTTP_X_CLEARML_IMPERSONATE_AS",
    "HTTP_X_REQUEST_ID",
    "HTTP_RANGE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_COOKIE",
    "CONTENT_TYPE",
)


def _assert_headers_are_whole(reply: TestResponse) -> None:
    assert "stolen" not in reply.headers.get("Set-Cookie", "")
    for name, value in reply.headers:
        assert not re.search("[\r\n\0]", name + value), name
    assert b"<script" not in reply.data or "json" in reply.headers["Content-Type"]


@pytest.mark.parametrize("header", ECHOED)
@pytest.mark.parametrize("line", LINES)
def test_no_header_of_a_request_makes_one_of_the_reply(header: str, line: str, tmp_path: Path) -> None:
    """The listener refuses such bytes itself; here they come past it, as from another server in front."""
    engines = memory_engines(tmp_path)
    policy = replace(QUICK, cors=Cors(origins=("https://a.example",)))
    api = serve(engines, role=Role.SYSTEM, policy=policy)
    apps = build_apps(engines, build_services(engines, token_secret=TOKEN_SECRET, policy=policy), policy)
    origin = {} if header == "HTTP_ORIGIN" else {"HTTP_ORIGIN": "https://a.example"}
    for app, path, method in (
        ("api", "/tasks.get_all", "POST"),
        ("api", "/x", "OPTIONS"),
        ("files", "/x", "GET"),
        ("files", "/x", "OPTIONS"),
        ("web", "/", "OPTIONS"),
    ):
        environ = {
            **origin,
            "HTTP_AUTHORIZATION": api.authorization,
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
            header: line,
        }
        reply = apps[app].test_client(use_cookies=False).open(path, method=method, environ_overrides=environ)
        _assert_headers_are_whole(reply)
        assert reply.status_code < 500, (app, method)


@pytest.mark.parametrize("line", LINES[:4])
def test_no_name_makes_a_header(line: str, tmp_path: Path) -> None:
    engines = memory_engines(tmp_path)
    api = serve(engines, role=Role.SYSTEM)
    task = api.call("tasks.create", name=line, type="training")["id"]
    replies = [
        api.http.post("/events.download_task_log", json={"task": given}, headers={"Authorization": api.authorization})
        for given in (task, line)
    ]
    files = build_apps(engines, build_services(engines, token_secret=TOKEN_SECRET, policy=QUICK))["files"]
    http = files.test_client(use_cookies=False)
    sent = {"Authorization": api.authorization}
    http.put(f"/a/{line}", data=b"x", headers=sent)
    replies += [http.get(f"/a/{line}", headers=sent), http.get(f"/missing/{line}", headers=sent)]
    for reply in replies:
        _assert_headers_are_whole(reply)
