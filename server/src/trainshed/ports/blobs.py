"""The Blobs port: what the file server keeps."""

from collections.abc import Callable, Iterable, Iterator
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


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file that comes in parts. size: of the whole. name: of this upload; two of one key and another name never meet."""

    key: str
    size: int
    name: str


class BlobReader(Protocol):
    """An open blob: it stays readable, whole and the same, when the key is replaced or deleted meanwhile.

    An engine that cannot do so raises StoreError instead of mixing two contents.
    """

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
      the files in them. (An object store has no folders, and knows no better.)
    - An upload in parts is seen by nobody before finish(). What append() took is durable when it returns or raises.
    - Safe from any thread and several processes. Errors: NotFound, InvalidKey, StoreFull, StoreError.
    """

    def put(self, key: str, content: Iterable[bytes], *, size: int | None = None) -> BlobInfo:
        """Store the content under the key, replacing what is there. What `content` raises comes out, nothing is kept.

        size: at most so many bytes come, if that is known: refused before the first is read when there is no room for them.
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

    def files(self, folder: str = "") -> Iterator[BlobInfo]:
        """The files below the folder, or all of them, in any order; none when it is no folder. Files may come and go meanwhile."""
        ...

    def held(self, upload: Upload) -> int:
        """How many bytes of it are there; 0 when nothing is known of it."""
        ...

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        """Add a part that begins at byte `start`; 0 begins anew. Return how many bytes are held now.

        What came before `content` raised is kept. Raises WrongOffset when another number of bytes is held, Busy while
        somebody else adds to it, StoreFull.
        """
        ...

    def finish(self, upload: Upload, check: Callable[[Iterable[bytes]], None] | None = None) -> BlobInfo:
        """Make the file of all its parts, as put() would. check: sees the content first; what it raises drops the upload.

        Raises WrongOffset when bytes are missing, Busy, InvalidKey.
        """
        ...

    def forget_uploads(self, before: datetime) -> int:
        """Drop the uploads to which nothing was added since that moment; return how many these were."""
        ...

    def link(self, key: str, *, seconds: int, content_type: str, disposition: str) -> str | None:
        """An address that gives the file to whoever has it, with these headers, for so long; None: this engine has none."""
        ...
