"""What is baked for which target, and the stages that make it, in order."""

import hashlib
import json
import shutil
import tarfile
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainshed_provision import assertions
from trainshed_provision.architecture import Architecture
from trainshed_provision.bake import (
    clean,
    converge,
    disk,
    ext4,
    inventory,
    layer,
    manifest,
    packages,
    rootfs,
    tree,
    wheelhouse,
)
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.offline import Tree
from trainshed_provision.bake.packages import Package
from trainshed_provision.bake.prove import Listings
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import gce, oci, ova, qcow2, raw, vhd, vmdk
from trainshed_provision.papers import documents
from trainshed_provision.papers.packages import Inventory

# The endings of the files that each target is.
TARGETS: dict[str, tuple[str, ...]] = {
    "vm": ("qcow2", "vmdk", "ova", "vhd"),
    "aws": ("raw",),
    "gcp": ("gcp.tar.gz",),
    "docker": ("oci.tar",),
}
TARGETS["all"] = tuple(ending for endings in TARGETS.values() for ending in endings)

# Programs of the host. chroot and unshare are everywhere; the rest comes with ./bootstrap.
PROGRAMS = (
    "git",
    "unshare",
    "chroot",
    "tar",
    "apt-get",
    "dpkg-deb",
    "mmdebstrap",
    "sfdisk",
    "mkfs.vfat",
    "mmd",
    "mcopy",
    "qemu-img",
)
# Rules about what the layer of a disk brings: kernel, boot loader, fstab.
OF_THE_LAYER = {"B02", "B03", "B04", "B06", "H06"}


@dataclass
class State:
    """What earlier stages hand to later ones. made: files by ending; papers: texts by ending; tell: takes a line.

    holds: the root's packages, and the disk's besides once there is one.
    """

    tell: Callable[[str], None]
    locked: list[Package] = field(default_factory=list)
    wheels: Path = Path()
    base: Path = Path()
    disk: Path = Path()
    holds: Inventory | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    made: dict[str, Path] = field(default_factory=dict)
    papers: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)


Do = Callable[[Bake, State], None]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the bake. title: what it does, for the plan."""

    name: str
    title: str
    do: Do


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of file. of: what it is written from, "root", "disk" or another ending. write(bake, source, target). check: raises
    what is wrong with the file by the rules of its kind. pc: it describes a PC, so there is none for other machines.
    """

    of: str
    title: str
    write: Callable[[Bake, Path, Path], object]
    check: Callable[[Path], None] | None = None
    pc: bool = False


# --- the root ---


def _packages(bake: Bake, state: State) -> None:
    state.locked = packages.provide(bake, tell=state.tell)


def _packages_of_root(bake: Bake, state: State) -> None:
    state.locked = packages.parse(bake.root_lock.read_text(), file=bake.root_lock)
    packages.keep(bake, state.locked)


def _wheels(bake: Bake, state: State) -> None:
    state.wheels = wheelhouse.make(bake)


def _base(bake: Bake, state: State) -> None:
    state.base = rootfs.base(bake, state.locked)


def _unpack(bake: Bake, state: State) -> None:
    rootfs.unpack(bake, state.base)


def _converge(bake: Bake, state: State) -> None:
    converge.converge(bake, state.wheels)


def _clean(bake: Bake, state: State) -> None:
    release = json.dumps({"version": bake.version, "commit": bake.commit, "commit_time": bake.epoch}) + "\n"
    residue = bake.checkout / "images" / "common" / "residue.txt"
    clean.clean(bake.tree, residue=residue, sources=packages.mirrors(bake.work), release=release)
    clean.clamp(bake.tree, bake.epoch)


def _check_root(bake: Bake, state: State) -> None:
    _check(bake, without=OF_THE_LAYER)


def _root(bake: Bake, state: State) -> None:
    partial = bake.work / "root.tar"
    rootfs.pack(bake, partial)
    for old in bake.cache.glob(f"root-{bake.architecture.name}-*"):
        old.unlink()
    bake.root_lock.write_text(packages.render(state.locked))
    inventory.keep_root(bake, state.locked)
    partial.rename(bake.root)


def _list(bake: Bake, state: State) -> None:
    with bake.root.open("rb") as file:
        files = tree.of_tar(file)
    with tarfile.open(bake.root) as tar:
        debian = manifest.debian_packages(_text(tar, "var/lib/dpkg/status"))
    lock, changes = packages.render(state.locked), tree.patterns(bake.checkout / "images/vm/changes.txt")
    state.papers["tree.txt"] = tree.listing(files)
    state.papers["packages.lock"] = lock
    state.holds = inventory.of_root(bake)
    state.facts = {
        "tree_digest": tree.digest(tree.listing(files, without=changes)),
        "layer_changes": changes,
        "lock": hashlib.sha256(lock.encode()).hexdigest(),
        "locked": lock == packages.committed(bake.checkout, bake.architecture),
        "debian": debian,
        "python": manifest.python_distributions(state.papers["tree.txt"]),
    }


