"""Folders under a root, reached one segment at a time through descriptors, so that no link leads out of the root."""

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trainshed.domain.errors import StoreError, StoreFull

# Names of our own in the root. A segment of a key never gets one, except the digest made for it.
OURS = ".trainshed-"

# Where content is written before it gets its name: in the root, as a rename works only within one file system.
INCOMING = OURS + "incoming"
# Where content is written before it gets its name: in the root, as a rename works only within one file system.
INCOMING = OURS + "incoming"

# What common file systems hold.
_MAX_NAME_BYTES = 255
_DIGEST = re.compile(re.escape(OURS) + r"[0-9a-f]{64}")


def names(key: str) -> list[str]:
    """The names on disk for the segments of a key: the segments, but a digest for one too long or in a name of ours.

    The client's names go up to 250 characters, which is 1000 bytes outside ASCII.
    """
    return [_name(segment) for segment in key.split("/")]


def _name(segment: str) -> str:
    raw = segment.encode()
    if len(raw) <= _MAX_NAME_BYTES and (not segment.startswith(OURS) or _DIGEST.fullmatch(segment)):
        return segment  # a digest of ours is its own name, so that what is listed can be named
    return OURS + hashlib.sha256(raw).hexdigest()


@contextmanager
def folder(root: Path, path: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """A descriptor of root/path, following no link below the root. With `create`, missing folders are made, durably."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in path:
            child = _child(descriptor, name, create=create)
            os.close(descriptor)
            descriptor = child
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def removal_lock(root: Path, kind: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Held by who removes a file below the root; with LOCK_EX nobody does until the block ends.

    On this folder, as who removes has the folder of the file locked too, and that may be the root.
    """
    with folder(root, [INCOMING], create=True) as held:
        fcntl.flock(held, kind)
        yield


@contextmanager
def errors_of(name: object) -> Iterator[None]:
    """Let the system's errors out as StoreFull or StoreError that name what was written or read."""
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"{name}: {error.strerror}") from error


def _child(parent: int, name: str, *, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            os.fsync(parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def listed(folder: int) -> list[str]:
    """The names in the folder with this descriptor."""
    return os.listdir(folder)


def walk(root: Path, path: Sequence[str]) -> Iterator[tuple[list[str], os.stat_result]]:
    """Names and status of the plain files below root/path; links are not followed, and nothing of ours is among them."""
    waiting = [list(path)]
    while waiting:
        above = waiting.pop()
        try:
            with folder(root, above) as opened:
                for name in listed(opened):
                    if not (above or _nameable(name)):
                        continue
                    with suppress(FileNotFoundError):
                        found = os.stat(name, dir_fd=opened, follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            waiting.append([*above, name])
                        elif stat.S_ISREG(found.st_mode):
                            yield [*above, name], found
        except (FileNotFoundError, NotADirectoryError):  # it was emptied and removed, or never was a folder
            continue


def _nameable(name: str) -> bool:
    return not name.startswith(OURS) or _DIGEST.fullmatch(name) is not None


def prune(root: Path, path: Sequence[str]) -> None:
    """Remove root/path and its parents below the root, as long as they are empty.

    A folder that somebody fills at this moment is either not empty here, or gone for them: they make it again.
    """
    for depth in range(len(path), 0, -1):
        try:
            with folder(root, path[: depth - 1]) as parent:
                os.rmdir(path[depth - 1], dir_fd=parent)
        except FileNotFoundError:  # somebody did so, and may have been killed before going on
            continue
        except OSError:
            return
