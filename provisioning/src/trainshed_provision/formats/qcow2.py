"""A disk as qcow2, zstd inside: for libvirt, Proxmox, OpenStack and everything else on QEMU 5.1 (2020) or newer.

qemu-img writes the same bytes for the same disk, so there is nothing to set afterwards.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.errors import ShedError
from trainshed_provision.formats import disk

MAGIC = b"QFI\xfb"
# version, backing file (place, length), cluster bits, size, encryption; features one must know (docs/interop/qcow2.txt of QEMU)
HEADER = struct.Struct(">4sIQIIQI")
FEATURES = struct.Struct(">Q")
FEATURES_AT, COMPRESSION_AT = 72, 104
DIRTY, CORRUPT, OUTSIDE, COMPRESSION = 1, 2, 4, 8  # bits of the features
ZSTD = 1


def write(source: Path, target: Path, *, epoch: int, name: str) -> None:
    """Write the raw disk `source` as `target`. epoch and name are not in the format."""
    disk.size_of(source)
    with disk.whole(target) as partial:
        # zstd is smaller than zlib, and six times as fast to write.
        disk.convert(source, partial, "qcow2", "-c", "-o", "compression_type=zstd")


def check(path: Path) -> None:
    """Raise ShedError(CORRUPT) unless it is one whole file of our kind."""
    disk.refuse(path, _problems(path))


def _problems(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(512)
    if len(head) < 512 or head[:4] != MAGIC:
        yield "no qcow2"
        return
    _, version, backing, _, _, size, encryption = HEADER.unpack_from(head)
    (features,) = FEATURES.unpack_from(head, FEATURES_AT)
    if version != 3:
        yield f"version {version}, not 3"
        return
    if backing:
        yield "needs a backing file"
    if features & OUTSIDE:
        yield "its data is in another file"
    if encryption:
        yield "encrypted"
    if features & (DIRTY | CORRUPT):
        yield "marked as dirty or corrupt"
    if not features & COMPRESSION or head[COMPRESSION_AT] != ZSTD:
        yield "not compressed by zstd"
    if size == 0 or size % disk.MIB:
        yield f"a disk of {size} bytes, not whole MiB"
    process.need("qemu-img")
    try:
        process.run(["qemu-img", "check", "-q", "-f", "qcow2", path])
    except ShedError as error:
        yield f"its tables do not hold ({error.message})"
