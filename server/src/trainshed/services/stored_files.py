"""What the file server keeps: who may still store how much, and what is thrown away of it."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from trainshed.domain.errors import ApiError, Fault, NotFound, StoreFull
from trainshed.domain.paths import task_of
from trainshed.ports.blobs import BlobInfo, Blobs, Upload
from trainshed.ports.clock import Clock

_TELL_SECONDS = 60  # between two signs of life of an upload
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class FilePolicy:
    """What the file server allows.

    max_upload_mb: of one file, in MiB; 0: any size. quota_bytes: of all files; 0: what the disk holds. free_bytes: what uploads
    leave free of the disk. unfinished_seconds: after so long without another part an upload is dropped. batch_delete: whether
    many files may be deleted at once. browser_caching, cache_seconds: whether and how long a browser may show a file without
    asking for it. redirect: whether downloads are sent to an object store's own address, where there is one.
    """

    max_upload_mb: int = 0
    quota_bytes: int = 0
    free_bytes: int = 32 * _MIB  # the databases beside the files need room to delete with
    unfinished_seconds: float = 7 * 86_400
    batch_delete: bool = True
    no_browser_caching: bool = False
    cache_seconds: int = 300
    redirect: bool = False


FILE_POLICY = FilePolicy()


@dataclass(frozen=True, kw_only=True)
class FilesPlace:
    """Where files are kept: in a folder (None: "files" in the data folder), or in a bucket if one is named.

    prefix: before the names of all objects. endpoint: of a store other than Amazon's. region: else what the machine says.
    """

    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = ""


FILES_PLACE = FilesPlace()


class StoredFiles:
    """The use cases of the file server's files.

    uploading: told the task of each upload, now and then while it comes. The quota counts what other processes store when
    recount() comes round.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        clock: Clock,
        policy: FilePolicy = FILE_POLICY,
        uploading: Callable[[str], None] = lambda task: None,
    ) -> None:
        self.blobs = blobs
        self.policy = policy
        self._clock = clock
        self._uploading = uploading
        self._lock = threading.Lock()
        self._used: int | None = None  # bytes of all files; asked for with a quota only
        self._coming = 0  # bytes that were promised and may be there in part

    def put(self, key: str, content: Iterable[bytes], *, size: int | None) -> BlobInfo:
        """Store a file. size: how many bytes may come at most, if that is known. Raises TOO_LARGE, StoreFull, InvalidKey."""
        with self._admitted(key, size) as limit:
            return self.blobs.put(key, self._told(key, _limited(content, limit)), size=size)

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        """Add a part to an upload; return the bytes held. Raises what Blobs.append() does, and TOO_LARGE."""
        with self._admitted(upload.key, upload.size, keep=False):
            return self.blobs.append(upload, start, self._told(upload.key, content))

    def finish(self, upload: Upload, check: Callable[[Iterable[bytes]], None] | None) -> BlobInfo:
        """See Blobs.finish()."""
        with self._admitted(upload.key, upload.size):
            return self.blobs.finish(upload, check)

    def delete(self, key: str) -> str:
        """Delete a file; return its key. Raises NotFound."""
        size = self._size(key)
        self.blobs.delete(key)
        self._count(-size)
        return key

    def delete_folder(self, folder: str) -> str:
        """Delete the files below a folder. Raises NotFound when there are none, VALIDATION_ERROR for a folder of no task.

        A mistyped name then costs no more than a task.
        """
        found = [info.key for info in self.blobs.files(folder)]
        if not found:
            raise NotFound(folder)
        if task_of(folder) is None:
            raise ApiError(Fault.VALIDATION_ERROR, "only folders of tasks are deleted whole")
        for key in found:
            try:
                self.delete(key)
            except NotFound:  # somebody else was quicker
                continue
        return folder

    # jobs

    def forget_uploads(self) -> bool:
        """Drop the uploads to which nothing was added for long; no more is left to do."""
        self.blobs.forget_uploads(self._clock.now() - timedelta(seconds=self.policy.unfinished_seconds))
        return False

    def recount(self) -> bool:
        """See what other processes stored, for the quota; no more is left to do."""
        if self.policy.quota_bytes:
            self._used = self._sum()
        return False

    # room

    @contextmanager
    def _admitted(self, key: str, size: int | None, *, keep: bool = True) -> Iterator[int | None]:
        """Room for a file, counted as used from now on, for good if the block ends well and it is kept. The bytes that may come."""
        largest = self.policy.max_upload_mb * _MIB or None
        if largest is not None and (size or 0) > largest:
            raise ApiError(Fault.TOO_LARGE, f"a file has at most {self.policy.max_upload_mb} MiB here")
        if not self.policy.quota_bytes:
            yield largest
            return
        former = self._size(key)
        with self._lock:
            left = self.policy.quota_bytes - self._taken() + former
            if (size or 0) > left:
                raise StoreFull(
                    f"all files together have at most {self.policy.quota_bytes} bytes here, and {max(left, 0)} are left"
                )
            self._coming += size or 0
        try:
            yield left if largest is None else min(largest, left)
        finally:
            with self._lock:
                self._coming -= size or 0
        if keep:
            self._count(self._size(key) - former)

    def _taken(self) -> int:
        if self._used is None:
            self._used = self._sum()
        return self._used + self._coming

    def _sum(self) -> int:
        return sum(info.size for info in self.blobs.files())

    def _size(self, key: str) -> int:
        """Of the file if there is one; asked for with a quota only."""
        if not self.policy.quota_bytes:
            return 0
        try:
            return self.blobs.info(key).size
        except NotFound:
            return 0

    def _count(self, size: int) -> None:
        with self._lock:
            if self._used is not None:
                self._used += size

    def _told(self, key: str, content: Iterable[bytes]) -> Iterator[bytes]:
        """The content, while its task's watchdog is told now and then that it comes: it may take hours."""
        task = task_of(key)
        last = None
        for piece in content:
            now = time.monotonic()
            if task and (last is None or now - last >= _TELL_SECONDS):
                self._uploading(task)
                last = now
            yield piece
        if task:
            self._uploading(task)


def _limited(content: Iterable[bytes], limit: int | None) -> Iterator[bytes]:
    """The content; raises when more comes than the limit."""
    came = 0
    for piece in content:
        came += len(piece)
        if limit is not None and came > limit:
            raise ApiError(Fault.TOO_LARGE, f"at most {limit} bytes")
        yield piece