def _text(tar: tarfile.TarFile, name: str) -> str:
    file = tar.extractfile(name)
    assert file is not None  # a regular file
    return file.read().decode()


# --- the disk ---


def _layer(bake: Bake, state: State) -> None:
    if not bake.tree.is_dir():
        rootfs.unpack(bake, bake.root)
    layer.install(bake, state.locked)
    _clean(bake, state)
    layer.add(bake)
    clean.clamp(bake.tree, bake.epoch)
    installed = manifest.debian_packages((bake.tree / "var/lib/dpkg/status").read_text())
    state.facts["layer"] = {name: v for name, v in installed.items() if name not in state.facts["debian"]}
    state.facts["disk_bytes"] = disk.SIZE
    state.holds = inventory.of_disk(bake, state.locked)


def _check_disk(bake: Bake, state: State) -> None:
    _check(bake)


def _disk(bake: Bake, state: State) -> None:
    state.disk = disk.write(bake)


def _prove(bake: Bake, state: State) -> None:
    raw.check(state.disk, bake.architecture)
    files = ext4.of_disk(state.disk)
    state.papers["disk.txt"] = tree.listing(files)
    state.facts["disk_digest"] = tree.digest(state.papers["disk.txt"])
    listings = Listings(
        root=state.papers["tree.txt"], disk=state.papers["disk.txt"], changes=state.facts["layer_changes"]
    )
    if changed := listings.changed(files):
        raise ShedError(
            f"the layer of the disk changes {len(changed)} files of the root that it must not: {', '.join(changed[:10])}",
            hint="images/vm/changes.txt names those that it may",
            code=Exit.CORRUPT,
        )


def _check(bake: Bake, *, without: Iterable[str] = ()) -> None:
    results = [result for result in assertions.run(Tree(bake), where="F") if result.rule not in without]
    failed = [result.line() for result in results if not result.ok]
    if failed:
        raise ShedError(
            f"{len(failed)} of {len(results)} image rules do not hold:\n" + "\n".join(failed),
            hint="no image was written; docs/images.md lists the rules",
            code=Exit.CORRUPT,
        )


# --- the files ---


def _raw(source: Path, target: Path, *, epoch: int, name: str) -> None:
    # The disk is still read by the formats after it, so it gets a second name and not another one.
    target.hardlink_to(source)


def _oci(bake: Bake, source: Path, target: Path) -> None:
    labels = {
        "org.opencontainers.image.title": "Trainshed",
        "org.opencontainers.image.version": bake.version,
        "org.opencontainers.image.revision": bake.commit,
        "org.opencontainers.image.licenses": "Apache-2.0",
    }
    config = json.loads((bake.checkout / "images" / "docker" / "image.json").read_text())
    oci.write(
        source,
        target,
        epoch=bake.epoch,
        name=f"trainshed:{bake.version}",
        config=config,
        labels=labels,
        architecture=bake.architecture.name,
    )


def _plain(write: Callable[..., object]) -> Callable[[Bake, Path, Path], object]:
    return lambda bake, source, target: write(source, target, epoch=bake.epoch, name=bake.name)


FORMATS: dict[str, Format] = {
    "raw": Format(of="disk", title="the disk as it is, sparse, for AWS", write=_plain(_raw)),
    "qcow2": Format(
        of="disk", title="compress it for QEMU and its relatives", write=_plain(qcow2.write), check=qcow2.check
    ),
    "vmdk": Format(
        of="disk", title="compress it for VMware and VirtualBox", write=_plain(vmdk.write), check=vmdk.check
    ),
    "ova": Format(of="vmdk", title="describe a machine with it", write=_plain(ova.write), check=ova.check, pc=True),
    "vhd": Format(of="disk", title="write it for Hyper-V and Azure", write=_plain(vhd.write), check=vhd.check),
    "gcp.tar.gz": Format(of="disk", title="compress it for Google Cloud", write=_plain(gce.write), check=gce.check),
    "oci.tar": Format(of="root", title="write the root as a container image", write=_oci),
}


def _write(ending: str) -> Do:
    def do(bake: Bake, state: State) -> None:
        kind = FORMATS[ending]
        source = {"root": bake.root, "disk": state.disk, **state.made}[kind.of]
        state.made[ending] = bake.work / f"{bake.name}.{ending}"
        kind.write(bake, source, state.made[ending])
        if kind.check:
            kind.check(state.made[ending])

    return do


