"""Reads the files of an ext4 file system inside a disk file, without root, mounts or copies.

It reads what mke2fs writes for an image and refuses what it does not know; names as in the kernel's documentation of ext4.
"""

import hashlib
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.bake.tree import Entry, Files
from trainshed_provision.errors import Exit, ShedError

SECTOR = 512
MAGIC = 0xEF53
# Features that change how files are read. Known: file types in folders, a journal to replay, extents, 64 bit, groups in
# blocks of their own, a seed for checksums, large folders. Unknown ones are refused.
FILE_TYPES, RECOVER, WIDE = 0x2, 0x4, 0x80
KNOWN = FILE_TYPES | RECOVER | 0x40 | WIDE | 0x200 | 0x2000 | 0x4000
ROOT_INODE = 2
EXTENTS = 0x80000  # inode flag
UNWRITTEN = 0x8000  # extents longer than this are reserved, not written: zeros
ATTRIBUTES = 0xEA020000  # in front of extended attributes, in an inode and in a block
INODE_BASE = 128  # bytes of an inode before its extra fields
PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
}
ACL = "system.posix_acl_"
ACL_NAMED, NOBODY = (0x02, 0x08), 0xFFFFFFFF  # entries for one user and for one group; the number in all others
PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class _Inode:
    mode: int
    uid: int
    gid: int
    size: int
    flags: int
    block: bytes
    raw: bytes
    acl_block: int


def root_partition(disk: Path) -> int:
    """Where the root file system starts in a GPT disk, in bytes. CORRUPT when there is none."""
    with disk.open("rb") as file:
        file.seek(SECTOR)
        header = file.read(SECTOR)
        if header[:8] == b"EFI PART":
            roots = {architecture.root.bytes_le for architecture in ARCHITECTURES.values()}
            first, count, size = struct.unpack_from("<QII", header, 72)
            file.seek(first * SECTOR)
            for row in (file.read(size) for _ in range(count)):
                if row[:16] in roots:
                    return int(struct.unpack_from("<Q", row, 32)[0]) * SECTOR
    raise _corrupt(disk, "it has no root partition")


def of_disk(disk: Path) -> Files:
    """The files of the root partition of a raw disk."""
    with FileSystem(disk, root_partition(disk)) as system:
        return system.files()


