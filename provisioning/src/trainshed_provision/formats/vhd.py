"""A disk as fixed VHD: the raw disk with 512 bytes behind it. For Azure and Hyper-V.

Azure takes nothing but fixed disks of whole MiB (https://learn.microsoft.com/azure/virtual-machines/linux/create-upload-generic).
qemu-img writes it; the time, id and checksum of the footer are ours, as it takes the present time and a random id.
"""

import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

from trainshed_provision.formats import disk

FOOTER = 512
COOKIE = b"conectix"
FIXED = 2
NOWHERE = 0xFFFFFFFFFFFFFFFF  # "data offset" of a fixed disk
EPOCH_OF_VHD = 946684800  # 2000-01-01 in Unix time: where its clock begins
# cookie, features, version, data offset, time, creator (application, version, system), sizes (first, present),
# geometry, type, checksum, id. All big-endian.
FIELDS = struct.Struct(">8sIIQI4s4s4sQQ4sII16s")
TIME_AT, CHECKSUM_AT, ID_AT = 24, 64, 68
LEAST = 20 * disk.MIB  # of a managed disk that is uploaded
MOST = 2 << 40  # of a VHD; Azure's limit for a system disk by BIOS too
NAMESPACE = uuid.UUID("6f2b1d0e-4f0b-4f5c-9d55-7a1c5e2d0002")


def write(source: Path, target: Path, *, epoch: int, name: str) -> None:
    """Write the raw disk `source` as `target`, sparse. epoch: seconds, the time in the footer. name is not in the format."""
    size = disk.size_of(source)
    with disk.whole(target) as partial:
        # Without force_size the disk would be rounded to the cylinders of a made-up geometry.
        disk.convert(source, partial, "vpc", "-o", "subformat=fixed,force_size=on")
        with partial.open("r+b") as file:
            file.seek(size)
            footer = bytearray(file.read(FOOTER))
            struct.pack_into(">I", footer, TIME_AT, max(0, epoch - EPOCH_OF_VHD))
            footer[ID_AT : ID_AT + 16] = uuid.uuid5(NAMESPACE, disk.identity(source).hex()).bytes
            struct.pack_into(">I", footer, CHECKSUM_AT, checksum(footer))
            file.seek(size)
            file.write(footer)


def checksum(footer: bytes | bytearray) -> int:
    """The one's complement of the sum of all bytes but those of the checksum."""
    return ~(sum(footer) - sum(footer[CHECKSUM_AT : CHECKSUM_AT + 4])) & 0xFFFFFFFF


def check(path: Path) -> None:
    """Raise ShedError(CORRUPT) unless Azure would take it."""
    disk.refuse(path, _problems(path))


def _problems(path: Path) -> Iterator[str]:
    size = path.stat().st_size - FOOTER
    with path.open("rb") as file:
        file.seek(max(0, size))
        footer = file.read(FOOTER)
    if len(footer) < FOOTER or not footer.startswith(COOKIE):
        yield "no VHD footer in the last 512 bytes"
        return
    _, _, _, offset, _, _, _, _, first, present, _, kind, said, ident = FIELDS.unpack_from(footer)
    if kind != FIXED or offset != NOWHERE:
        yield "not a fixed disk"
    if said != checksum(footer):
        yield "the checksum of the footer does not hold"
    if present != size or first != size:
        yield f"the footer says {present} bytes (first {first}), and there are {size}"
    if size % disk.MIB:
        yield f"{size} bytes are not whole MiB"
    if not LEAST <= size <= MOST:
        yield f"{size} bytes, and Azure takes 20 MiB to 2 TiB"
    if not any(ident):
        yield "it has no id"
