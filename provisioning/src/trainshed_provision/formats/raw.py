"""What must hold of the raw disk itself: partitions for every firmware (rule B05), and nothing in it but its files (rule I12).

A disk that is written from files has no deleted ones; this looks whether that is so, block by block, on what was written.
"""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trainshed_provision.architecture import AMD64, Architecture
from trainshed_provision.formats import disk

BIOS_BOOT = uuid.UUID("21686148-6449-6E6F-744E-656564454649")
ESP = uuid.UUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
# signature, revision, header bytes, its checksum, reserved, this header, the other one, first and last usable sector, id,
# table, entries, bytes of an entry, checksum of the table (UEFI 5.3). Little-endian; places in sectors.
GPT = struct.Struct("<8sIIIIQQQQ16sQIII")
SIGNATURE = b"EFI PART"
PROTECTIVE = 0xEE
BOOT_CODE = 440  # bytes of the first sector before its table
TABLE_END = 34  # sectors that the first table takes, and one more than the second one

EXT4_MAGIC = 0xEF53
SUPERBLOCK = 1024  # where it is, and its bytes
WIDE = 0x80  # feature: group descriptors of 64 bytes
UNINITIALISED = 2  # flag of a group: its bitmap was not written, as it holds nothing but copies of the tables


@dataclass(frozen=True, kw_only=True)
class Partition:
    """start and end in bytes."""

    start: int
    end: int


def check(path: Path, architecture: Architecture = AMD64) -> None:
    """Raise ShedError(CORRUPT) unless every firmware boots it, as far as the table says, and it holds nothing but files."""
    with path.open("rb") as file:
        disk.refuse(path, _problems(file, architecture, size=disk.size_of(path)))


def _problems(file: BinaryIO, architecture: Architecture, *, size: int) -> Iterator[str]:
    wanted = {"ESP": ESP, "root": architecture.root} | ({"BIOS boot": BIOS_BOOT} if architecture.bios else {})
    last = size // disk.SECTOR - 1
    first_table, second_table = _table(file, 1), _table(file, last)
    if first_table is None or second_table is None:
        yield "B05: no whole GPT at both ends"
        return
    if first_table != second_table:
        yield "B05: the two tables differ"
    if missing := [name for name, kind in wanted.items() if kind not in first_table]:
        yield f"B05: no partition for {', '.join(missing)}"
        return
    mbr = _read(file, 0, disk.SECTOR)
    if any(mbr[:BOOT_CODE]) != architecture.bios or mbr[450] != PROTECTIVE or mbr[510:] != b"\x55\xaa":
        yield f"B05: no {'boot code and ' if architecture.bios else ''}protective entry in the first sector"
    used = [*first_table.values(), Partition(start=0, end=TABLE_END * disk.SECTOR)]
    used.append(Partition(start=size - (TABLE_END - 1) * disk.SECTOR, end=size))
    blocks = _UsedBlocks(file, first_table[architecture.root])
    if not blocks:
        yield "I12: no ext4 in the root partition"
        return
    for place, _ in disk.blocks(file, size=blocks.size):
        inside = [part for part in used if part.start < place + blocks.size and place < part.end]
        if not inside or (inside[0] == first_table[architecture.root] and place not in blocks):
            yield f"I12: the block at {place} has content and belongs to nothing"
            return


def _table(file: BinaryIO, place: int) -> dict[uuid.UUID, Partition] | None:
    """Partitions by their type; None when this or its header is not whole."""
    header = _read(file, place * disk.SECTOR, disk.SECTOR)
    signature, _, length, said, _, here, _, _, _, _, table, count, size, of_table = GPT.unpack_from(header)
    if signature != SIGNATURE or here != place or not GPT.size <= length <= disk.SECTOR or count * size > disk.MIB:
        return None
    entries = _read(file, table * disk.SECTOR, count * size)
    if zlib.crc32(header[:16] + bytes(4) + header[20:length]) != said or zlib.crc32(entries) != of_table:
        return None
    rows = [entries[start : start + size] for start in range(0, len(entries), size)]
    return {uuid.UUID(bytes_le=row[:16]): _partition(row) for row in rows if any(row[:16])}


def _partition(row: bytes) -> Partition:
    first, last = struct.unpack_from("<QQ", row, 32)
    return Partition(start=first * disk.SECTOR, end=(last + 1) * disk.SECTOR)


class _UsedBlocks:
    """The places of a disk that its ext4 has in use: for files, or for itself."""

    def __init__(self, file: BinaryIO, partition: Partition) -> None:
        first = _read(file, partition.start + SUPERBLOCK, SUPERBLOCK)
        self._start = partition.start
        self.size = disk.SECTOR
        self._bitmaps: list[bytes] = []
        if struct.unpack_from("<H", first, 56)[0] != EXT4_MAGIC:
            return
        self.size = 1024 << struct.unpack_from("<I", first, 24)[0]
        self._first = struct.unpack_from("<I", first, 20)[0]
        self._of_group = struct.unpack_from("<I", first, 32)[0]
        count = struct.unpack_from("<I", first, 4)[0]
        (features,) = struct.unpack_from("<I", first, 96)
        self._descriptor = struct.unpack_from("<H", first, 254)[0] if features & WIDE else 32
        groups = -(-(count - self._first) // self._of_group)
        table = _read(file, self._start + (self._first + 1) * self.size, groups * self._descriptor)
        # A copy of the superblock, the descriptors, and the room for them to grow into.
        self._copies = 1 + -(-len(table) // self.size) + struct.unpack_from("<H", first, 206)[0]
        for group in range(groups):
            self._bitmaps.append(self._bitmap(file, table[group * self._descriptor :], group))

    def __bool__(self) -> bool:
        return bool(self._bitmaps)

    def __contains__(self, place: int) -> bool:
        number = (place - self._start) // self.size - self._first
        if number < 0:
            return True  # before the first group: the superblock of a file system of small blocks
        group, bit = divmod(number, self._of_group)
        return group < len(self._bitmaps) and bool(self._bitmaps[group][bit // 8] >> bit % 8 & 1)

    def _bitmap(self, file: BinaryIO, descriptor: bytes, group: int) -> bytes:
        (low,) = struct.unpack_from("<I", descriptor)
        (flags,) = struct.unpack_from("<H", descriptor, 18)
        high = struct.unpack_from("<I", descriptor, 32)[0] if self._descriptor > 32 else 0
        if flags & UNINITIALISED:
            bits = (1 << self._copies) - 1 if _has_copy(group) else 0
            return bits.to_bytes(self._of_group // 8, "little")
        return _read(file, self._start + (high << 32 | low) * self.size, self._of_group // 8)


def _has_copy(group: int) -> bool:
    """Whether a group starts with a copy of the superblock: the first two, and powers of 3, 5 and 7."""
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return group in (0, 1)


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size).ljust(size, b"\0")
