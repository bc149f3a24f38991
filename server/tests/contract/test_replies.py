"""What every endpoint answers in each of its versions, against the contract: nothing that it does not know, or of another type."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from trainshed.domain.identity import Role
from trainshed.testing.api import memory_engines, serve
from trainshed.testing.calls import Calls

SERVICES: dict[str, Any] = json.loads((Path(__file__).parent / "endpoints.json").read_text())["services"]
EVERY_ENDPOINT = [f"{service}.{action}" for service, described in SERVICES.items() for action in described["endpoints"]]
BEYOND = ("2.31", "3.0")

# What the contract's list of endpoints does not say, and why it is so all the same.
KNOWN = re.compile(
    "|".join(
        (
            # Bare curves, and vectors by iteration: the list has a form that no client reads.
            r"events\.(scalar|vector)_metrics_iter_histogram\.\w+: unknown",
            # There is nothing further.
            r"events\.next_\w+_sample\.(event|min_iteration|max_iteration): null",
            # References are objects.
            r"(tasks|models|projects|queues|reports)\.get_(all|by_id)_ex\.\w+\[\]\."
            r"(user|company|project|parent|task|execution\.queue|entries\[\]\.task): dict",
            # When and in which iteration the last value was: the next report is compared with it.
            r".*\.last_metrics\[\]\.[0-9a-f]{32}\.(iter|timestamp): unknown",
            # Triggers of the client take the later one of last_update and last_change.
            r"models\.\w+\.models?(\[\])?\.last_change: unknown",
            # The tree of projects is walked by it.
            r"projects\.get_\w+\.projects?(\[\])?\.parent: unknown",
            r"projects\.get_all_ex\.projects\[\]\.dataset_stats: null",
            r"queues\.get_all_ex\.queues\[\]\.workers: unknown",
            # A report is a task.
            r"tasks\.get_all(_ex)?\.tasks\[\]\.(report: unknown|report_assets: unknown|type: 'report')",
            # A list since 2.13 in the client that reads it.
            r"tasks\.get_configuration_names\.configurations: list",
            # The single call and the one for many tell the same.
            r"tasks\.delete\.deleted_models: unknown",
            r"tasks\.(delete|reset)_many\.succeeded\[\]\.events: unknown",
        )
    )
)
# Of versions with forms of their own.
OLD = re.compile(
    r"events\.debug_images\.(task|images|returned|total): unknown|events\.get_task_log\.scroll_id: unknown"
    r"|(models|queues)\.\w+\.\w+(\[\])?\.metadata: list"
)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """The module's one world; no call takes from it what another needs."""
    return Calls(serve(memory_engines(tmp_path_factory.mktemp("world")), role=Role.SYSTEM))


@pytest.mark.parametrize("name", EVERY_ENDPOINT)
def test_what_it_answers(calls: Calls, name: str) -> None:
    for version in dict.fromkeys((*_versions(name), *BEYOND)):
        problems = _problems(name, calls.make(name, version=version))
        known = (KNOWN,) if version in BEYOND else (KNOWN, OLD)
        assert [problem for problem in problems if not any(one.fullmatch(problem) for one in known)] == [], version


def _versions(name: str) -> list[str]:
    """Those in which its form or its handler changed."""
    service, action = name.split(".")
    described = SERVICES[service]["endpoints"][action]
    return [*described["dispatch_versions"], *described["versions"]]


def _problems(name: str, data: Any) -> Iterator[str]:
    service, action = name.split(".")
    definitions = SERVICES[service]["definitions"]
    response = SERVICES[service]["endpoints"][action]["response"]
    if "ref" in response:
        response = definitions[response["ref"]]
    if response.get("type") == "string":
        if not isinstance(data, str | bytes):
            yield f"{name}: {type(data).__name__}"
        return
    if response.get("additional_properties") or (not response["fields"] and "additional_properties" not in response):
        return
    yield from _of_fields(data, response["fields"], definitions, name)


def _of_fields(value: Any, fields: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {type(value).__name__}"
        return
    for key, inner in value.items():
        if key not in fields:
            yield f"{path}.{key}: unknown"
        else:
            yield from _of_type(inner, fields[key], definitions, f"{path}.{key}")


_PLAIN: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}


def _of_type(value: Any, field: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[str]:
    kind = field["type"]
    if value is None:
        yield f"{path}: null"
    elif kind.startswith(("array<", "map<")):
        member = {**field, "type": kind[kind.index("<") + 1 : -1]}
        if not isinstance(value, list if kind[0] == "a" else dict):
            yield f"{path}: {type(value).__name__}"
        else:
            for inner in value.values() if isinstance(value, dict) else value:
                yield from _of_type(inner, member, definitions, f"{path}[]")
    elif kind in definitions:
        definition = definitions[kind]
        if "fields" in field:
            definition = {**definition, "fields": {**definition["fields"], **field["fields"]}}
        yield from _of_definition(value, definition, definitions, path)
    elif not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {type(value).__name__}"
    elif "fields" in field:
        yield from _of_fields(value, field["fields"], definitions, path)
    elif "enum" in field and value not in field["enum"]:
        yield f"{path}: {value!r}"


def _of_definition(
    value: Any, definition: Mapping[str, Any], definitions: Mapping[str, Any], path: str
) -> Iterator[str]:
    if "fields" in definition:
        yield from _of_fields(value, definition["fields"], definitions, path)
    elif "additionalProperties" in definition:
        member = {"type": definition["additionalProperties"]["$ref"].rpartition("/")[2]}
        for key, inner in value.items():
            yield from _of_type(inner, member, definitions, f"{path}.{key}")
    elif "type" in definition:
        yield from _of_type(value, definition, definitions, path)