class FileSystem:
    """An ext4 that starts at `offset` of a file. CORRUPT when it is none, or one with features that this cannot read."""

    def __init__(self, disk: Path, offset: int) -> None:
        self._disk = disk
        self._offset = offset
        self._file: BinaryIO = disk.open("rb")
        first = self._at(1024, 1024)
        (self._magic,) = struct.unpack_from("<H", first, 56)
        (features,) = struct.unpack_from("<I", first, 96)
        if self._magic != MAGIC or features & ~KNOWN or not features & FILE_TYPES:
            self._file.close()
            raise _corrupt(disk, f"no ext4 that can be read at byte {offset} (features {features:#x})")
        if features & RECOVER:
            self._file.close()
            raise _corrupt(disk, "its file system is in use or was not unmounted")
        (log,) = struct.unpack_from("<I", first, 24)
        self._block = 1024 << log
        (self._inodes_per_group,) = struct.unpack_from("<I", first, 40)
        (self._inode_size,) = struct.unpack_from("<H", first, 88)
        (groups_size,) = struct.unpack_from("<H", first, 254)
        self._group_size = groups_size if features & WIDE else 32
        (first_block,) = struct.unpack_from("<I", first, 20)
        self._groups = (first_block + 1) * self._block

    def __enter__(self) -> "FileSystem":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def files(self) -> Files:
        """Every file, by path."""
        found: Files = {}
        by_inode: dict[int, Entry] = {}
        folders = [("", ROOT_INODE)]
        while folders:
            path, number = folders.pop()
            for name, child in self._folder(self._inode(number)):
                below = f"{path}/{name}" if path else name
                if child not in by_inode:
                    by_inode[child] = self._entry(self._inode(child))
                found[below] = by_inode[child]
                if stat.S_ISDIR(found[below].mode):
                    folders.append((below, child))
        return found

    def _at(self, position: int, size: int) -> bytes:
        self._file.seek(self._offset + position)
        data = self._file.read(size)
        if len(data) != size:
            raise _corrupt(self._disk, "it is cut off")
        return data

    def _inode(self, number: int) -> _Inode:
        group, index = divmod(number - 1, self._inodes_per_group)
        described = self._at(self._groups + group * self._group_size, self._group_size)
        (low,) = struct.unpack_from("<I", described, 8)
        (high,) = struct.unpack_from("<I", described, 40) if self._group_size > 32 else (0,)
        raw = self._at((high << 32 | low) * self._block + index * self._inode_size, self._inode_size)
        mode, uid, size = struct.unpack_from("<HHI", raw, 0)
        gid, flags = struct.unpack_from("<H6xI", raw, 24)
        acl, size_high = struct.unpack_from("<II", raw, 104)
        acl_high, uid_high, gid_high = struct.unpack_from("<HHH", raw, 118)
        return _Inode(
            mode=mode,
            uid=uid_high << 16 | uid,
            gid=gid_high << 16 | gid,
            size=size_high << 32 | size,
            flags=flags,
            block=raw[40:100],
            raw=raw,
            acl_block=acl_high << 32 | acl,
        )

    def _entry(self, inode: _Inode) -> Entry:
        content = ""
        if stat.S_ISREG(inode.mode):
            total = hashlib.sha256()
            for piece in self._content(inode):
                total.update(piece)
            content = total.hexdigest()
        elif stat.S_ISLNK(inode.mode):
            inside = not inode.flags & EXTENTS
            target = inode.block[: inode.size] if inside else b"".join(self._content(inode))
            content = target.decode("utf-8", "surrogateescape")
        elif stat.S_ISCHR(inode.mode) or stat.S_ISBLK(inode.mode):
            old, new = struct.unpack_from("<II", inode.block)
            content = f"{old >> 8}:{old & 255}" if old else f"{new >> 8 & 0xFFF}:{new & 255 | new >> 12 & 0xFFF00}"
        return Entry(mode=inode.mode, uid=inode.uid, gid=inode.gid, content=content, attributes=self._attributes(inode))

    def _folder(self, inode: _Inode) -> Iterator[tuple[str, int]]:
        """Names and inodes. The blocks of a folder's index look like empty entries, so reading on is enough."""
        data = b"".join(self._content(inode))
        position = 0
        while position < len(data):
            number, length, name_length = struct.unpack_from("<IHB", data, position)
            name = data[position + 8 : position + 8 + name_length]
            if length < 8:
                raise _corrupt(self._disk, "a folder in it is damaged")
            if number and name not in (b".", b".."):
                yield name.decode("utf-8", "surrogateescape"), number
            position += length

    def _content(self, inode: _Inode) -> Iterator[bytes]:
        """A file's bytes in order, the holes too."""
        if not inode.flags & EXTENTS:
            raise _corrupt(self._disk, "a file in it has no extents")
        done = 0
        for first, count, start in self._extents(inode.block):
            yield from _zeros(min(first * self._block, inode.size) - done)
            done = first * self._block
            end = min((first + count) * self._block, inode.size)
            if start is None:
                yield from _zeros(end - done)
            else:
                for position in range(done, end, PIECE):
                    yield self._at(start * self._block + position - done, min(PIECE, end - position))
            done = max(done, end)
        yield from _zeros(inode.size - done)

    def _extents(self, node: bytes) -> Iterator[tuple[int, int, int | None]]:
        """First block, number of blocks, and where they are; None: reserved and not written."""
        magic, entries, _most, depth = struct.unpack_from("<HHHH", node)
        if magic != 0xF30A:
            raise _corrupt(self._disk, "the extents of a file in it are damaged")
        for position in range(12, 12 + 12 * entries, 12):
            if depth:
                low, high = struct.unpack_from("<4xIH", node, position)
                yield from self._extents(self._at((high << 32 | low) * self._block, self._block))
            else:
                first, count, high, low = struct.unpack_from("<IHHI", node, position)
                written = count <= UNWRITTEN
                yield first, count if written else count - UNWRITTEN, (high << 32 | low) if written else None

    def _attributes(self, inode: _Inode) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        if self._inode_size > INODE_BASE:
            (extra,) = struct.unpack_from("<H", inode.raw, INODE_BASE)
            start = INODE_BASE + extra
            if start + 4 <= len(inode.raw) and struct.unpack_from("<I", inode.raw, start) == (ATTRIBUTES,):
                found |= _parse_attributes(inode.raw[start + 4 :], entries=0)
        if inode.acl_block:
            block = self._at(inode.acl_block * self._block, self._block)
            if struct.unpack_from("<I", block) != (ATTRIBUTES,):
                raise _corrupt(self._disk, "the attributes of a file in it are damaged")
            found |= _parse_attributes(block, entries=32)
        return {name: _as_told(value) if name.startswith(ACL) else value for name, value in found.items()}


def _as_told(acl: bytes) -> bytes:
    """An access control list as programs are told it: on disk, entries that need no user or group have no room for one."""
    told, position = struct.pack("<I", 2), 4
    while position < len(acl):
        tag, rights = struct.unpack_from("<HH", acl, position)
        (who,) = struct.unpack_from("<I", acl, position + 4) if tag in ACL_NAMED else (NOBODY,)
        told += struct.pack("<HHI", tag, rights, who)
        position += 8 if tag in ACL_NAMED else 4
    return told


def _parse_attributes(area: bytes, *, entries: int) -> dict[str, bytes]:
    """Attributes by name. entries: where the first is; places of values count from the start of the area."""
    found = {}
    position = entries
    while position + 16 <= len(area) and area[position : position + 4] != bytes(4):
        length, prefix, place, elsewhere, size = struct.unpack_from("<BBHII", area, position)
        name = PREFIXES.get(prefix, f"{prefix}.") + area[position + 16 : position + 16 + length].decode()
        found[name] = area[place : place + size] if not elsewhere else b"in another inode"
        position += (16 + length + 3) & ~3
    return found


def _zeros(count: int) -> Iterator[bytes]:
    for start in range(0, count, PIECE):
        yield bytes(min(PIECE, count - start))


def _corrupt(disk: Path, what: str) -> ShedError:
    return ShedError(f"{disk.name}: {what}", hint="bake it again with: sudo shed bake all --force", code=Exit.CORRUPT)
