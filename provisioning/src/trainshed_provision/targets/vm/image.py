"""The baked image that a machine starts from: found, and checked before it is used."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainshed_provision import process
from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.bake.manifest import LATEST
from trainshed_provision.errors import Exit, ShedError


@dataclass(frozen=True, kw_only=True)
class Image:
    """One qcow2 and what its manifest says. sha256: of the file. tree: digest of the file tree, the same on every target."""

    path: Path
    sha256: str
    version: str
    architecture: str
    tree: str

    def as_json(self) -> dict[str, Any]:
        """The fields by name, ready for json.dumps."""
        return {**asdict(self), "path": str(self.path)}


def find(path: Path | None, *, baked: Path) -> Image:
    """The image at path, else the newest in the folder `baked`. An image's manifest lies beside it.

    Raises ShedError: NOT_FOUND when it or its manifest is not there, CORRUPT when the manifest cannot be read.
    """
    manifest = baked / LATEST if path is None else path.with_name(path.stem + ".manifest.json")
    if path is not None and not path.is_file():
        raise _not_found(f"no image {path}")
    if not manifest.is_file():
        raise _not_found(f"no image in {baked} yet" if path is None else f"{path} has no manifest {manifest.name}")
    try:
        fields = json.loads(manifest.read_text())
        file = fields["files"]["qcow2"]
        return Image(
            path=(manifest.parent / file["file"]).absolute(),
            sha256=file["sha256"],
            version=fields["version"],
            architecture=ARCHITECTURES[fields["architecture"]].name,
            tree=fields["tree_digest"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(f"{manifest} is not the manifest of a qcow2 image: {error!r}") from error


def verify(image: Image) -> None:
    """Raise ShedError(CORRUPT) unless the file is what its manifest says and qcow2's own tables hold."""
    if not image.path.is_file():
        raise _not_found(f"the manifest names {image.path}, which is not there")
    digest = file_digest(image.path)
    if digest != image.sha256:
        raise _corrupt(f"{image.path} is corrupt: sha256 {digest[:16]}..., its manifest says {image.sha256[:16]}...")
    process.need("qemu-img")
    try:
        process.run(["qemu-img", "check", "-q", "-f", "qcow2", image.path])
    except ShedError as error:
        raise _corrupt(f"{image.path} is corrupt: {error.message}") from error


def _not_found(message: str) -> ShedError:
    return ShedError(
        message, hint="make one with: sudo shed bake vm   (or name one: --image PATH)", code=Exit.NOT_FOUND
    )


def _corrupt(message: str) -> ShedError:
    return ShedError(message, hint="bake it again with: sudo shed bake vm", code=Exit.CORRUPT)
