"""The API in this process, over any engines: calls by name, errors as the pair that clients judge by."""

import base64
import functools
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from trainshed.adapters.memory.blobs import MemoryBlobs
from trainshed.adapters.memory.cache import MemoryCache
from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.adapters.memory.events import MemoryEvents
from trainshed.adapters.sqlite.cache import SqliteCache
from trainshed.adapters.sqlite.documents.store import SqliteDocuments
from trainshed.adapters.sqlite.events.store import SqliteEvents
from trainshed.bootstrap import Engines, build_services
from trainshed.domain.identity import Role
from trainshed.services.accounts import KeyPair, Policy
from trainshed.services.accounts.policy import Passwords
from trainshed.services.limits import LIMITS, Limits
from trainshed.testing.clock import FakeClock
from trainshed.testing.described import check
from trainshed.transport.api import create_api_app
from trainshed.transport.auth import Guard

TOKEN_SECRET = b"0123456789abcdef" * 4
VERSION = "2.31"
QUICK = Policy(passwords=Passwords(rounds=4))  # what a hash costs is no matter of most tests
Json = dict[str, Any]


def memory_engines(folder: Path) -> Engines:
    """Engines that keep nothing."""
    clock = FakeClock()
    return Engines(
        documents=MemoryDocuments(),
        events=MemoryEvents(),
        cache=MemoryCache(clock),
        blobs=MemoryBlobs(clock),
        clock=clock,
    )


def sqlite_engines(folder: Path) -> Engines:
    """The embedded engines in the folder; they do not wait for the disk. A new one starts from copies of empty files."""
    for name, content in _empty_files().items():
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
    return _open(folder)


@functools.cache
def _empty_files() -> dict[str, bytes]:
    """The databases before their first use: making their tables and indexes takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        _open(Path(folder)).close()
        return {file.name: file.read_bytes() for file in Path(folder).glob("*.db")}


def _open(folder: Path) -> Engines:
    clock = FakeClock()
    return Engines(
        documents=SqliteDocuments(folder / "documents.db", durable=False),
        events=SqliteEvents(folder / "events.db", durable=False),
        cache=SqliteCache(folder / "cache.db", clock=clock),
        blobs=MemoryBlobs(clock),
        clock=clock,
    )


ENGINES: dict[str, Callable[[Path], Engines]] = {"memory": memory_engines, "sqlite": sqlite_engines}


class CallFailed(Exception):
    """A call that was answered by an error."""

    def __init__(self, meta: Json) -> None:
        self.code: int = meta["result_code"]
        self.subcode: int = meta["result_subcode"]
        self.data: Json = meta["error_data"]
        super().__init__(f"{self.code}/{self.subcode}: {meta['result_msg']}")

    @property
    def pair(self) -> tuple[int, int]:
        """What clients judge by."""
        return self.code, self.subcode


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, its envelope checked."""

    status: int
    headers: Mapping[str, str]
    meta: Json
    data: Any

    @property
    def pair(self) -> tuple[int, int]:
        """(result_code, result_subcode)"""
        return self.meta["result_code"], self.meta["result_subcode"]


@dataclass(frozen=True, kw_only=True)
class ApiClient:
    """A caller of a server in this process; every client of one `serve` sees the same server.

    authorization: the header that goes with each call, empty for none.
    """

    engines: Engines
    http: FlaskClient
    user: str = ""
    keys: KeyPair = field(default_factory=lambda: KeyPair("", ""))
    authorization: str = ""

    def call(self, endpoint: str, /, *, version: str = VERSION, **fields: Any) -> Any:
        """The reply's data. Raises CallFailed."""
        reply = self.send(f"/v{version}/{endpoint}", msgspec.json.encode(fields))
        if reply.pair[0] != 200:
            raise CallFailed(reply.meta)
        return reply.data

    def error(self, endpoint: str, /, *, version: str = VERSION, **fields: Any) -> tuple[int, int]:
        """The (code, subcode) of a call; (200, 0) when it succeeds."""
        return self.send(f"/v{version}/{endpoint}", msgspec.json.encode(fields)).pair

    def add_events(self, events: Iterable[Json]) -> Json:
        """The data of events.add_batch. Raises CallFailed."""
        reply = self.send("/v2.31/events.add_batch", b"\n".join(map(msgspec.json.encode, events)))
        if reply.pair[0] != 200:
            raise CallFailed(reply.meta)
        return cast(Json, reply.data)

    def send(
        self, path: str, body: bytes = b"", *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One HTTP request, its reply checked for the form that every client counts on."""
        sent = {"X-Requested-With": "tests", **(headers or {})}  # as a page of the server's own would
        if self.authorization:
            sent.setdefault("Authorization", self.authorization)
        return _checked(self.http.open(path, method=method, data=body, headers=sent))

    def authorized(self, authorization: str) -> "ApiClient":
        """The same server, called with another header."""
        return ApiClient(
            engines=self.engines, http=self.http, user=self.user, keys=self.keys, authorization=authorization
        )

    def move_clock(self, seconds: float) -> None:
        """Let time pass on the server."""
        clock = self.engines.clock
        assert isinstance(clock, FakeClock)
        clock.advance(seconds)


def serve(
    engines: Engines,
    *,
    role: Role = Role.ADMIN,
    policy: Policy = QUICK,
    local_only: bool = False,
    limits: Limits = LIMITS,
) -> ApiClient:
    """A server over the engines with one user, who calls with a token."""
    services = build_services(engines, token_secret=TOKEN_SECRET, policy=policy, local_only=local_only, limits=limits)
    user = services.accounts.create_user("tester", role=role)
    keys = services.accounts.create_credentials(user)
    identity, _ = services.accounts.by_credentials(keys.access_key, keys.secret_key)
    token = services.accounts.issue_token(identity, access_key=keys.access_key)
    app = create_api_app(services, Guard(services.accounts, services.logins, policy=policy))
    return ApiClient(
        engines=engines,
        http=app.test_client(use_cookies=False),  # each call says itself who it is from
        user=user,
        keys=keys,
        authorization=f"Bearer {token}",
    )


def basic(access_key: str, secret_key: str) -> str:
    """The header of a login by access key."""
    return "Basic " + base64.b64encode(f"{access_key}:{secret_key}".encode()).decode()


def _checked(response: TestResponse) -> Reply:
    if "Content-Disposition" in response.headers:  # a file
        meta = {"result_code": response.status_code, "result_subcode": 0, "endpoint": {}}
        return Reply(response.status_code, dict(response.headers), meta, response.data)
    body = msgspec.json.decode(response.data)
    meta = body["meta"]
    assert set(body) == {"meta", "data"}
    assert response.status_code == meta["result_code"]
    assert isinstance(meta["result_subcode"], int)
    assert meta["id"]
    assert meta["trx"]
    assert isinstance(meta["result_msg"], str)
    assert isinstance(meta["error_stack"], str | None)
    assert isinstance(meta["error_data"], dict)
    assert isinstance(meta["endpoint"]["name"], str)
    assert isinstance(meta["endpoint"]["requested_version"], str | float)
    assert isinstance(meta["endpoint"]["actual_version"], str | float)
    assert "Traceback (most recent call last)" not in response.text  # a made-up call may have sent the first word
    check(meta, body["data"])
    return Reply(response.status_code, dict(response.headers), meta, body["data"])
