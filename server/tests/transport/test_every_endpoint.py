"""A walk over the whole endpoint table: strangers, no arguments, junk. SQL is the engine that junk could upset."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from trainshed.bootstrap import Engines
from trainshed.domain.identity import Role
from trainshed.testing.api import ApiClient, Json, serve, sqlite_engines
from trainshed.transport.table import ENDPOINTS, Entry
from trainshed.transport.version import API

SQLITE = pytest.mark.parametrize("engines", ["sqlite"], indirect=True)
EVERY_ENDPOINT = pytest.mark.parametrize(("name", "entry"), ENDPOINTS.items(), ids=ENDPOINTS)
JUNK: tuple[Any, ...] = (True, 10**30, 1.5, "\0", [None], [[{}]], {"a": None})


@pytest.fixture
def api(engines: Engines) -> ApiClient:
    """One who may call them all."""
    return serve(engines, role=Role.SYSTEM)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """One server for all calls that are refused before they reach a service."""
    engines = sqlite_engines(tmp_path_factory.mktemp("unchanged"))
    yield serve(engines, role=Role.SYSTEM)
    engines.close()


@EVERY_ENDPOINT
def test_a_stranger_gets_401_and_no_more(unchanged: ApiClient, name: str, entry: Entry) -> None:
    pair = unchanged.authorized("").send(f"/{name}", b"{ not even JSON").pair
    assert pair == ((401, 20) if entry.login else (400, 0))


@SQLITE
@EVERY_ENDPOINT
@pytest.mark.usefixtures("no_stack_traces")
def test_without_arguments_it_works_or_says_what_is_missing(api: ApiClient, name: str, entry: Entry) -> None:
    reply = api.send(f"/{name}", b"{}")
    assert reply.pair in {(200, 0), (400, 12), (400, 131), (400, 1005)}
    assert reply.meta["endpoint"]["actual_version"] == f"{API[0]}.{API[1]}"


@SQLITE
@EVERY_ENDPOINT
@pytest.mark.usefixtures("no_stack_traces")
def test_junk_in_any_field_is_the_callers_error(api: ApiClient, name: str, entry: Entry) -> None:
    required = valid_arguments(api)
    fields = [field.encode_name for field in msgspec.structs.fields(entry.request)]
    present = {field: required[field] for field in fields if field in required}
    for field in [*fields, "a.b", "projection", "parent", "created"]:
        for junk in JUNK:
            body = msgspec.json.encode({**present, field: junk})
            assert api.send(f"/{name}", body).meta["result_code"] < 500, (field, junk)


@EVERY_ENDPOINT
def test_a_field_of_another_type_does_not_validate(unchanged: ApiClient, name: str, entry: Entry) -> None:
    for field in msgspec.structs.fields(entry.request):
        body = msgspec.json.encode({field.encode_name: [[{}]]})
        assert unchanged.send(f"/{name}", body).pair == (400, 12), field.encode_name


def valid_arguments(api: ApiClient) -> Json:
    task = api.call("tasks.create", name="for junk", type="training")["id"]
    project = api.call("projects.create", name="for junk")["id"]
    model = api.call("models.create", name="for junk", uri="file:///m")["id"]
    queue = api.call("queues.get_default")["id"]
    lists = ("hyperparams", "configuration", "artifacts", "models", "metadata", "metrics", "keys", "items")
    return {
        "task": task,
        "project": project,
        "model": model,
        "tasks": [task],
        "queue": queue,
        "worker": "w",
        "container_id": "c",
        "endpoint_name": "e",
        "endpoint_url": "http://e",
        "model_name": "m",
        "timestamp": 1,
        "from_date": 1,
        "to_date": 2,
        "interval": 1,
        "ids": [task],
        "force": True,
    } | {name: [] for name in lists}
