"""A folder of files as it is at one moment, copied while others write to it.

Files are replaced and never altered, so a second name for one keeps what it was.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainshed.adapters.files.tree import INCOMING, OURS, errors_of, folder, removal_lock, walk
from trainshed.domain.errors import NotFound
from trainshed.ports.backups import PIECE, Part

_FROZEN = OURS + "frozen-"


class FolderSource:
    """The Source port on a folder. name: what it is called in the data folder."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name

    def parts(self) -> Iterator[Part]:
        for path, found in self._files():
            yield self._part(path, found, self._root / path)

    @contextmanager
    def hold(self) -> Iterator[None]:
        if not (self._root / INCOMING).is_dir():  # nobody removes files here
            yield
            return
        with removal_lock(self._root, fcntl.LOCK_EX):
            yield

    @contextmanager
    def freeze(self, seen: Callable[[Part], bool]) -> Iterator[list[Part]]:
        frozen: list[Part] = []
        if not self._root.is_dir():
            yield frozen
            return
        self._sweep()
        links = Path(tempfile.mkdtemp(prefix=_FROZEN, dir=self._root))
        with folder(links, []) as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # tells it from what a killed backup left
            try:
                with errors_of(self._root):
                    for path, found in self._files():
                        link = links / str(len(frozen))
                        part = self._part(path, found, link)
                        if not seen(part):
                            # A file that was put over this one meanwhile is as good.
                            with suppress(FileNotFoundError):
                                os.link(self._root / path, link, follow_symlinks=False)
                                frozen.append(self._part(path, link.lstat(), link))
                yield frozen
            finally:
                shutil.rmtree(links)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Path below the root and status of every file."""
        for path, found in walk(self._root, []) if self._root.is_dir() else ():
            name = "/".join(path)
            if _is_text(name):
                yield name, found

    def _part(self, path: str, found: os.stat_result, file: Path) -> Part:
        version = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        return Part(f"{self._name}/{path}", version, found.st_size, lambda: _content(file))

    def _sweep(self) -> None:
        """Remove what killed backups left."""
        for links in self._root.glob(_FROZEN + "*"):
            with suppress(FileNotFoundError, BlockingIOError), folder(links, []) as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(links)


def _content(path: Path) -> Iterator[bytes]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise NotFound(str(path)) from error
    with errors_of(path), os.fdopen(handle, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _is_text(name: str) -> bool:
    """Whether it can be the name of a key; others are not the server's."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
