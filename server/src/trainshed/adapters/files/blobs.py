"""Blobs as files in a folder: the key is the path, so an operator can look at them with any tool."""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from trainshed.adapters.files.tree import INCOMING, folder, names, prune, removal_lock, walk
from trainshed.adapters.files.uploads import Uploads
from trainshed.domain.errors import InvalidKey, NotFound, StoreError, StoreFull
from trainshed.ports.blobs import BlobInfo, Upload

# Each piece of a download costs changes of threads on its way out, so large ones are cheaper; but it stays in memory until
# the client takes it. A client that has taken so many bytes, each piece in so many seconds, is given large ones.
_PIECE, _LARGE_PIECE = 256 * 1024, 512 * 1024
_PROVEN_BYTES, _QUICK_SECONDS = 16 * 2**20, 0.05  # more than the kernel takes for a client that reads nothing

# Bytes of the disk that uploads leave free: the databases beside them need room to delete with.
RESERVE = 32 * 2**20

# A put meets a delete that prunes its folder; to meet this many in a row means that something else is wrong.
_ATTEMPTS = 100

# What the system's errors mean: a file, folder or link in the place of another is nothing to read, but in the way of a put.
_Meanings = Mapping[int, type[StoreError]]
_FULL: _Meanings = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), StoreFull)
_NOT_A_FILE = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)
_WHEN_WRITTEN: _Meanings = {**_FULL, **dict.fromkeys(_NOT_A_FILE, InvalidKey)}
_WHEN_SOUGHT: _Meanings = {errno.ENOENT: NotFound, **dict.fromkeys(_NOT_A_FILE, NotFound)}


