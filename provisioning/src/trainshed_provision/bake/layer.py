"""What only a disk needs on top of the tree that all targets share: fstab and the boot loader's files."""

import shutil
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.bake.context import Bake

# What GRUB's core needs to find its modules and configuration; the rest is loaded from /boot/grub.
CORE_MODULES = ["biosdisk", "part_gpt", "ext2", "search", "search_label", "normal"]
NOT_MODULES = ("*.image", "*.module", "*.exec", "kernel.img")
BOOT_IMAGE = Path("usr/lib/grub/i386-pc/boot.img")


def add(bake: Bake) -> None:
    """Add the disk's files to the tree, and work/core.img: GRUB for the BIOS boot partition."""
    data = bake.checkout / "images" / "vm"
    grub = bake.tree / "boot" / "grub"
    shutil.copytree(bake.tree / BOOT_IMAGE.parent, grub / "i386-pc", ignore=shutil.ignore_patterns(*NOT_MODULES))
    shutil.copyfile(data / "grub.cfg", grub / "grub.cfg")
    shutil.copyfile(data / "fstab", bake.tree / "etc" / "fstab")
    _core(bake, stub=data / "grub-core.cfg")


def _core(bake: Bake, *, stub: Path) -> None:
    """Run the tree's own grub-mkimage, the one that fits its modules."""
    inside = bake.tree / "tmp"
    shutil.copyfile(stub, inside / "stub.cfg")
    argv: list[str | Path] = ["chroot", bake.tree, "grub-mkimage", "--format", "i386-pc", "--prefix", "/boot/grub"]
    process.run([*argv, "--config", "tmp/stub.cfg", "--output", "tmp/core.img", *CORE_MODULES])
    (inside / "core.img").rename(bake.work / "core.img")
    (inside / "stub.cfg").unlink()
