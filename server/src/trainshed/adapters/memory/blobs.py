"""Blobs in memory, for tests and trials: nothing survives the process."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count

from trainshed.domain.errors import Busy, InvalidKey, NotFound, WrongOffset
from trainshed.ports.blobs import BlobInfo, Upload
from trainshed.ports.clock import Clock

_PIECE = 256 * 1024


class MemoryBlobs:
    """The Blobs port on a dict. Its memory is that of its content."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._versions = count(1)
        self._blobs: dict[str, _MemoryReader] = {}
        self._uploads: dict[Upload, _Parts] = {}

    def put(self, key: str, content: Iterable[bytes], *, size: int | None = None) -> BlobInfo:
        return self._place(key, b"".join(content))

    def _place(self, key: str, whole: bytes) -> BlobInfo:
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

    def files(self, folder: str = "") -> Iterator[BlobInfo]:
        for reader in list(self._blobs.values()):
            if not folder or reader.info.key.startswith(folder + "/"):
                yield reader.info

    def held(self, upload: Upload) -> int:
        return len(self._uploads[upload].content) if upload in self._uploads else 0

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        with self._writing(upload) as parts:
            if start == 0:
                parts.content.clear()
            elif start != len(parts.content):
                raise WrongOffset(len(parts.content))
            for piece in content:
                parts.content += piece
                parts.modified = self._clock.now()
            return len(parts.content)

    def finish(self, upload: Upload, check: Callable[[Iterable[bytes]], None] | None = None) -> BlobInfo:
        with self._writing(upload) as parts:
            if len(parts.content) != upload.size:
                raise WrongOffset(len(parts.content))
            try:
                if check:
                    check([bytes(parts.content)])
            except BaseException:
                del self._uploads[upload]
                raise
            info = self._place(upload.key, bytes(parts.content))
            del self._uploads[upload]
            return info

    def forget_uploads(self, before: datetime) -> int:
        with self._lock:
            old = [upload for upload, parts in self._uploads.items() if parts.modified < before]
            for upload in old:
                del self._uploads[upload]
            return len(old)

    def link(self, key: str, *, seconds: int, content_type: str, disposition: str) -> None:
        return None

    @contextmanager
    def _writing(self, upload: Upload) -> Iterator["_Parts"]:
        with self._lock:
            parts = self._uploads.setdefault(upload, _Parts(self._clock.now()))
        if not parts.writing.acquire(blocking=False):
            raise Busy(upload.key)
        try:
            yield parts
        finally:
            parts.writing.release()

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


class _Parts:
    def __init__(self, modified: datetime) -> None:
        self.content = bytearray()
        self.modified = modified
        self.writing = threading.Lock()
