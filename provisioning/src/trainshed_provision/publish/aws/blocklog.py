"""Which blocks a snapshot has: a file of SHA-256 digests, 32 bytes each at its block's place, zeros where there is none yet.

Written as each block is acknowledged, so that an upload that was killed knows what AWS has: EBS direct tells nothing of a
snapshot that is still pending. Kept afterwards, so that the next image is sent as its difference from this one.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from trainshed_provision.bake.digest import file_digest
from trainshed_provision.errors import Exit, ShedError

DIGEST = 32
EMPTY = bytes(DIGEST)
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """Whose blocks a log has. snapshot: "" when it is asked for with this client token and nobody has heard its id yet.
    digests: sha256 of the whole log once it is finished, "" until then."""

    snapshot: str
    blocks: int
    token: str = ""
    digests: str = ""


class BlockLog:
    """The log of one snapshot. Entries may be written from many threads, each its own."""

    def __init__(self, path: Path, blocks: int, file: int) -> None:
        self.path, self.blocks, self._file = path, blocks, file

    def __getitem__(self, index: int) -> bytes:
        """The digest of a block, EMPTY when it is not there yet."""
        return os.pread(self._file, DIGEST, index * DIGEST)

    def __setitem__(self, index: int, digest: bytes) -> None:
        with roomy(self.path):
            os.pwrite(self._file, digest, index * DIGEST)

    def entries(self) -> Iterator[bytes]:
        """All digests in order, without holding them all."""
        for start in range(0, self.blocks * DIGEST, PIECE):
            piece = os.pread(self._file, min(PIECE, self.blocks * DIGEST - start), start)
            for at in range(0, len(piece), DIGEST):
                yield piece[at : at + DIGEST]

    def token(self) -> str:
        """A client token to begin a snapshot with: the same again until its id was heard, then another."""
        record = _record(self.path)
        if record is not None and record.token and not record.snapshot:
            return record.token
        token = secrets.token_hex(32)
        with roomy(self.path):
            _write(self.path, Record(snapshot="", blocks=self.blocks, token=token))
        return token

    def belongs_to(self, snapshot: str) -> None:
        """Say whose blocks these are. Those of another snapshot are forgotten."""
        if _record(self.path) != (wanted := Record(snapshot=snapshot, blocks=self.blocks)):
            with roomy(self.path):
                os.ftruncate(self._file, 0)
                os.posix_fallocate(self._file, 0, self.blocks * DIGEST)
                _write(self.path, wanted)

    def finish(self, snapshot: str) -> None:
        """Mark it as whole, so that a later upload may lean on it."""
        digest = hashlib.sha256(b"")
        for entry in self.entries():
            digest.update(entry)
        with roomy(self.path):
            _write(self.path, Record(snapshot=snapshot, blocks=self.blocks, digests=digest.hexdigest()))


@contextmanager
def opened(path: Path, blocks: int) -> Iterator[BlockLog]:
    """The log at path, made with room for all its entries before anything is sent. CONFLICT when another process has it."""
    with roomy(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(file, path)
        with roomy(path):
            os.posix_fallocate(file, 0, blocks * DIGEST)
        yield BlockLog(path, blocks, file)
    finally:
        os.close(file)


def forget(path: Path) -> None:
    """The blocks in the log at path are nobody's: the next upload begins another snapshot and notes its own."""
    path.with_suffix(".json").unlink(missing_ok=True)


@contextmanager
def finished(folder: Path, snapshot: str) -> Iterator[BlockLog | None]:
    """The whole log of a snapshot, None when there is none, or one that is not what it was when it was finished."""
    path = _finished(folder).get(snapshot)
    if path is None:
        yield None
        return
    file = os.open(path, os.O_RDONLY)
    try:
        yield BlockLog(path, os.fstat(file).st_size // DIGEST, file)
    finally:
        os.close(file)


def snapshots(folder: Path) -> frozenset[str]:
    """Those with a whole log here."""
    return frozenset(_finished(folder))


def _finished(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.blocks")):
        record = _record(path)
        if record is not None and record.digests and file_digest(path) == record.digests:
            found[record.snapshot] = path
    return found


@contextmanager
def roomy(path: Path) -> Iterator[None]:
    """Raise a disk that is full as a ShedError."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ShedError(
            f"no room to note what is uploaded, in {path.parent}",
            hint="free some; the upload goes on from there",
            code=Exit.NO_SPACE,
        ) from error


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ShedError(
            f"another shed is uploading this image ({path})", hint="wait for it, or end it", code=Exit.CONFLICT
        ) from error


def _record(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.with_suffix(".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, record: Record) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(record)) + "\n")
    partial.replace(path.with_suffix(".json"))
