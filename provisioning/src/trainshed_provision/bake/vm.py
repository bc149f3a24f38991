"""The stages that make the VM image, in order."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainshed_provision import assertions
from trainshed_provision.bake import clean, converge, digest, disk, layer, manifest, rootfs, wheelhouse
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.offline import Tree
from trainshed_provision.errors import Exit, ShedError

# Programs of the host. chroot and unshare are everywhere; the rest comes with ./bootstrap.
PROGRAMS = (
    "git",
    "unshare",
    "chroot",
    "tar",
    "mmdebstrap",
    "sfdisk",
    "mkfs.vfat",
    "mmd",
    "mcopy",
    "mke2fs",
    "qemu-img",
)
TARGETS = ("common", "vm")  # folders of images/ whose packages are in the base


@dataclass
class State:
    """What earlier stages hand to later ones."""

    wheels: Path = Path()
    base: Path = Path()
    tree_digest: str = ""
    disk: Path = Path()
    qcow2: Path = Path()
    seconds: dict[str, float] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the bake. title: what it does, for the plan."""

    name: str
    title: str
    do: Callable[[Bake, State], None]


def _wheels(bake: Bake, state: State) -> None:
    state.wheels = wheelhouse.make(bake)


def _base(bake: Bake, state: State) -> None:
    state.base = rootfs.base(bake, *TARGETS)


def _unpack(bake: Bake, state: State) -> None:
    rootfs.unpack(bake, state.base)


def _converge(bake: Bake, state: State) -> None:
    converge.converge(bake, state.wheels)


def _clean(bake: Bake, state: State) -> None:
    release = json.dumps({"version": bake.version, "commit": bake.commit, "commit_time": bake.epoch}) + "\n"
    clean.clean(bake.tree, residue=bake.checkout / "images" / "common" / "residue.txt", release=release)
    clean.clamp(bake.tree, bake.epoch)
    state.tree_digest = digest.tree_digest(bake.tree)


def _layer(bake: Bake, state: State) -> None:
    layer.add(bake)
    clean.clamp(bake.tree, bake.epoch)


def _check(bake: Bake, state: State) -> None:
    results = assertions.run(Tree(bake), where="F")
    failed = [result.line() for result in results if not result.ok]
    if failed:
        raise ShedError(
            f"{len(failed)} of {len(results)} image rules do not hold:\n" + "\n".join(failed),
            hint="no image was written; docs/images.md lists the rules",
            code=Exit.CORRUPT,
        )


def _disk(bake: Bake, state: State) -> None:
    state.disk = disk.write(bake)


def _compress(bake: Bake, state: State) -> None:
    state.qcow2 = bake.work / "image.qcow2"
    disk.compress(state.disk, state.qcow2)


def _publish(bake: Bake, state: State) -> None:
    state.manifest = manifest.describe(
        bake, state.qcow2, tree_digest=state.tree_digest, disk_bytes=disk.SIZE, seconds=state.seconds
    )
    manifest.publish(bake, state.qcow2, state.manifest)


STAGES = (
    Stage(name="wheels", title="build the server's wheel, fetch the locked wheels it needs", do=_wheels),
    Stage(name="base", title="make a minimal Debian with the image's packages", do=_base),
    Stage(name="unpack", title="unpack it", do=_unpack),
    Stage(name="converge", title="apply the roles in a chroot", do=_converge),
    Stage(name="clean", title="remove what building left, fix times, take the tree digest", do=_clean),
    Stage(name="layer", title="add fstab and boot loader", do=_layer),
    Stage(name="check", title="ask the image rules", do=_check),
    Stage(name="disk", title="write a GPT disk for BIOS and UEFI", do=_disk),
    Stage(name="compress", title="compress it to qcow2", do=_compress),
    Stage(name="publish", title="write the manifest, move all into build/images", do=_publish),
)


def run(bake: Bake, *, tell: Callable[[str], None], stages: tuple[Stage, ...] = STAGES) -> dict[str, Any]:
    """Run the stages and return the manifest. tell gets one line per stage."""
    state = State()
    for stage in stages:
        start = time.monotonic()
        try:
            stage.do(bake, state)
        except (ShedError, OSError) as error:
            raise _explained(bake, error) from error
        state.seconds[stage.name] = round(time.monotonic() - start, 1)
        tell(f"{stage.name:9} {state.seconds[stage.name]:6.1f} s  {stage.title}")
    return state.manifest


FULL = 64 << 20  # bytes: less than this left means that the disk is what failed


def _explained(bake: Bake, error: ShedError | OSError) -> Exception:
    """The same error, or "no space left" when that is the cause of it."""
    if shutil.disk_usage(bake.build).free > FULL:
        return error
    return ShedError(f"no space left in {bake.build}", hint="free some and bake again", code=Exit.NO_SPACE)
