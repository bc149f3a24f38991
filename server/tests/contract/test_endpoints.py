"""The endpoint table against the facts of the contract (endpoints.json beside this file), endpoint by endpoint."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trainshed.domain.identity import Role
from trainshed.transport.table import ENDPOINTS, served

CONTRACT: dict[str, dict[str, Any]] = {
    f"{service}.{action}": endpoint
    for service, described in json.loads((Path(__file__).parent / "endpoints.json").read_text())["services"].items()
    for action, endpoint in described["endpoints"].items()
}

# Fields that callers may send and that change nothing, and why.
WITHOUT_EFFECT: dict[str, set[str]] = {
    # The client calls it the company of the task: there is one, and a queue holds no task of another.
    "queues.get_next_task": {"task"},
}
# The contract calls these optional and says nothing of what a call without them would read; no client leaves them out. Ours is
# the 400/12 of every missing argument.
NEEDED_BY_US: dict[str, set[str]] = {
    "events.get_scalar_metric_data": {"task"},
    "models.get_by_task_id": {"task"},
}


def test_every_endpoint_is_there() -> None:
    ours = {name for name in ENDPOINTS if name.startswith(("accounts.", "files."))}
    assert sorted(ENDPOINTS.keys() - ours) == sorted(CONTRACT)


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_its_fields(name: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(ENDPOINTS[name].request)}
    wanted = CONTRACT[name]["request"]["fields"]
    # Conditions on dotted paths need no field of their own.
    assert {field for field in wanted if "." not in field} - set(fields) == WITHOUT_EFFECT.get(name, set())
    needed = {field for field, described in wanted.items() if described.get("required")}
    assert {field for field in fields if fields[field].required} == needed | NEEDED_BY_US.get(name, set())


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_who_may_call_it(name: str) -> None:
    entry, roles = ENDPOINTS[name], CONTRACT[name]["roles"]
    assert entry.login is CONTRACT[name]["authorize"]
    if entry.login:  # a page of login asks before anybody has a role
        assert entry.roles == (frozenset(Role) if roles == ["*"] else frozenset(map(Role, roles)))


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_which_versions_it_answers(name: str) -> None:
    versions = [_version(version) for version in CONTRACT[name]["dispatch_versions"]]
    first = min(versions)
    assert all(served(name, version) for version in [*versions, (2, 31), (2, 999), (999, 0)])
    assert served(name, (first[0], first[1] - 1)) is None


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
