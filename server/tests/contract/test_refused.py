"""A call that is refused changes nothing, whichever of its fields is bad."""

from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest

from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.domain.identity import Role
from trainshed.ports.documents import Documents
from trainshed.testing.api import ApiClient, memory_engines, serve
from trainshed.testing.calls import Calls
from trainshed.transport.table import ENDPOINTS

BAD: tuple[Any, ...] = ("\0", -1, ["none"], {"\0": [None]}, "none", [{}])


class Counted:
    """Documents that count how often anything was written."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._documents, name)
        if name not in ("insert", "update", "update_many", "delete"):
            return method

        def counting(*arguments: Any, **more: Any) -> Any:
            done = method(*arguments, **more)
            self.writes += done != 0  # of documents; a call that raises wrote none
            return done

        return counting


@pytest.fixture(scope="module")
def documents() -> Counted:
    return Counted(MemoryDocuments())


@pytest.fixture(scope="module")
def api(documents: Counted, tmp_path_factory: pytest.TempPathFactory) -> ApiClient:
    engines = memory_engines(tmp_path_factory.mktemp("world"))
    return serve(replace(engines, documents=cast(Documents, documents)), role=Role.SYSTEM)


@pytest.fixture(scope="module")
def calls(api: ApiClient) -> Calls:
    return Calls(api)


WRITING = [name for name, entry in ENDPOINTS.items() if not entry.batch and ".get_" not in name]


@pytest.mark.parametrize("name", WRITING)
def test_nothing_is_changed(api: ApiClient, calls: Calls, documents: Counted, name: str) -> None:
    for number, field in enumerate(msgspec.structs.fields(ENDPOINTS[name].request)):
        for bad in (BAD[number % len(BAD)], BAD[(number + 1) % len(BAD)]):
            arguments = {**calls.arguments(name), field.encode_name: bad}
            before = documents.writes
            pair = api.error(name, **arguments)
            assert pair[0] < 500, (field.encode_name, bad)
            assert pair[0] == 200 or documents.writes == before, (field.encode_name, bad)
