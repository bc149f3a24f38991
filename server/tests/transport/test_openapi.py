"""GET /openapi.json: who gets it, and that it says what the server does."""

import gzip
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from trainshed.domain.errors import Fault
from trainshed.testing.api import ApiClient, memory_engines, serve
from trainshed.testing.described import check
from trainshed.transport.replies import REPLIES
from trainshed.transport.table import ENDPOINTS


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> ApiClient:
    return serve(memory_engines(tmp_path_factory.mktemp("server"))).authorized("")


@pytest.fixture(scope="module")
def document(stranger: ApiClient) -> dict[str, Any]:
    response = stranger.http.get("/openapi.json")
    assert (response.status_code, response.content_type) == (200, "application/json")
    described: dict[str, Any] = msgspec.json.decode(response.data)
    return described


def test_it_comes_packed_to_who_can_unpack_it(stranger: ApiClient, document: dict[str, Any]) -> None:
    packed = stranger.http.get("/openapi.json", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < 50_000
    assert msgspec.json.decode(gzip.decompress(packed.data)) == document
    plain = stranger.http.get("/openapi.json", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in plain.headers


def test_it_has_every_endpoint(document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/v2.31"}]
    assert set(document["paths"]) == {f"/{name}" for name in ENDPOINTS}
    assert set(REPLIES) == set(ENDPOINTS)


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: dict[str, Any]) -> None:
    components = document["components"]
    named = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in components[kind]}
    assert set(_references(document)) == named


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def test_no_name_shows_where_a_struct_stands_in_the_code(document: dict[str, Any]) -> None:
    assert not [name for name in document["components"]["schemas"] if "trainshed" in name]


def test_a_call_that_needs_a_login_says_so(document: dict[str, Any]) -> None:
    for name, entry in ENDPOINTS.items():
        security = document["paths"][f"/{name}"]["post"]["security"]
        assert bool(security) is (entry.login is not False), name
        assert ({} in security) is (entry.login is None), name


def test_a_request_has_the_fields_of_its_struct(document: dict[str, Any]) -> None:
    asked = document["paths"]["/tasks.enqueue"]["post"]
    assert asked["requestBody"]["required"]
    schema = asked["requestBody"]["content"]["application/json"]["schema"]
    fields = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert fields["required"] == ["task"]
    assert "queue_name" in fields["properties"]
    assert not document["paths"]["/queues.get_default"]["post"]["requestBody"]["required"]


def test_events_are_described_one_by_one_and_in_lines(document: dict[str, Any]) -> None:
    one = document["paths"]["/events.add"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    lines = document["paths"]["/events.add_batch"]["post"]["requestBody"]["content"]["application/json-lines"]
    assert lines["x-item-schema"] == one
    assert set(one["discriminator"]["mapping"]) >= {"log", "plot", "training_stats_scalar"}


def test_every_fault_of_the_api_is_in_a_reply(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    said = {
        (int(code), subcode)
        for code, response in responses.items()
        for subcode in _result(response)["result_subcode"]["enum"]
    }
    assert said == {(fault.code, fault.subcode) for fault in Fault} - {(416, 0)}


def _result(response: dict[str, Any]) -> dict[str, Any]:
    meta = response["content"]["application/json"]["schema"]["properties"]["meta"]
    found: dict[str, Any] = meta["allOf"][1]["properties"]
    return found


def test_a_download_has_the_types_of_its_file(document: dict[str, Any]) -> None:
    replies = document["paths"]["/events.download_task_log"]["post"]["responses"]
    assert set(replies["200"]["content"]) == {"text/plain", "application/x-ndjson"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"msg": "x", "more": 1}, "more"),
        ({"msg": 5}, "Expected `str`"),
        ([], "no object"),
    ],
)
def test_a_reply_that_is_not_described_fails_its_test(data: Any, says: str) -> None:
    meta = {"result_code": 200, "endpoint": {"name": "debug.ping", "actual_version": "2.31"}}
    check(meta, {"msg": "x"})
    with pytest.raises(AssertionError, match=says):
        check(meta, data)


def test_a_part_that_is_not_described_fails_its_test() -> None:
    meta = {"result_code": 200, "endpoint": {"name": "tasks.get_by_id", "actual_version": "2.31"}}
    with pytest.raises(AssertionError, match=r"tasks.get_by_id: task: {'script': {'colour': 1}}"):
        check(meta, {"task": {"id": "t", "script": {"diff": "", "colour": 1}}})
