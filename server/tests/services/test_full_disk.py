"""A full disk: writes are refused with a clear error, reading goes on, and writing resumes by itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.domain.errors import StoreFull
from trainshed.ports.documents import Document
from trainshed.testing.api import basic, memory_engines, serve

LOW_DISK_SPACE = (500, 4)


class FillingDocuments(MemoryDocuments):
    """An engine whose disk can be full: what frees space works, what needs it does not."""

    full = False

    def insert(self, collection: str, document: Document) -> None:
        self._check()
        super().insert(collection, document)

    def update(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        self._check()
        return super().update(collection, document_id, change)

    def _check(self) -> None:
        if self.full:
            raise StoreFull


@pytest.fixture
def documents() -> FillingDocuments:
    return FillingDocuments()


def test_reading_goes_on_and_writing_resumes(documents: FillingDocuments, tmp_path: Path) -> None:
    api = serve(replace(memory_engines(tmp_path), documents=documents))
    task = api.call("tasks.create", name="before", type="training")["id"]
    documents.full = True
    assert api.error("tasks.create", name="while full", type="training") == LOW_DISK_SPACE
    assert api.error("tasks.edit", task=task, comment="while full") == LOW_DISK_SPACE
    newcomer = api.authorized(basic(api.keys.access_key, api.keys.secret_key))
    assert newcomer.call("auth.login")["token"]
    assert [t["name"] for t in newcomer.call("tasks.get_all")["tasks"]] == ["before"]
    documents.full = False
    assert api.error("tasks.edit", task=task, comment="after") == (200, 0)
