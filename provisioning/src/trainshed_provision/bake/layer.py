"""What only a disk needs, on top of the root that all targets share: kernel, boot loader, fstab."""

import shutil
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.bake import packages
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.converge import in_root, no_starts
from trainshed_provision.bake.packages import Package

# What GRUB's core needs to find its modules and configuration; the rest is loaded from /boot/grub.
CORE_MODULES = ["biosdisk", "part_gpt", "ext2", "search", "search_label", "normal"]
NOT_MODULES = ("*.image", "*.module", "*.exec", "kernel.img")
BOOT_IMAGE = Path("usr/lib/grub/i386-pc/boot.img")
REPOSITORY = "packages"  # in the tree while apt installs from it


def install(bake: Bake, locked: list[Package]) -> None:
    """Install the packages of images/vm, by the tree's own apt, out of the locked ones."""
    repository = packages.repository(locked, bake.kept, bake.tree / REPOSITORY, bake.architecture)
    (repository / "list").write_text(f"deb [trusted=yes] file:/{REPOSITORY} ./\n")
    no_starts(bake.tree)
    sources = [f"Dir::Etc::SourceList=/{REPOSITORY}/list", "Dir::Etc::SourceParts=/dev/null"]
    apt: list[str | Path] = ["chroot", bake.tree, "apt-get", *(word for option in sources for word in ("-o", option))]
    environment = {**bake.environment, "DEBIAN_FRONTEND": "noninteractive", "TMPDIR": "/tmp"}  # noqa: S108 - of the tree, in memory
    wanted = packages.asked(bake.checkout, "vm", architecture=bake.architecture)
    for words in (["update"], ["install", "--yes", "--no-install-recommends", *wanted]):
        process.run(in_root(bake, [*apt, *words]), env=environment, log_to=bake.log)
    shutil.rmtree(repository)


def add(bake: Bake) -> None:
    """Add fstab and GRUB's files to the tree and, where there is a BIOS, its modules and work/core.img for the partition of it."""
    data = bake.checkout / "images" / "vm"
    grub = bake.tree / "boot" / "grub"
    grub.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(data / "grub.cfg", grub / "grub.cfg")
    shutil.copyfile(data / "fstab", bake.tree / "etc" / "fstab")
    if bake.architecture.bios:
        shutil.copytree(bake.tree / BOOT_IMAGE.parent, grub / "i386-pc", ignore=shutil.ignore_patterns(*NOT_MODULES))
        _core(bake, stub=data / "grub-core.cfg")


def _core(bake: Bake, *, stub: Path) -> None:
    """Run the tree's own grub-mkimage, the one that fits its modules."""
    inside = bake.tree / "tmp"
    shutil.copyfile(stub, inside / "stub.cfg")
    argv: list[str | Path] = ["chroot", bake.tree, "grub-mkimage", "--format", "i386-pc", "--prefix", "/boot/grub"]
    process.run([*argv, "--config", "tmp/stub.cfg", "--output", "tmp/core.img", *CORE_MODULES])
    (inside / "core.img").rename(bake.work / "core.img")
    (inside / "stub.cfg").unlink()
