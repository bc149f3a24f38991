"""The checksums of an archive and of the parts it is sent in, taken before anything is sent."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

READ_BYTES = 1 << 20
PART_BYTES = 16 << 20  # what a killed process has to send again at most, for each of its workers
MOST_PARTS = 32  # what Cloud Storage puts together in one call
UNIT = 256 << 10  # resumable uploads go by multiples of it


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Bytes of the archive, with the checksums that Cloud Storage keeps: base64, as it writes them."""

    offset: int
    size: int
    crc32c: str
    md5: str


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The whole archive and the parts it is sent in; one part, the whole, when it is small."""

    whole: Piece
    parts: tuple[Piece, ...]


def part_bytes(size: int) -> int:
    """What one part has, the last less: few enough for one composition."""
    least = max(PART_BYTES, -(-size // MOST_PARTS))
    return -(-least // UNIT) * UNIT


def measure(path: Path, *, each: int = 0) -> Measured:
    """The checksums of the archive and of its parts of `each` bytes, by default as many as suit its size."""
    each = each or part_bytes(path.stat().st_size)
    parts: list[Piece] = []
    offset, whole, whole_md5 = 0, 0, hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while True:
            size, crc, md5 = 0, 0, hashlib.md5(usedforsecurity=False)
            while size < each and (piece := file.read(min(READ_BYTES, each - size))):
                size, crc = size + len(piece), google_crc32c.extend(crc, piece)
                whole = google_crc32c.extend(whole, piece)
                md5.update(piece)
                whole_md5.update(piece)
            if not size:
                break
            parts.append(Piece(offset=offset, size=size, crc32c=_crc(crc), md5=_md5(md5.digest())))
            offset += size
    return Measured(
        whole=Piece(offset=0, size=offset, crc32c=_crc(whole), md5=_md5(whole_md5.digest())), parts=tuple(parts)
    )


def _crc(value: int) -> str:
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def _md5(value: bytes) -> str:
    return base64.b64encode(value).decode()