def _publish(bake: Bake, state: State) -> None:
    made = {e: manifest.describe_file(path, name=f"{bake.name}.{e}") for e, path in state.made.items()}
    before, kept = manifest.newest(bake.images, bake.architecture) or {}, {}
    same = all(before.get(k) == v for k, v in (("name", bake.name), ("commit", bake.commit), ("inputs", bake.inputs)))
    earlier = inventory.of_earlier(bake) if same and before.get("tree_digest") == state.facts["tree_digest"] else None
    if earlier is not None:
        made, kept = {**before["files"], **made}, before["papers"]
        if "layer" in before and "layer" not in state.facts:
            state.holds = earlier
        state.facts = {
            **{key: before[key] for key in ("layer", "disk_bytes", "disk_digest") if key in before},
            **state.facts,
        }
    state.manifest = manifest.describe(bake, facts=state.facts, files=made, seconds=state.seconds)
    assert state.holds is not None  # the stage that lists the root set it
    state.papers |= inventory.papers(bake, state.manifest, state.holds)
    state.manifest["papers"] = {**kept, **documents.describe(bake.name, state.papers)}
    manifest.publish(bake, state.made, state.papers, state.manifest, endings=FORMATS)


# --- the order ---

ROOT = (
    Stage(name="packages", title="have the locked Debian packages", do=_packages),
    Stage(name="wheels", title="build the server's wheel, fetch the locked wheels it needs", do=_wheels),
    Stage(name="base", title="make a minimal Debian with the packages of every image", do=_base),
    Stage(name="unpack", title="unpack it", do=_unpack),
    Stage(name="converge", title="apply the roles in a chroot", do=_converge),
    Stage(name="clean", title="remove what building left, fix times", do=_clean),
    Stage(name="check", title="ask the image rules of the root", do=_check_root),
    Stage(name="root", title="pack the root that every image is made from", do=_root),
)
ROOTED = Stage(name="packages", title="have the packages of the root that is there", do=_packages_of_root)
LIST = Stage(name="list", title="list its files, take the tree digest", do=_list)
DISK = (
    Stage(name="layer", title="add kernel, boot loader and fstab", do=_layer),
    Stage(name="check-disk", title="ask the image rules of the disk", do=_check_disk),
    Stage(name="disk", title="write a GPT disk for every firmware", do=_disk),
    Stage(name="prove", title="read it back and find the root in it, unchanged", do=_prove),
)
PUBLISH = Stage(name="publish", title="write the manifest, move all into build/images", do=_publish)


def endings_of(target: str, architecture: Architecture) -> tuple[str, ...]:
    """The endings of the files that a target is on such machines."""
    return tuple(ending for ending in TARGETS[target] if architecture.bios or not FORMATS[ending].pc)


def plan(endings: Collection[str], *, rooted: bool) -> tuple[Stage, ...]:
    """The stages that make these files. rooted: the root is there from a bake of the same commit and inputs."""
    asked = {*endings, *(FORMATS[ending].of for ending in endings)}
    wanted = [ending for ending in FORMATS if ending in asked]
    disks = any(FORMATS[ending].of != "root" for ending in wanted)
    writes = [Stage(name=ending, title=FORMATS[ending].title, do=_write(ending)) for ending in wanted]
    return (*((ROOTED,) if rooted else ROOT), LIST, *(DISK if disks else ()), *writes, PUBLISH)


def run(
    bake: Bake,
    stages: tuple[Stage, ...],
    *,
    tell: Callable[[str], None],
    before: Mapping[str, float] | None = None,
) -> State:
    """Run the stages; what they made. tell gets one line per stage; before: seconds of an earlier bake, to say what is left."""
    state = State(tell=tell)
    for number, stage in enumerate(stages, 1):
        start = time.monotonic()
        try:
            stage.do(bake, state)
        except (ShedError, OSError) as error:
            raise _explained(bake, error) from error
        state.seconds[stage.name] = round(time.monotonic() - start, 1)
        left = sum((before or {}).get(other.name, 0) for other in stages[number:])
        more = f" (about {left:.0f} s left)" if left >= 1 else ""
        tell(f"{stage.name:10} {state.seconds[stage.name]:6.1f} s  {stage.title}{more}")
    return state


FULL = 64 << 20  # bytes: less than this left means that the disk is what failed


def _explained(bake: Bake, error: ShedError | OSError) -> Exception:
    """The same error, or "no space left" when that is the cause of it."""
    if shutil.disk_usage(bake.build).free > FULL:
        return error
    return ShedError(f"no space left in {bake.build}", hint="free some and bake again", code=Exit.NO_SPACE)
