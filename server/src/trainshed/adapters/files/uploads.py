"""Uploads in parts: a file for each under a name made of what it is called, which gets the name of its key when it is whole."""

import fcntl
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from trainshed.adapters.files.tree import OURS, errors_of, folder, listed
from trainshed.domain.errors import Busy, WrongOffset
from trainshed.ports.blobs import BlobInfo, Upload

_FOLDER = OURS + "uploads"
_PIECE = 256 * 1024
# So much at most is lost with the power, and is waited for at the end of a part.
_SYNC_BYTES = 64 * 2**20
_MODE = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK


class Uploads:
    """What is there of each upload, in a folder of the root.

    Whoever adds to one has its file locked, and the lock goes with the process: nobody waits for one that was killed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def held(self, upload: Upload) -> int:
        with errors_of(upload.key):
            try:
                with folder(self._root, [_FOLDER]) as parts:
                    return os.stat(_name(upload), dir_fd=parts, follow_symlinks=False).st_size
            except FileNotFoundError:
                return 0

    def append(self, upload: Upload, start: int, content: Iterable[bytes], write: Callable[[int, bytes], None]) -> int:
        """write: writes a piece to a file, or raises."""
        with self._folder(upload) as parts, self._locked(parts, upload, os.O_CREAT) as file:
            self._begin(file, start)
            unsynced = 0
            try:
                for piece in content:  # what it raises is not ours to translate
                    with errors_of(upload.key):
                        write(file, piece)
                        unsynced += len(piece)
                        if unsynced >= _SYNC_BYTES:
                            os.fsync(file)
                            unsynced = 0
            finally:
                with errors_of(upload.key):
                    os.fsync(file)
            return os.fstat(file).st_size

    def finish(
        self,
        upload: Upload,
        check: Callable[[Iterable[bytes]], None] | None,
        place: Callable[[int, str, int], BlobInfo],
    ) -> BlobInfo:
        """place: (folder, name, file) -> what is known of the file in its place."""
        name = _name(upload)
        with self._folder(upload) as parts, self._locked(parts, upload) as file:
            held = os.fstat(file).st_size
            if held != upload.size:
                raise WrongOffset(held)
            try:
                if check:
                    check(_pieces(file))
            except BaseException:
                os.unlink(name, dir_fd=parts)
                raise
            os.utime(file)  # it is new at this moment, not when its last part came
            return place(parts, name, file)

    def forget(self, before: datetime) -> int:
        """Remove those to which nothing was added since."""
        forgotten = 0
        if not (self._root / _FOLDER).is_dir():  # nothing ever came in parts
            return forgotten
        with errors_of(self._root), folder(self._root, [_FOLDER]) as parts:
            for name in listed(parts):
                with suppress(FileNotFoundError, BlockingIOError):
                    file = os.open(name, _MODE, dir_fd=parts)
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if os.fstat(file).st_mtime < before.timestamp():
                            os.unlink(name, dir_fd=parts)
                            forgotten += 1
                    finally:
                        os.close(file)
        return forgotten

    @contextmanager
    def _folder(self, upload: Upload) -> Iterator[int]:
        with ExitStack() as stack:
            with errors_of(upload.key):  # and not around what is done with it: callers have errors of their own
                parts = stack.enter_context(folder(self._root, [_FOLDER], create=True))
            yield parts

    def _begin(self, file: int, start: int) -> None:
        held = os.fstat(file).st_size
        if start == 0:
            os.ftruncate(file, 0)
        elif start != held:
            raise WrongOffset(held)
        os.lseek(file, start, os.SEEK_SET)

    @contextmanager
    def _locked(self, parts: int, upload: Upload, create: int = 0) -> Iterator[int]:
        """A descriptor of the upload's file, that nobody else has at this moment. Raises Busy; WrongOffset if it is not there."""
        with errors_of(upload.key):
            file = _open(parts, _name(upload), create)
        try:
            yield file
        finally:
            os.close(file)


def _open(parts: int, name: str, create: int) -> int:
    while True:
        try:
            file = os.open(name, _MODE | create, 0o600, dir_fd=parts)
        except FileNotFoundError as error:
            raise WrongOffset(0) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(file)
            if stat.S_ISREG(found.st_mode) and found.st_nlink:
                return file
        except BlockingIOError as error:
            os.close(file)
            raise Busy("another part of this upload is on its way") from error
        os.close(file)  # it was finished or forgotten before it was locked


def _name(upload: Upload) -> str:
    return hashlib.sha256(f"{upload.key}\0{upload.size}\0{upload.name}".encode()).hexdigest()


def _pieces(file: int) -> Iterator[bytes]:
    offset = 0
    while piece := os.pread(file, _PIECE, offset):
        yield piece
        offset += len(piece)
