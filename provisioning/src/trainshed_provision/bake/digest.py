"""One number for a whole file tree, the same for the same files on whatever target they are."""

import hashlib
import os
import stat
from pathlib import Path


def tree_digest(tree: Path) -> str:
    """sha256 over path, kind, mode, owner, extended attributes and content of every file, sorted by path.

    Times are left out: they say when, not what.
    """
    total = hashlib.sha256()
    for path in sorted(_walk(tree), key=lambda p: os.fsencode(p)):
        total.update(os.fsencode(path.relative_to(tree)) + b"\0" + _describe(path).encode() + b"\n")
    return total.hexdigest()


def _walk(tree: Path) -> list[Path]:
    return [Path(folder, name) for folder, dirs, files in os.walk(tree) for name in (*dirs, *files)]


def _describe(path: Path) -> str:
    info = path.lstat()
    fields = [f"{info.st_mode:o}", str(info.st_uid), str(info.st_gid)]
    if stat.S_ISREG(info.st_mode):
        fields += [file_digest(path)]
    elif stat.S_ISLNK(info.st_mode):
        fields += [str(path.readlink())]
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        fields += [str(info.st_rdev)]
    attributes = os.listxattr(path, follow_symlinks=False)
    return " ".join(fields + [f"{a}={os.getxattr(path, a, follow_symlinks=False).hex()}" for a in sorted(attributes)])


def file_digest(path: Path) -> str:
    """sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
