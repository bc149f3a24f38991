"""The machine's disks: an overlay over the image, and a data disk that is looked at before anything may write to it."""

import os
import shutil
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.plan import OURS

# blkid is in sbin, which is not on everybody's PATH.
BLKID_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
BLKID_NOTHING_FOUND, BLKID_AMBIVALENT = 2, 8
HEAD_BYTES = 4 * 1024 * 1024  # holds the signature of every file system and disk format we heard of
# Disk formats that blkid does not know: they are files of other programs, and would look blank to it.
CONTAINER_MAGIC = {b"QFI\xfb": "a qcow2 image", b"KDMV": "a VMDK image", b"vhdxfile": "a VHDX image"}


def make_overlay(path: Path, *, over: Path) -> None:
    """A qcow2 that reads through to the image, made under another name first."""
    process.need("qemu-img")
    half = path.with_name(path.name + ".part")
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", over.absolute(), "-F", "qcow2", half])
    half.rename(path)


def make_blank(path: Path, *, size: int) -> None:
    """A sparse raw disk of size bytes."""
    half = path.with_name(path.name + ".part")
    with half.open("wb") as file:
        file.truncate(size)
    half.rename(path)


def grow(path: Path, *, size: int) -> None:
    """Make a raw disk longer."""
    os.truncate(path, size)


def content(path: Path) -> str:
    """What is on a raw disk: "" when blank, OURS for our file system, else a few words. Only reads.

    Raises ShedError: NOT_FOUND when there is none, MISSING when it cannot be read.
    """
    head = _head(path)
    for magic, name in CONTAINER_MAGIC.items():
        if head.startswith(magic):
            return name
    found = _blkid(path)
    if found.get("LABEL") == OURS:
        return OURS
    if not found:
        return "data that no tool here knows" if any(head) else ""
    kind = found.get("TYPE") or f"a {found.get('PTTYPE', 'unknown')} partition table"
    return f"{kind} labelled '{found['LABEL']}'" if "LABEL" in found else kind


def _head(path: Path) -> bytes:
    try:
        with path.open("r+b") as disk:
            return disk.read(HEAD_BYTES)
    except FileNotFoundError as error:
        raise ShedError(
            f"no data disk {path}", hint=f"make one with: truncate -s 20G {path}", code=Exit.NOT_FOUND
        ) from error
    except OSError as error:
        raise ShedError(
            f"cannot use {path} as data disk: {error.strerror}", hint="give a disk you may write to", code=Exit.MISSING
        ) from error


def _blkid(path: Path) -> dict[str, str]:
    program = shutil.which("blkid", path=BLKID_PATH)
    if program is None:
        process.need("blkid")
    answers = (0, BLKID_NOTHING_FOUND, BLKID_AMBIVALENT)
    done = process.run([program or "blkid", "-p", "-o", "export", path], accept=answers).decode(errors="replace")
    found = dict(line.split("=", 1) for line in done.splitlines() if "=" in line)
    found.pop("DEVNAME", None)
    return found
