"""The baked file that is to be published: found by its manifest, and checked before anything is paid for."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainshed_provision.bake.manifest import LATEST
from trainshed_provision.errors import Exit, ShedError

READ_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of a bake and what the manifest says of it. tree: digest of the file tree, the same on every target."""

    path: Path
    sha256: str
    size: int
    version: str
    commit: str
    tree: str
    architecture: str


def find(path: Path | None, *, ending: str, baked: Path) -> Source:
    """The manifest's file with this ending ("raw", "gcp.tar.gz"): that at path, or of the newest image in `baked`.

    A manifest lies beside its files. Raises ShedError: NOT_FOUND when file or manifest is not there, CORRUPT when the
    manifest cannot be read or does not fit the file's size.
    """
    manifest = baked / LATEST if path is None else _beside(path)
    if path is not None and not path.is_file():
        raise _not_found(f"no image {path}")
    if not manifest.is_file():
        raise _not_found(f"no image in {baked} yet" if path is None else f"{path} has no manifest {manifest.name}")
    source = _read(manifest, ending)
    if not source.path.is_file():
        raise _not_found(f"the manifest {manifest} names {source.path.name}, which is not there")
    if source.path.stat().st_size != source.size:
        raise _corrupt(f"{source.path} has {source.path.stat().st_size} bytes, its manifest says {source.size}")
    return source


def verify(source: Source, *, advance: Callable[[int], None]) -> None:
    """Raise ShedError(CORRUPT) unless the file is what its manifest says. advance: told of each number of bytes read."""
    digest = hashlib.sha256()
    with source.path.open("rb") as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
            advance(len(piece))
    if digest.hexdigest() != source.sha256:
        raise _corrupt(
            f"{source.path} is corrupt: sha256 {digest.hexdigest()[:16]}..., its manifest says {source.sha256[:16]}..."
        )


def _beside(path: Path) -> Path:
    """The manifest of a file: its name up to an ending it may have, `trainshed-0.1.0-amd64.gcp.tar.gz` too."""
    names = [parent for parent in _stems(path.name) if path.with_name(f"{parent}.manifest.json").is_file()]
    return path.with_name(f"{names[0] if names else path.stem}.manifest.json")


def _stems(name: str) -> list[str]:
    return [name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)]


def _read(manifest: Path, ending: str) -> Source:
    try:
        fields = json.loads(manifest.read_text())
        file = fields["files"][ending]
        return Source(
            path=(manifest.parent / file["file"]).absolute(),
            sha256=str(file["sha256"]),
            size=int(file["bytes"]),
            version=str(fields["version"]),
            commit=str(fields["commit"]),
            tree=str(fields["tree_digest"]),
            architecture=str(fields["architecture"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(f"{manifest} is not the manifest of an image with a '{ending}' file: {error!r}") from error


def _not_found(message: str) -> ShedError:
    return ShedError(
        message, hint="make one with: sudo shed bake all   (or name one: --image PATH)", code=Exit.NOT_FOUND
    )


def _corrupt(message: str) -> ShedError:
    return ShedError(message, hint="bake it again with: sudo shed bake all --force", code=Exit.CORRUPT)
