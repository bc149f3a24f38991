"""Blobs in memory, for tests and trials: nothing survives the process."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count

from trainshed.domain.errors import InvalidKey, NotFound
from trainshed.ports.blobs import BlobInfo
from trainshed.ports.clock import Clock

_PIECE = 256 * 1024


class MemoryBlobs:
    """The Blobs port on a dict. Its memory is that of its content."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._versions = count(1)
        self._blobs: dict[str, _MemoryReader] = {}

    def put(self, key: str, content: Iterable[bytes]) -> BlobInfo:
        whole = b"".join(content)
        with self._lock:
            self._check_place(key)
            info = BlobInfo(key=key, size=len(whole), modified=self._clock.now(), etag=f"{next(self._versions):x}")
            self._blobs[key] = _MemoryReader(whole, info)
            return info

    def info(self, key: str) -> BlobInfo:
        with self.open(key) as reader:
            return reader.info

    @contextmanager
    def open(self, key: str) -> Iterator["_MemoryReader"]:
        reader = self._blobs.get(key)
        if reader is None:
            raise NotFound(key)
        yield reader

    def delete(self, key: str, *, before: datetime | None = None) -> bool:
        with self._lock:
            if before is not None and self.info(key).modified >= before:
                return False
            if self._blobs.pop(key, None) is None:
                raise NotFound(key)
            return True

    def _check_place(self, key: str) -> None:
        segments = key.split("/")
        if any("/".join(segments[:depth]) in self._blobs for depth in range(1, len(segments))):
            raise InvalidKey(f"{key}: a part of it is a file")
        if any(other.startswith(key + "/") for other in self._blobs):
            raise InvalidKey(f"{key}: it is a folder")


class _MemoryReader:
    def __init__(self, content: bytes, info: BlobInfo) -> None:
        self._content = content
        self.info = info

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        stop = min(start + length, len(self._content))
        for offset in range(start, stop, _PIECE):
            yield self._content[offset : min(offset + _PIECE, stop)]
