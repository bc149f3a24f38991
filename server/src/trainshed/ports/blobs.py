"""The Blobs port: what the file server keeps."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import msgspec


class BlobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """size: bytes. modified: UTC. etag: changes whenever the content does (no quotes)."""

    key: str
    size: int
    modified: datetime
    etag: str


class BlobReader(Protocol):
    """An open blob: it stays readable, whole and the same, when the key is replaced or deleted meanwhile."""

    info: BlobInfo

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """Bytes [start, start + length) in pieces of bounded size."""
        ...


class Blobs(Protocol):
    """Files by key. A key is a relative path of plain segments (domain.paths.blob_key makes and checks it).

    - put() is all or nothing: a reader sees the former content or the whole new one, durable when put returns, as a delete is.
      An interrupted put leaves nothing behind.
    - Memory is constant whatever the size; nothing is copied to a second place first.
    - A key is a file or a folder of files, never both: what would make it both is InvalidKey. Folders come and go with
      the files in them.
    - Safe from any thread and several processes. Errors: NotFound, InvalidKey, StoreFull, StoreError.
    """

    def put(self, key: str, content: Iterable[bytes]) -> BlobInfo:
        """Store the content under the key, replacing what is there. What `content` raises comes out, nothing is kept.

        Raises InvalidKey, StoreFull.
        """
        ...

    def info(self, key: str) -> BlobInfo:
        """Raises NotFound."""
        ...

    def open(self, key: str) -> AbstractContextManager[BlobReader]:
        """Open for reading. Raises NotFound."""
        ...

    def delete(self, key: str, *, before: datetime | None = None) -> bool:
        """Remove the file; with `before` only one put before that moment. Whether it is gone. Raises NotFound.

        A put that meets it is not lost: the moment is looked at and the file removed in one step. The file system's clock
        may be some milliseconds behind.
        """
        ...
