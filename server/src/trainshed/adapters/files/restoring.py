"""A data folder that is being restored: written aside in it, then put in its place."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainshed.adapters.files.tree import errors_of, folder
from trainshed.ports.backups import Damaged

RESTORING = ".restoring"  # in the data folder: while it is there, a server does not start in it
_DATABASE = re.compile(r"[a-z]+\.db\Z")
_TREES = ("files", "secrets")


class FolderTarget:
    """The Target port on a folder of this machine. Links below it are never followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = root / RESTORING

    def occupied(self) -> bool:
        """Whether something is there, other than what a restore left that was cut."""
        return self.root.is_dir() and not self.staging.exists() and any(self._others())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Begin: what a restore left that was cut is removed."""
        with errors_of(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.staging.exists():
                shutil.rmtree(self.staging)
            self.staging.mkdir(mode=0o700)
        yield

    def put(self, name: str, content: Iterable[bytes]) -> None:
        *path, file = _segments(name)
        with errors_of(name), folder(self.staging, path, create=True) as parent:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
            with os.fdopen(handle, "wb") as out:
                for piece in content:
                    out.write(piece)

    def finish(self, *, aside: str | None) -> None:
        """Put everything in its place, and what is there in the folder `aside` of the root first."""
        with errors_of(self.root):
            os.sync()  # all at once: file by file takes minutes for many small ones
            if aside is not None:
                kept = self.root / aside
                kept.mkdir(mode=0o700)
                for path in list(self._others()):
                    if path != kept and not path.name.startswith("replaced-"):
                        path.rename(kept / path.name)
            for path in list(self.staging.iterdir()):
                path.rename(self.root / path.name)
            os.sync()
            self.staging.rmdir()
            os.sync()

    def abort(self) -> None:
        """Leave the folder as it was."""
        with errors_of(self.root):
            shutil.rmtree(self.staging)
            with suppress(OSError):
                self.root.rmdir()  # if it was made for this, and is empty again

    def free(self) -> int:
        """Bytes of its disk."""
        existing = next(path for path in (self.root, *self.root.absolute().parents) if path.is_dir())
        disk = os.statvfs(existing)
        return disk.f_bavail * disk.f_frsize

    def _others(self) -> Iterator[Path]:
        return (path for path in self.root.iterdir() if path.name not in (RESTORING, "lost+found"))


def _segments(name: str) -> list[str]:
    """The path of a file in a data folder. Raises Damaged."""
    segments = name.split("/")
    plain = all(segment not in ("", ".", "..") and "\0" not in segment for segment in segments)
    place = _DATABASE.match(name) if len(segments) == 1 else segments[0] in _TREES
    if not plain or not place:
        raise Damaged(f"no backup has a file {name!r}")
    return segments
