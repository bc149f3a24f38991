"""What the root and the disk hold, and the papers about them: the bake's side of `papers`."""

from collections.abc import Iterable, Mapping
from typing import Any

from trainshed_provision.bake import wheelhouse
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.bake.packages import Package
from trainshed_provision.papers import documents, packages
from trainshed_provision.papers.packages import Inventory


def keep_root(bake: Bake, locked: Iterable[Package]) -> None:
    """Keep what the tree holds, now that it is the root that all targets share."""
    archives = {**_archives(locked), **wheelhouse.digests(bake.work / "wheelhouse.tar")}
    bake.root_inventory.write_text(packages.dump(packages.read(bake.tree, archives=archives)))


def of_root(bake: Bake) -> Inventory:
    """What the root holds."""
    return packages.load(bake.root_inventory)


def of_disk(bake: Bake, locked: Iterable[Package]) -> Inventory:
    """What the tree holds with the layer of a disk on top."""
    return packages.with_layer(of_root(bake), bake.tree, archives=_archives(locked))


def of_earlier(bake: Bake) -> Inventory | None:
    """What the finished image of this name holds, its disks too; None when that is not known any more."""
    path = bake.images / f"{bake.name}.{documents.PACKAGES}"
    return packages.load(path) if path.is_file() else None


def papers(bake: Bake, manifest: Mapping[str, Any], inventory: Inventory) -> dict[str, str]:
    """The texts by ending."""
    requirements = file_digest(bake.checkout / "requirements.lock")
    return documents.texts(
        manifest, inventory, locks={"packages.lock": manifest["lock"], "requirements.lock": requirements}
    )


def _archives(locked: Iterable[Package]) -> dict[str, str]:
    return {f"deb/{package.name}": package.sha256 for package in locked}
