"""Shows that a finished image holds the root that all images are made from: reads its files back out of the format."""

import errno
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.bake import ext4, tree
from trainshed_provision.bake.tree import Files
from trainshed_provision.errors import Exit, ShedError


@dataclass(frozen=True, kw_only=True)
class Listings:
    """What the bake wrote down: all files of the root, all of a disk, and globs of what the layer of a disk changes."""

    root: str
    disk: str
    changes: list[str]

    def digest(self, files: Files) -> str:
        """The tree digest: of the root's files but for those that the layer changes, whatever else is there."""
        paths = _lines(self.root)
        return tree.digest(tree.listing({p: e for p, e in files.items() if p in paths}, without=self.changes))

    def changed(self, files: Files) -> list[str]:
        """The files of the root that are not as they were, but for those that the layer may change."""
        return [path for path in _differ(files, self.root, both=False) if not tree.matches(path, self.changes)]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What one image turned out to hold. digest: of the root's files in it; differs: paths that are not as in its listing."""

    path: Path
    digest: str
    differs: list[str]


def prove(image: Path, listings: Listings) -> Proof:
    """Read an image's files. A container has to hold what the root holds, a disk what the disk held, and nothing besides."""
    ending, read = reader(image)
    files = read(image)
    wanted = listings.root if ending == "oci.tar" else listings.disk
    return Proof(path=image, digest=listings.digest(files), differs=_differ(files, wanted, both=True))


def reader(image: Path) -> tuple[str, Callable[[Path], Files]]:
    """The ending of an image's name and what reads such a file. USAGE when no image has it."""
    for ending, read in READERS.items():
        if image.name.endswith(f".{ending}"):
            return ending, read
    raise ShedError(f"{image.name} is no image", hint=f"images end in {', '.join(READERS)}", code=Exit.USAGE)


def _differ(files: Files, listing: str, *, both: bool) -> list[str]:
    """The paths of a listing that are other in `files` or not there; both: and those that are in `files` alone."""
    found, wanted = _lines(tree.listing(files)), _lines(listing)
    besides = found.keys() - wanted.keys() if both else set()
    return sorted({path for path, line in wanted.items() if found.get(path) != line} | besides)


def _lines(listing: str) -> dict[str, str]:
    """The lines by path."""
    return {line.partition("\t")[2]: line for line in listing.splitlines()}


@contextmanager
def _room(image: Path) -> Iterator[Path]:
    """A folder for a raw disk, beside the image where we may write there. NO_SPACE instead of what a full disk makes of it."""
    beside = image.parent if os.access(image.parent, os.W_OK) else None
    try:
        with tempfile.TemporaryDirectory(prefix="prove-", dir=beside) as folder:
            yield Path(folder)
    except (OSError, ShedError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC or os.strerror(errno.ENOSPC) in str(error):
            where = beside or tempfile.gettempdir()
            raise ShedError(
                f"no space left in {where} to read {image.name}",
                hint="free 2 GB and run this again",
                code=Exit.NO_SPACE,
            ) from error
        raise


def _of_converted(image: Path, *, form: str, source: Path | None = None) -> Files:
    """By way of qemu-img, which knows the disk formats. The raw disk is sparse: a gigabyte for a moment."""
    process.need("qemu-img")
    with _room(image) as folder:
        raw = folder / "disk.raw"
        try:
            process.run(["qemu-img", "convert", "-f", form, "-O", "raw", source or image, raw])
        except ShedError as error:
            raise _corrupt(image, error) from error
        return ext4.of_disk(raw)


def _of_ova(image: Path) -> Files:
    with _room(image) as folder:
        inside = folder / "disk.vmdk"
        try:
            with tarfile.open(image) as tar, inside.open("wb") as file:
                name = next(name for name in tar.getnames() if name.endswith(".vmdk"))
                shutil.copyfileobj(_member(tar, name), file)
        except (tarfile.TarError, KeyError, StopIteration) as error:
            raise _corrupt(image, error) from error
        return _of_converted(image, form="vmdk", source=inside)


def _of_gce(image: Path) -> Files:
    with _room(image) as folder:
        try:
            process.run(["tar", "--extract", "--gzip", "--file", image, "--directory", folder, "disk.raw"])
        except ShedError as error:
            raise _corrupt(image, error) from error
        return ext4.of_disk(folder / "disk.raw")


def _of_oci(image: Path) -> Files:
    files: Files = {}
    try:
        with tarfile.open(image) as tar:
            [manifest] = json.load(_member(tar, "manifest.json"))
            for layer in manifest["Layers"]:
                files |= tree.of_tar(_member(tar, layer))
    except (tarfile.TarError, EOFError, OSError, ValueError, KeyError) as error:
        raise _corrupt(image, error) from error
    return files


def _member(tar: tarfile.TarFile, name: str) -> tarfile.ExFileObject:
    file = tar.extractfile(name)
    if not isinstance(file, tarfile.ExFileObject):
        raise KeyError(f"{name} is no file")
    return file


READERS: dict[str, Callable[[Path], Files]] = {
    "raw": ext4.of_disk,
    "qcow2": lambda image: _of_converted(image, form="qcow2"),
    "vmdk": lambda image: _of_converted(image, form="vmdk"),
    "vhd": lambda image: _of_converted(image, form="vpc"),
    "ova": _of_ova,
    "gcp.tar.gz": _of_gce,
    "oci.tar": _of_oci,
}


def _corrupt(image: Path, error: Exception) -> ShedError:
    return ShedError(
        f"{image.name} cannot be read: {error}",
        hint="bake it again with: sudo shed bake all --force",
        code=Exit.CORRUPT,
    )
