"""The description of replies against the contract: what the contract says of a reply is described."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainshed.transport.replies import REPLIES, File

SERVICES: dict[str, Any] = json.loads((Path(__file__).parent / "endpoints.json").read_text())["services"]
WITH_FIELDS = {
    f"{service}.{action}": endpoint["response"]["fields"]
    for service, described in SERVICES.items()
    for action, endpoint in described["endpoints"].items()
    if endpoint["response"].get("fields")
}
# Fields of the contract that our replies never have.
NEVER: dict[str, set[str]] = {
    "events.scalar_metrics_iter_histogram": {"images"},  # curves directly, as clients read them
    "events.vector_metrics_iter_histogram": {"images"},
    "server.report_stats_option": {"enabled_time", "enabled_user", "enabled_version"},  # it never is
}


# Nor has `stats` of a project `last_task_run`: a number, the contract says, but not of what, and no client reads it.


@pytest.mark.parametrize("name", sorted(WITH_FIELDS))
def test_the_fields_of_the_contract_are_described(name: str) -> None:
    shape = REPLIES[name]
    known = set(shape) if isinstance(shape, dict) else set()
    assert set(WITH_FIELDS[name]) - known == NEVER.get(name, set())


def test_files_are_files() -> None:
    downloads = {
        f"{service}.{action}"
        for service, described in SERVICES.items()
        for action, endpoint in described["endpoints"].items()
        if endpoint["response"].get("type") == "string"
    }
    assert {name for name, shape in REPLIES.items() if isinstance(shape, File)} == downloads
