"""What a file tree is, line by line and as one number, the same for the same files wherever they are kept."""

import fnmatch
import hashlib
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

XATTR = "SCHILY.xattr."  # how tar calls an extended attribute in a pax header
KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file. mode: with the bits of its kind. content: sha256 of a file, target of a link, numbers of a device.

    Times are left out: they say when, not what.
    """

    mode: int
    uid: int
    gid: int
    content: str = ""
    attributes: Mapping[str, bytes] = field(default_factory=dict)

    def line(self, path: str) -> str:
        """As it stands in a listing."""
        attributes = [f"{name}={value.hex()}" for name, value in sorted(self.attributes.items())]
        return " ".join([f"{self.mode:o} {self.uid}:{self.gid}", self.content or "-", *attributes]) + f"\t{path}\n"


Files = dict[str, Entry]  # by path, without a slash in front; the top itself is not in it


def of_tar(archive: BinaryIO) -> Files:
    """The files of a tar, gzipped or not, read once from front to back."""
    found: Files = {}
    with tarfile.open(fileobj=archive, mode="r|*") as tar:
        for member in tar:
            path = member.name.removeprefix("./").rstrip("/")
            if path in ("", "."):
                continue
            if member.islnk():
                found[path] = found[member.linkname.removeprefix("./")]
                continue
            content = ""
            if member.isreg():
                file = tar.extractfile(member)
                assert file is not None  # it is a regular file
                content = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # has readinto, which it asks for
            elif member.issym():
                content = member.linkname
            elif member.isdev() and not member.isfifo():
                content = f"{member.devmajor}:{member.devminor}"
            attributes = {
                name.removeprefix(XATTR): value.encode("utf-8", "surrogateescape")
                for name, value in member.pax_headers.items()
                if name.startswith(XATTR)
            }
            kind = KINDS.get(member.type, stat.S_IFREG)
            found[path] = Entry(
                mode=kind | stat.S_IMODE(member.mode),
                uid=member.uid,
                gid=member.gid,
                content=content,
                attributes=attributes,
            )
    return found


def patterns(file: Path) -> list[str]:
    """The globs in a file, one on a line; comments left out."""
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs is for this path."""
    return any(fnmatch.fnmatchcase(path, glob) for glob in globs)


def listing(files: Files, *, without: Iterable[str] = ()) -> str:
    """A line for each file, sorted by path, but for the globs in `without`."""
    left_out = tuple(without)
    paths = sorted(path for path in files if not matches(path, left_out))
    return "".join(files[path].line(path) for path in paths)


def digest(text: str) -> str:
    """The number of a listing."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
