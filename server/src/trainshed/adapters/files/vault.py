"""Backups in a folder, and one backup in a tar file. Both hold the same names: pieces/<digest> and backups/<name>."""

import fcntl
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

from trainshed.adapters.files.tree import errors_of
from trainshed.domain.errors import StoreError
from trainshed.ports.backups import PIECE, Damaged

RESERVE = 32 * 2**20  # bytes that are left free on the disk
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}\Z")
_MEMBER = re.compile(r"(?:pieces/[0-9a-f]{64}|backups/[0-9A-Za-z][0-9A-Za-z._-]{0,99})\Z")
_SUM = b"sha256 "


def digest_of(piece: bytes) -> str:
    """Under which a vault keeps the piece."""
    return hashlib.sha256(piece).hexdigest()


class FolderVault:
    """The Vault port on a folder, which only its owner can read.

    A piece that no backup names was left by one that was cut: the next one takes it when it is whole, and sweep() removes it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pieces, self._backups = root / "pieces", root / "backups"
        self._written: list[Path] = []
        self._trusted: set[str] = set()

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Make the folder if it is missing and keep others from writing there. A folder for temporary files, gone at the end.

        Raises BlockingIOError when another process writes.
        """
        with errors_of(self._root):
            for path in (self._root, self._pieces, self._backups):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in self._root.glob("unfinished-*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix="unfinished-", dir=self._root) as scratch:
                yield Path(scratch)
        finally:
            os.close(lock)

    def trust(self, digests: Iterable[str]) -> None:
        """These are on the disk: a backup that is whole names them."""
        self._trusted.update(digests)

    def put(self, piece: bytes) -> str:
        digest = digest_of(piece)
        if digest not in self._trusted:
            path = self._path(digest)
            with errors_of(self._root):
                if not _holds(path, piece):
                    _write(path, piece)
                self._written.append(path)
            self._trusted.add(digest)
        return digest

    def get(self, digest: str) -> bytes:
        path = self._path(digest)
        try:
            with errors_of(path):
                piece = path.read_bytes()
        except StoreError as error:
            raise Damaged(f"the piece {digest} cannot be read: {error}") from error
        return _checked(piece, digest)

    def names(self) -> list[str]:
        if not self._backups.is_dir():
            return []
        return sorted(path.name for path in self._backups.iterdir() if _NAME.match(path.name))

    def lines(self, name: str) -> Iterator[bytes]:
        with errors_of(self._backups / name):
            content = (self._backups / name).read_bytes()
        return whole_lines(content, name)

    def commit(self, name: str, lines: Iterable[bytes]) -> None:
        with errors_of(self._root):
            for path in self._written:
                _sync(path)
            for folder in {path.parent for path in self._written}:
                _sync(folder)
            _write(self._backups / name, with_sum(lines))
            for path in (self._backups / name, self._backups, self._pieces, self._root):
                _sync(path)
        self._written.clear()

    def free(self) -> int:
        disk = os.statvfs(self._root)
        return max(0, disk.f_bavail * disk.f_frsize - RESERVE)

    def remove(self, name: str) -> None:
        """Forget a backup; its pieces stay until sweep()."""
        with errors_of(self._backups):
            (self._backups / name).unlink()
            _sync(self._backups)

    def sweep(self, used: set[str]) -> None:
        """Remove the pieces that are not used."""
        with errors_of(self._pieces):
            for path in self._pieces.glob("*/*"):
                if path.name not in used:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        return self._pieces / digest[:2] / digest


class TarWriter:
    """The Vault port on a new tar file, for one backup. The file has its name when the backup is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[str] = set()

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """The file is open until the block ends. A folder for temporary files, gone at the end."""
        with errors_of(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = tempfile.TemporaryDirectory(prefix=f".{self._path.name}-unfinished-", dir=self._path.parent)
        with temporary as scratch:
            self._draft = Path(scratch) / "archive"
            self._draft.touch(mode=0o600)
            with tarfile.open(self._draft, "w:", format=tarfile.PAX_FORMAT) as self._tar:
                yield Path(scratch)

    def put(self, piece: bytes) -> str:
        digest = digest_of(piece)
        if digest not in self._known:
            self._known.add(digest)
            self._add(f"pieces/{digest}", piece)
        return digest

    def names(self) -> list[str]:
        return []

    def lines(self, name: str) -> Iterator[bytes]:
        raise Damaged(f"{name} is not there")

    def get(self, digest: str) -> bytes:
        raise Damaged(f"{digest} is still being written")

    def commit(self, name: str, lines: Iterable[bytes]) -> None:
        self._add(f"backups/{name}", with_sum(lines))
        with errors_of(self._path):
            self._tar.close()
            _sync(self._draft)
            os.link(self._draft, self._path)  # never over a file that is there
            _sync(self._path.parent)

    def free(self) -> int:
        disk = os.statvfs(self._path.parent)
        return max(0, disk.f_bavail * disk.f_frsize - RESERVE)

    def _add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        with errors_of(self._path):
            self._tar.addfile(member, BytesIO(content))


class TarReader:
    """The Vault port on a tar file, to read. Nothing is ever unpacked by the archive's own word."""

    def __init__(self, path: Path) -> None:
        """Raises Damaged for anything that is none of ours: links, devices, folders, other names."""
        self._members: dict[str, tuple[int, int]] = {}
        try:
            with errors_of(path), tarfile.open(path, "r:") as tar:
                for member in tar:
                    # type, and not isreg(): that takes sparse files, whose content is longer than the archive.
                    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                        raise Damaged(f"{path}: {member.name!r} is no plain file")
                    if not _MEMBER.match(member.name) or member.name in self._members:
                        raise Damaged(f"{path}: no backup has {member.name!r}")
                    self._members[member.name] = (member.offset_data, member.size)
        except tarfile.TarError as error:
            raise Damaged(f"{path}: {error}") from error
        self._path = path

    def names(self) -> list[str]:
        return sorted(name.removeprefix("backups/") for name in self._members if name.startswith("backups/"))

    def lines(self, name: str) -> Iterator[bytes]:
        return whole_lines(self._read(f"backups/{name}"), name)

    def get(self, digest: str) -> bytes:
        name = f"pieces/{digest}"
        if name in self._members and self._members[name][1] > PIECE:
            raise Damaged(f"the piece {digest} is too long")
        return _checked(self._read(name), digest)

    def put(self, piece: bytes) -> str:
        raise StoreError(f"{self._path}: an archive holds one backup")

    def commit(self, name: str, lines: Iterable[bytes]) -> None:
        raise StoreError(f"{self._path}: an archive holds one backup")

    def free(self) -> int:
        return 0

    def _read(self, name: str) -> bytes:
        if name not in self._members:
            raise Damaged(f"{self._path}: {name} is missing")
        start, size = self._members[name]
        with errors_of(self._path), self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)


def with_sum(lines: Iterable[bytes]) -> bytes:
    """The lines as one text that tells by its last one whether it is whole."""
    text = b"".join(line + b"\n" for line in lines)
    return text + _SUM + digest_of(text).encode() + b"\n"


def whole_lines(text: bytes, name: str) -> Iterator[bytes]:
    """The lines that with_sum() got. Raises Damaged."""
    body, mark, found = text.rpartition(_SUM)
    if not mark or found.strip() != digest_of(body).encode():
        raise Damaged(f"the list of the backup {name} is not whole")
    return iter(body.splitlines())


def _checked(piece: bytes, digest: str) -> bytes:
    if digest_of(piece) != digest:
        raise Damaged(f"the piece {digest} is not what was written")
    return piece


def _holds(path: Path, piece: bytes) -> bool:
    """Whether the file is there and holds just this: after the loss of power it may be empty."""
    with suppress(FileNotFoundError):
        return path.stat().st_size == len(piece) and path.read_bytes() == piece
    return False


def _write(path: Path, content: bytes) -> None:
    """Write a file under another name first."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=path.parent)  # with mode 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
