"""What the disk formats share: the data of a raw disk without its zeros, its name by content, whole files or none."""

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError

MIB = 1 << 20
SECTOR = 512
READ = MIB  # bytes read at once; a multiple of every block size below it


def size_of(source: Path) -> int:
    """Bytes of the raw disk. CORRUPT unless whole MiB: Azure takes no other, and every table of a format is made of sectors."""
    size = source.stat().st_size
    if size == 0 or size % MIB:
        raise ShedError(f"{source} has {size} bytes, and a disk has whole MiB", hint="bake it again", code=Exit.CORRUPT)
    return size


def blocks(file: BinaryIO, *, size: int) -> Iterator[tuple[int, bytes]]:
    """Place and content of every block of `size` bytes that is not all zeros, in order; the last one may be shorter.

    What counts is the content. Holes of the file are only skipped for speed, so a copy with other holes has the same blocks.
    """
    zeros = bytes(READ)
    for start, end in _extents(file):
        for place in range(start - start % READ, end, READ):
            data = os.pread(file.fileno(), READ, place)
            if data == zeros[: len(data)]:
                continue
            for inner in range(0, len(data), size):
                block = data[inner : inner + size]
                if block != zeros[: len(block)]:
                    yield place + inner, block


def _extents(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where the file system keeps data, each stretch made of whole READs, so that no block is met twice."""
    place = 0
    while True:
        try:
            start = os.lseek(file.fileno(), place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here to the end
                return
            raise
        end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
        yield start, end
        place = -(-end // READ) * READ


def identity(source: Path) -> bytes:
    """32 bytes that stand for the content of the disk: formats make their ids and UUIDs from them."""
    digest = hashlib.sha256(str(source.stat().st_size).encode())
    with source.open("rb") as file:
        for place, block in blocks(file, size=READ):
            digest.update(place.to_bytes(8))
            digest.update(block)
    return digest.digest()


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A name beside the target to write to; renamed to it at the end, removed when that is not reached.

    Raises ShedError(NO_SPACE) instead of what a full disk made of the writing.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        yield partial
        partial.replace(target)
    except (OSError, ShedError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error):
            raise ShedError(
                f"no space left for {target}", hint="free some and run this again", code=Exit.NO_SPACE
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def convert(source: Path, target: Path, form: str, *options: str) -> None:
    """qemu-img convert of a raw disk."""
    process.need("qemu-img")
    process.run(["qemu-img", "convert", "-f", "raw", "-O", form, *options, source, target])


def refuse(path: Path, problems: Iterable[str]) -> None:
    """Raise ShedError(CORRUPT) that names all of them, when there are any."""
    if found := list(problems):
        raise ShedError(
            f"{path} breaks {len(found)} rule{'s' if len(found) > 1 else ''} of its format: {'; '.join(found)}",
            hint="make it again from the raw disk",
            code=Exit.CORRUPT,
        )
