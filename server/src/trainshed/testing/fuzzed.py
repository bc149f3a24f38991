"""A live server under made-up calls: who sends them, what they are mixed with, and what every reply is held to."""

import json
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import jsonschema_rs
import requests
import schemathesis
from flask.testing import FlaskClient
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from trainshed import bootstrap
from trainshed.domain.identity import Role
from trainshed.settings import Settings
from trainshed.testing import process
from trainshed.testing.api import ApiClient, Reply, basic
from trainshed.testing.calls import Calls
from trainshed.testing.live import LiveServer
from trainshed.transport.table import ENDPOINTS

Json = dict[str, Any]

SECONDS = 100.0  # that a call may take on a busy machine: what takes longer hangs
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# Endpoints whose body is lines -> the one whose body is such a line.
LINES = {"events.add_batch": "events.add", "tasks.update_batch": "tasks.update"}


class FuzzedServer:
    """A server and a caller of everything, who has made something of everything.

    api: calls it as that caller; its replies are held to their description. calls: valid arguments of each endpoint.
    operations: endpoint -> the operation that schemathesis reads from /openapi.json.
    """

    def __init__(self, data: Path) -> None:
        engines = bootstrap.open_engines(Settings(data_dir=data, ports={}))
        accounts = bootstrap.build_services(engines, token_secret=bootstrap.secret(data, "token")).accounts
        user = accounts.create_user("caller", role=Role.SYSTEM)
        self._victim = accounts.create_user("somebody")
        keys = accounts.create_credentials(user)
        engines.close()
        # Made-up logins come by the hundred, and are soon forgotten.
        self.live = LiveServer(data, CLEARML__TRAINSHED__ACCOUNTS__ATTEMPTS__SECONDS="1")
        self.live.start()
        self._session = requests.Session()
        # A made-up login lets no later call in.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._last = requests.Response()
        # The Basic header: a made-up logout does not end it.
        self.api = ApiClient(
            engines=engines,
            http=cast(FlaskClient, SimpleNamespace(open=self._open)),
            user=user,
            keys=keys,
            authorization=basic(keys.access_key, keys.secret_key),
        )
        self.calls = Calls(self.api)
        self.document: Json = requests.get(f"{self.live.url('api')}/openapi.json", timeout=SECONDS).json()
        read = schemathesis.openapi.from_dict(self.document)
        self.operations = {name: read[f"/{name}"]["POST"] for name in ENDPOINTS}

    def send(self, name: str, body: Any) -> Reply:
        """One call; its reply is as described, and arguments that are not were refused."""
        if name == "auth.edit_user" and isinstance(body, dict):
            body = {**body, "user": body.get("user") or self._victim}
        # Whatever is done to users, the caller stays who it is.
        sent = encoded(body).replace(self.api.user.encode(), self._victim.encode())
        reply = self.api.send(f"/v2.31/{name}", sent)
        assert reply.pair[0] < 500, reply.meta
        Case(operation=self.operations[name], method="POST", path=f"/{name}").validate_response(self._last, CHECKS)
        if reply.pair[0] == 200 and not isinstance(body, bytes):
            self._validator(name).validate(body)
        return reply

    def peak_memory(self) -> int:
        """The most bytes that the server ever had resident."""
        return process.status(self.live.pid, "VmHWM") * 1024

    def work(self) -> float:
        """The seconds of processor that the server has used."""
        return process.cpu_seconds(self.live.pid)

    def _validator(self, name: str) -> jsonschema_rs.Validator:
        content = self.document["paths"][f"/{name}"]["post"]["requestBody"]["content"]["application/json"]
        return jsonschema_rs.validator_for({**content["schema"], "components": self.document["components"]})

    def _open(self, path: str, *, method: str, data: bytes, headers: dict[str, str]) -> Any:
        url = f"{self.live.url('api')}{path}"
        self._last = last = self._session.request(method, url, data=data, headers=headers, timeout=SECONDS)
        return SimpleNamespace(status_code=last.status_code, headers=last.headers, data=last.content, text=last.text)


def encoded(body: Any) -> bytes:
    """As it is sent: bytes as they are, and all else as JSON."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def mixed(made_up: Any, valid: Json, random: Random) -> Any:
    """A body that is made up in some fields and valid in others, or made up as a whole."""
    if not isinstance(made_up, dict) or random.random() < 0.1:
        return made_up
    kept = {name: value for name, value in valid.items() if random.random() < 0.9}
    return {**kept, **{name: value for name, value in made_up.items() if name not in kept or random.random() < 0.3}}


class Known:
    """The ids that calls so far have used and replies have told, for calls to come: deep states are reached by these."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}

    def learn(self, service: str, values: Any, name: str = "") -> None:
        """Keep what may name something."""
        _walk(service, values, name, self._keep)

    def placed(self, service: str, values: Any, random: Random) -> Any:
        """The values with some of the names replaced by known ones."""

        def chosen(kind: str, value: str) -> str:
            known = self._values.get(kind)
            return known[random.randrange(10**6) % len(known)] if known and random.random() < 0.6 else value

        return _walk(service, values, "", chosen)

    def _keep(self, kind: str, value: str) -> str:
        self._values.setdefault(kind, []).append(value)
        return value


_KINDS = {
    "task": "task",
    "parent": "task",
    "project": "project",
    "model": "model",
    "queue": "queue",
    "user": "user",
    "worker": "worker",
    "scroll_id": "scroll",
    "prepare_id": "table",
    "container_id": "container",
    "metric": "metric",
    "variant": "variant",
    "name": "name",
    "status": "status",
}


def _walk(service: str, value: Any, name: str, visit: Callable[[str, str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _walk(service, inner, key, visit) for key, inner in value.items()}
    if isinstance(value, list):
        return [_walk(service, inner, name.removesuffix("s") or name, visit) for inner in value]
    kind = _KINDS.get(name) or (service.removesuffix("s") if name == "id" else None)
    return visit(kind, value) if kind and isinstance(value, str) else value
