import pytest

from trainshed.adapters.memory.blobs import MemoryBlobs
from trainshed.ports.blobs import Blobs
from trainshed.testing.blobs_conformance import BlobsConformance
from trainshed.testing.clock import FakeClock


class TestMemoryBlobs(BlobsConformance):
    @pytest.fixture
    def blobs(self) -> Blobs:
        return MemoryBlobs(FakeClock())
