"""A disk as streamOptimized VMDK: for VMware and VirtualBox, and the disk of an OVA. Written and read in one pass.

    sector 0    header, which says that the directory is at the end
    1           descriptor, text
    128         grains of 64 KiB that are not all zeros, deflated, each behind a marker with its place and length;
                behind those of 32 MiB the table of where they are
                directory of the tables, footer (the header again, with the place of the directory), end-of-stream marker

"Virtual Disk Format 5.0" of VMware has the layout. Not by qemu-img: its content id is random, it deflates on one processor, and
its file has no end-of-stream marker; importers have refused such files.
"""

import os
import re
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import disk

MAGIC = b"KDMV"
VERSION = 3  # of streams; ESXi refuses older ones
FLAGS = 1 | 1 << 16 | 1 << 17  # line ends to detect damage by, deflated grains, markers
GRAIN = 65536
GRAIN_SECTORS = GRAIN // disk.SECTOR
ENTRIES = 512  # of a table
TABLE_SECTORS = ENTRIES * 4 // disk.SECTOR
DESCRIPTOR, DESCRIPTOR_SECTORS = 1, 20
OVERHEAD = 128  # sectors before the first grain
AT_END = 0xFFFFFFFFFFFFFFFF
DEFLATE = 1
LINE_ENDS = b"\n \r\n"
# magic, version, flags, capacity, grain, descriptor (place, length), entries of a table, directory (second, first),
# overhead, unclean, line ends, compression. Little-endian; all places and lengths in sectors.
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
MARKER = struct.Struct(
    "<QII"
)  # sectors that follow, 0, kind; of a grain: its sector, bytes of it that follow, then they
GRAIN_MARKER = struct.Struct("<QI")
END, TABLE, DIRECTORY, FOOTER = range(4)
LEVEL = 4  # of zlib: 2 % larger than the usual 6 in half the time
MOST = 2 << 40  # bytes; entries of tables are sectors in 32 bits

DESCRIPTION = """\
# Disk DescriptorFile
version=1
encoding="UTF-8"
CID={cid:08x}
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY {sectors} SPARSE "{name}.vmdk"

# The Disk Data Base
#DDB
ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.longContentID = "{long_cid}"
ddb.virtualHWVersion = "13"
"""
NO_CONTENT = 0xFFFFFFFE  # this and the one above it mean "no content id"
MOST_CYLINDERS = 65535


