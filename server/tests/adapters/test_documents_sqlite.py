"""Documents in SQLite keep the port's promises, and those of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.adapters.sqlite.documents import SqliteDocuments
from trainshed.testing.documents_conformance import DocumentsConformance


class TestSqliteDocuments(DocumentsConformance):
    @pytest.fixture
    def documents(self, tmp_path: Path) -> Iterator[SqliteDocuments]:
        documents = SqliteDocuments(tmp_path / "documents.sqlite", durable=False)
        yield documents
        documents.close()
