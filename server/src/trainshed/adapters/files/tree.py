"""Folders under a root, reached one segment at a time through descriptors, so that no link leads out of the root."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

# Names of our own in the root. A segment of a key never gets one, except the digest made for it.
OURS = ".trainshed-"

# What common file systems hold.
_MAX_NAME_BYTES = 255


def names(key: str) -> list[str]:
    """The names on disk for the segments of a key: the segments, but a digest for one too long or in a name of ours.

    The client's names go up to 250 characters, which is 1000 bytes outside ASCII.
    """
    return [_name(segment) for segment in key.split("/")]


def _name(segment: str) -> str:
    raw = segment.encode()
    if len(raw) <= _MAX_NAME_BYTES and not segment.startswith(OURS):
        return segment
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


def _child(parent: int, name: str, *, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            os.fsync(parent)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


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
