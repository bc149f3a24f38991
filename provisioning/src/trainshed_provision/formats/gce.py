"""A disk as Compute Engine imports it: one member `disk.raw` in a gzipped tar of GNU's old sparse kind (rule G01).

https://cloud.google.com/compute/docs/import/import-existing-image: the disk has whole GiB, the tar is made by
`tar --format=oldgnu -S`. GNU tar finds holes where the file system has them, so its archive of a copy differs; here they are
where the content is zero, and the bytes of the archive are what GNU tar writes for a file with those holes.
"""

import gzip
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from trainshed_provision.formats import disk, gzipped

MEMBER = "disk.raw"
GIB = 1 << 30
HOLE = 4096  # bytes, a block of a file system: what smaller holes would save, gzip saves as well
LEVEL = 4  # of gzip: 2 % larger than the usual 6 in half the time, and the file is fetched once, by Google
RECORD = 20 * tarfile.BLOCKSIZE  # tar writes whole records
GNU_MAGIC = b"ustar  \0"
GZIP_MAGIC = b"\x1f\x8b\x08"
# The first header has room for 4 stretches of data, each that follows it for 21; then a byte that says whether one follows.
FIRST, MORE = 4, 21
LARGEST_OCTAL = 8**11

Stretch = tuple[int, int]  # place and bytes


def write(source: Path, target: Path, *, epoch: int, name: str) -> None:
    """Write the raw disk `source` as `target`, with zeros up to whole GiB. epoch: seconds, the time of the member."""
    size = -(-disk.size_of(source) // GIB) * GIB
    with source.open("rb") as file, disk.whole(target) as partial, partial.open("wb") as out:
        stretches = _stretches(file)
        headers = _headers(stretches, size=size, epoch=epoch)
        with closing(io.BufferedReader(_Tar(headers, file, stretches), 1 << 20)) as tar:
            for piece in gzipped.compress(tar, level=LEVEL):
                out.write(piece)


def _stretches(file: BinaryIO) -> list[Stretch]:
    """Where the disk has data, neighbours joined."""
    found: list[Stretch] = []
    for place, block in disk.blocks(file, size=HOLE):
        if found and sum(found[-1]) == place:
            found[-1] = (found[-1][0], found[-1][1] + len(block))
        else:
            found.append((place, len(block)))
    return found


def _headers(stretches: list[Stretch], *, size: int, epoch: int) -> bytes:
    # Like GNU tar, which closes a file that ends in a hole by an empty stretch.
    table = stretches if stretches and sum(stretches[-1]) == size else [*stretches, (size, 0)]
    header = bytearray(tarfile.BLOCKSIZE)
    struct.pack_into("100s", header, 0, MEMBER.encode())
    struct.pack_into("8s8s8s", header, 100, b"0000644\0", b"0000000\0", b"0000000\0")
    struct.pack_into("12s12s", header, 124, _number(sum(s[1] for s in stretches)), _number(epoch))
    struct.pack_into("8sc", header, 148, b" " * 8, b"S")
    struct.pack_into("8s", header, 257, GNU_MAGIC)
    _pack(header, 386, table[:FIRST], more=len(table) > FIRST, room=FIRST)
    struct.pack_into("12s", header, 483, _number(size))
    struct.pack_into("8s", header, 148, b"%06o\0 " % sum(header))
    following = []
    for start in range(FIRST, len(table), MORE):
        block = bytearray(tarfile.BLOCKSIZE)
        _pack(block, 0, table[start : start + MORE], more=start + MORE < len(table), room=MORE)
        following.append(block)
    return b"".join([header, *following])


def _pack(block: bytearray, at: int, table: list[Stretch], *, more: bool, room: int) -> None:
    for number, stretch in enumerate(table):
        struct.pack_into("12s12s", block, at + 24 * number, _number(stretch[0]), _number(stretch[1]))
    block[at + 24 * room] = more


def _number(value: int) -> bytes:
    """Octal, and from 8 GiB on binary with the first bit set, as GNU tar has it."""
    return b"%011o\0" % value if value < LARGEST_OCTAL else b"\x80" + value.to_bytes(11)


class _Tar(io.RawIOBase):
    """The archive, made while it is read."""

    def __init__(self, headers: bytes, file: BinaryIO, stretches: list[Stretch]) -> None:
        self._pieces = self._all(headers, file, stretches)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            if (piece := next(self._pieces, None)) is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    @staticmethod
    def _all(headers: bytes, file: BinaryIO, stretches: list[Stretch]) -> Iterator[bytes]:
        yield headers
        total = len(headers)
        for place, count in stretches:
            file.seek(place)
            for start in range(0, count, disk.READ):
                yield file.read(min(disk.READ, count - start))
            total += count
        total += 2 * tarfile.BLOCKSIZE  # the end of an archive
        yield bytes(2 * tarfile.BLOCKSIZE + -total % RECORD)


def check(path: Path) -> None:
    """Raise ShedError(CORRUPT) unless it is what rule G01 asks. Reads all of it."""
    disk.refuse(path, (f"G01: {problem}" for problem in _problems(path)))


def _problems(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(10)
        if head[:3] != GZIP_MAGIC:
            yield "not gzipped"
            return
        if head[3] or any(head[4:8]):
            yield "gzip's header has a name or a time"
    try:
        # gzip's own reader, as that of tarfile does not look at the checksum.
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=RECORD) as tar:
                yield from _problems_inside(tar)
            while rest := stream.read(disk.MIB):
                if any(rest):
                    yield "has something behind its end"
                    return
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        yield f"no whole tar: {error}"


def _problems_inside(tar: tarfile.TarFile) -> Iterator[str]:
    members = list(tar)
    if [member.name for member in members] != [MEMBER]:
        yield f"has {', '.join(member.name for member in members) or 'nothing'}, not {MEMBER} alone"
        return
    if not members[0].issparse():
        yield f"{MEMBER} is not sparse"
    if members[0].pax_headers:
        yield "not of GNU's old kind"
    if members[0].size % GIB or not members[0].size:
        yield f"{members[0].size} bytes are not whole GiB"