class FileBlobs:
    """The Blobs port on a folder of this machine, or of a network file system that has rename and locks.

    Files get mode 0600, folders 0700. Links below the root are never followed: they and other special files count as
    not there.
    """

    def __init__(self, root: Path, *, reserve: int = RESERVE) -> None:
        """Make the folder if it is missing, and remove what killed processes left. Raises StoreError.

        reserve: bytes of the disk that uploads leave free.
        """
        self._root = root
        self._reserve = reserve
        self._uploads = Uploads(root)
        with _translated(str(root)):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with folder(root, [INCOMING], create=True) as incoming:
                _sweep(incoming)

    def put(self, key: str, content: Iterable[bytes], *, size: int | None = None) -> BlobInfo:
        with self._temporary(key) as (incoming, name, file):
            with _translated(key):
                self._check_reserve(file, size or 0)
            for piece in content:  # what it raises is not ours to translate
                with _translated(key):
                    self._append(file, piece)
            with _translated(key, _WHEN_WRITTEN):
                os.fsync(file)
                self._place(incoming, name, names(key))
                return _info(key, os.fstat(file))

    def info(self, key: str) -> BlobInfo:
        with self.open(key) as reader:
            return reader.info

    @contextmanager
    def open(self, key: str) -> Iterator["_FileReader"]:
        with _translated(key, _WHEN_SOUGHT):
            *path, name = names(key)
            with folder(self._root, path) as parent:
                # Without O_NONBLOCK, opening a named pipe waits for its other end.
                file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        try:
            yield _FileReader(file, _info(key, os.fstat(file)))
        finally:
            os.close(file)

    def delete(self, key: str, *, before: datetime | None = None) -> bool:
        *path, name = names(key)
        try:
            with _translated(key, _WHEN_SOUGHT), removal_lock(self._root), folder(self._root, path) as parent:
                fcntl.flock(parent, fcntl.LOCK_EX)  # no put places a file between the look and the removal
                info = _info(key, os.stat(name, dir_fd=parent, follow_symlinks=False))
                if before is not None and info.modified >= before:
                    return False
                os.unlink(name, dir_fd=parent)
                os.fsync(parent)  # a power cut does not bring it back
        finally:
            prune(self._root, path)  # also after a delete that was killed before this
        return True

    def files(self, folder: str = "") -> Iterator[BlobInfo]:
        with _translated(folder, _WHEN_SOUGHT):
            for path, found in walk(self._root, names(folder) if folder else []):
                yield _info("/".join(path), found)

    def held(self, upload: Upload) -> int:
        return self._uploads.held(upload)

    def append(self, upload: Upload, start: int, content: Iterable[bytes]) -> int:
        with _translated(upload.key), folder(self._root, []) as root:
            self._check_reserve(root, upload.size - start)
        return self._uploads.append(upload, start, content, self._append)

    def finish(self, upload: Upload, check: Callable[[Iterable[bytes]], None] | None = None) -> BlobInfo:
        def place(parts: int, name: str, file: int) -> BlobInfo:
            with _translated(upload.key, _WHEN_WRITTEN):
                self._place(parts, name, names(upload.key))
                return _info(upload.key, os.fstat(file))

        return self._uploads.finish(upload, check, place)

    def forget_uploads(self, before: datetime) -> int:
        return self._uploads.forget(before)

    def link(self, key: str, *, seconds: int, content_type: str, disposition: str) -> None:
        return None

    def _append(self, file: int, piece: bytes) -> None:
        self._check_reserve(file)
        _write(file, piece)

    def _check_reserve(self, file: int, size: int = 0) -> None:
        disk = os.fstatvfs(file)
        free = disk.f_bavail * disk.f_frsize
        if free - size < self._reserve:
            raise StoreFull(f"{size} bytes more would leave less than {self._reserve} of the {free} that are free")

    @contextmanager
    def _temporary(self, key: str) -> Iterator[tuple[int, str, int]]:
        """(folder, name, descriptor) of a new file that is gone at the end, unless it was renamed."""
        with ExitStack() as stack:
            with _translated(key):
                incoming = stack.enter_context(folder(self._root, [INCOMING], create=True))
                name, file = _create(incoming)
            try:
                yield incoming, name, file
            finally:
                with suppress(OSError):
                    os.unlink(name, dir_fd=incoming)
                os.close(file)

    def _place(self, incoming: int, name: str, target: list[str]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                with folder(self._root, target[:-1], create=True) as parent:
                    fcntl.flock(parent, fcntl.LOCK_SH)  # for delete()
                    os.rename(name, target[-1], src_dir_fd=incoming, dst_dir_fd=parent)
                    os.fsync(parent)
                return
            except FileNotFoundError:  # the folder was pruned meanwhile
                if attempt == _ATTEMPTS - 1:
                    raise


class _FileReader:
    """An open file: replaced or deleted, it stays what it was until it is closed."""

    def __init__(self, file: int, info: BlobInfo) -> None:
        self._file = file
        self.info = info

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        stop, proven, size = start + length, start + _PROVEN_BYTES, _PIECE
        with _translated(self.info.key):  # around the loop: there are thousands of pieces
            while start < stop:
                piece = os.pread(self._file, min(size, stop - start), start)
                if not piece:
                    raise StoreError(f"{self.info.key}: the file is shorter than it was")
                given = time.monotonic()
                yield piece
                quick = time.monotonic() - given < _QUICK_SECONDS
                start += len(piece)
                size = _LARGE_PIECE if quick and start >= proven else _PIECE


def _create(incoming: int) -> tuple[str, int]:
    """A new file, locked for as long as it is open: that tells it from what a killed process left."""
    while True:
        name = secrets.token_hex(16)
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=incoming)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            return name, file
        os.close(file)  # another process swept it away before it was locked


def _sweep(incoming: int) -> None:
    """Remove the files that no living process holds."""
    for name in os.listdir(incoming):
        with suppress(FileNotFoundError, BlockingIOError):
            file = os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=incoming)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(name, dir_fd=incoming)
            finally:
                os.close(file)


def _write(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file, view) :]


def _info(key: str, status: os.stat_result) -> BlobInfo:
    """Raises NotFound for what is no plain file."""
    if not stat.S_ISREG(status.st_mode):
        raise NotFound(key)
    return BlobInfo(
        key=key,
        size=status.st_size,
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        # A replaced file is another inode, so the same size within the same tick still shows.
        etag=f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}",
    )


@contextmanager
def _translated(name: str, meanings: _Meanings = _FULL) -> Iterator[None]:
    """The system's errors as those of the port."""
    try:
        yield
    except OSError as error:
        kind = meanings.get(error.errno or 0, StoreError)
        raise kind(f"{name}: {error.strerror}") from error
