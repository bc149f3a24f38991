"""Documents in memory keep the port's promises."""

import pytest

from trainshed.adapters.memory.documents import MemoryDocuments
from trainshed.testing.documents_conformance import DocumentsConformance


class TestMemoryDocuments(DocumentsConformance):
    @pytest.fixture
    def documents(self) -> MemoryDocuments:
        return MemoryDocuments()