def write(source: Path, target: Path, *, epoch: int, name: str) -> None:
    """Write the raw disk `source` as `target`. name: what the descriptor calls the file. epoch is not in the format."""
    size = disk.size_of(source)
    if size > MOST:
        raise ShedError(f"{source} has {size} bytes, and a VMDK at most 2 TiB", code=Exit.CORRUPT)
    text = describe(disk.identity(source), size=size, name=name)
    with source.open("rb") as file, disk.whole(target) as partial, partial.open("wb") as out:
        out.write(_header(size, directory=AT_END))
        out.write(text.ljust(DESCRIPTOR_SECTORS * disk.SECTOR, b"\0"))
        out.write(bytes((OVERHEAD - DESCRIPTOR - DESCRIPTOR_SECTORS) * disk.SECTOR))
        directory = _write_grains(file, out, count=-(-size // GRAIN))
        entries = b"".join(place.to_bytes(4, "little") for place in directory)
        place = _write_marked(out, DIRECTORY, entries)
        _write_marked(out, FOOTER, _header(size, directory=place))
        out.write(_padded(MARKER.pack(0, 0, END)))


def describe(identity: bytes, *, size: int, name: str) -> bytes:
    """The descriptor: the content id is of the content."""
    sectors = size // disk.SECTOR
    cid = int.from_bytes(identity[:4]) % NO_CONTENT
    return DESCRIPTION.format(
        cid=cid,
        long_cid=f"{identity[4:16].hex()}{cid:08x}",
        sectors=sectors,
        name=name,
        cylinders=min(MOST_CYLINDERS, -(-sectors // (255 * 63))),
    ).encode()


def _header(size: int, *, directory: int) -> bytes:
    fields = (VERSION, FLAGS, size // disk.SECTOR, GRAIN_SECTORS, DESCRIPTOR, DESCRIPTOR_SECTORS, ENTRIES)
    return _padded(HEADER.pack(MAGIC, *fields, 0, directory, OVERHEAD, 0, LINE_ENDS, DEFLATE))


def _write_grains(file: BinaryIO, out: BinaryIO, *, count: int) -> list[int]:
    """Write grains and tables; the directory: the sector of each table, 0 for one with no grain."""
    directory = [0] * -(-count // ENTRIES)
    table = [0] * ENTRIES
    present = 0  # number of the table that is being filled

    def end_table() -> None:
        if any(table):
            directory[present] = _write_marked(out, TABLE, struct.pack(f"<{ENTRIES}I", *table))
            table[:] = [0] * ENTRIES

    for number, grain in _deflated(file):
        if number // ENTRIES != present:
            end_table()
            present = number // ENTRIES
        table[number % ENTRIES] = out.tell() // disk.SECTOR
        out.write(_padded(GRAIN_MARKER.pack(number * GRAIN_SECTORS, len(grain)) + grain))
    end_table()
    return directory


def _deflated(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number and deflated content of each grain, by all processors, a few grains ahead."""
    workers = os.cpu_count() or 1
    pending: deque[tuple[int, Future[bytes]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for place, block in disk.blocks(file, size=GRAIN):
            pending.append((place // GRAIN, pool.submit(zlib.compress, block, LEVEL)))
            if len(pending) > 16 * workers:
                number, grain = pending.popleft()
                yield number, grain.result()
        for number, grain in pending:
            yield number, grain.result()


def _write_marked(out: BinaryIO, kind: int, content: bytes) -> int:
    """Write what is no grain behind its marker; the sector of the content."""
    content = _padded(content)
    out.write(_padded(MARKER.pack(len(content) // disk.SECTOR, 0, kind)))
    place = out.tell() // disk.SECTOR
    out.write(content)
    return place


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % disk.SECTOR)


def check(path: Path) -> None:
    """Raise ShedError(CORRUPT) unless it is a whole stream: the marks of its ends, and every grain where its table says."""
    with path.open("rb") as file:
        disk.refuse(path, problems(file, start=0, size=path.stat().st_size))


def capacity(file: BinaryIO, *, start: int) -> int:
    """Bytes of the disk in the VMDK at `start` of the file; 0 when that is none."""
    file.seek(start)
    head = file.read(disk.SECTOR)
    return int(HEADER.unpack_from(head)[3]) * disk.SECTOR if head.startswith(MAGIC) and len(head) == disk.SECTOR else 0


def problems(file: BinaryIO, *, start: int, size: int) -> Iterator[str]:
    """What is wrong with the VMDK that is `size` bytes of the file from `start` on."""
    file.seek(start)
    head = file.read(disk.SECTOR)
    file.seek(start + max(0, size - 3 * disk.SECTOR))
    footer_marker, footer, end = (file.read(disk.SECTOR) for _ in range(3))
    if not head.startswith(MAGIC) or len(end) < disk.SECTOR:
        yield "no VMDK"
        return
    _, version, flags, sectors, grain, text_at, text_sectors, entries, _, directory, _, _, ends, how = (
        HEADER.unpack_from(head)
    )
    if (version, flags, grain, entries, how) != (VERSION, FLAGS, GRAIN_SECTORS, ENTRIES, DEFLATE):
        yield "not a stream of deflated grains (version 3, 64 KiB, markers)"
        return
    if ends != LINE_ENDS:
        yield "its line ends were converted"
    if sectors == 0 or sectors * disk.SECTOR % disk.MIB:
        yield f"a disk of {sectors} sectors, not whole MiB"
    file.seek(start + text_at * disk.SECTOR)
    yield from _problems_of_text(file.read(text_sectors * disk.SECTOR), sectors=sectors)
    if any(end) or MARKER.unpack_from(footer_marker) != (1, 0, FOOTER):
        yield "it does not end in a footer and an end-of-stream marker: cut off?"
        return
    place = HEADER.unpack_from(footer)[9]
    if directory != AT_END or footer != _header(sectors * disk.SECTOR, directory=place):
        yield "the footer is not the header with the place of the directory"
        return
    yield from _problems_of_tables(file, start=start, end=size // disk.SECTOR - 3, place=place, sectors=sectors)


def _problems_of_text(text: bytes, *, sectors: int) -> Iterator[str]:
    if b'createType="streamOptimized"' not in text:
        yield "its descriptor is not of a streamOptimized disk"
    if not re.search(rb"^RDONLY %d SPARSE " % sectors, text, re.MULTILINE):
        yield f"its descriptor has no extent of {sectors} sectors"
    if not (cid := re.search(rb"^CID=([0-9a-f]{8})$", text, re.MULTILINE)) or int(cid[1], 16) >= NO_CONTENT:
        yield "its descriptor has no content id"


def _problems_of_tables(file: BinaryIO, *, start: int, end: int, place: int, sectors: int) -> Iterator[str]:
    """At most one: where one entry is wrong, many are."""
    count = -(-sectors // GRAIN_SECTORS)
    for number, table in enumerate(_numbers(file, start=start, place=place, count=-(-count // ENTRIES))):
        if not OVERHEAD <= table < end and table:
            yield f"table {number} is not in the file"
            return
        grains = _numbers(file, start=start, place=table, count=ENTRIES) if table else ()
        for grain, at in enumerate(grains, number * ENTRIES):
            if at and _marker(file, start=start, place=at, end=end) != grain * GRAIN_SECTORS:
                yield f"grain {grain} is not where its table says"
                return


def _numbers(file: BinaryIO, *, start: int, place: int, count: int) -> tuple[int, ...]:
    file.seek(start + place * disk.SECTOR)
    return struct.unpack(f"<{count}I", file.read(4 * count).ljust(4 * count, b"\xff"))


def _marker(file: BinaryIO, *, start: int, place: int, end: int) -> int:
    """The sector of the disk that the grain at `place` is of; -1 for no grain."""
    if not OVERHEAD <= place < end:
        return -1
    file.seek(start + place * disk.SECTOR)
    sector, size = GRAIN_MARKER.unpack(file.read(GRAIN_MARKER.size))
    return int(sector) if 0 < size <= 2 * GRAIN else -1
