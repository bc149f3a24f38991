"""Writes the tree as a bootable GPT disk for UEFI, and BIOS where there is one, without loop devices, mounts or grub-install.

LBA 0      protective MBR, with GRUB's first stage (BIOS)
1 MiB      BIOS boot partition, 1 MiB: GRUB's core; without a BIOS nothing
2 MiB      EFI system partition, 64 MiB: the signed shim and GRUB
66 MiB     the root file system, last so that it can grow
"""

import struct
import uuid
from collections.abc import Sequence
from pathlib import Path

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, Architecture
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.layer import BOOT_IMAGE

SECTOR = 512
MIB = 1 << 20
SIZE = 4096 * MIB  # the disk as launched; a larger one is grown into at boot
CORE_START = 1 * MIB
ESP_START = 2 * MIB
ESP_SIZE = 64 * MIB
ROOT_START = ESP_START + ESP_SIZE
ROOT_SIZE = SIZE - ROOT_START - MIB  # the last MiB holds the second copy of the table

LABEL = "trainshed-root"
VOLUME = "a7a15ed0"  # the ESP's serial number: any, but always the same
# Ids are derived, so that the same tree makes the same disk.
NAMESPACE = uuid.UUID("6f2b1d0e-4f0b-4f5c-9d55-7a1c5e2d0001")
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

# Where boot.img and core.img keep disk addresses (grub/i386/pc/boot.h); grub-bios-setup patches the same ones.
BOOT_CODE = 440  # bytes of the MBR before the disk signature
KERNEL_SECTOR = 0x5C
DRIVE_CHECK = 0x66  # a jump that a hard disk replaces with two no-operations
CORE_BLOCKLIST = 0x1F4
CORE_SEGMENT = 0x820

# Not for older GRUBs: newer e2fsprogs turn these on by themselves.
EXT4_OFF = "^orphan_file,^metadata_csum_seed"


def ident(what: str) -> str:
    """The fixed id of a part of the disk."""
    return str(uuid.uuid5(NAMESPACE, what))


def table(architecture: Architecture = AMD64) -> str:
    """sfdisk's description of the partitions."""
    rows = [
        *([(CORE_START, MIB, BIOS_BOOT, "bios")] if architecture.bios else []),
        (ESP_START, ESP_SIZE, ESP, "esp"),
        (ROOT_START, ROOT_SIZE, architecture.root, "root"),
    ]
    lines = [
        f'start={start // SECTOR}, size={size // SECTOR}, type={kind}, uuid={ident(name)}, name="{name}"'
        for start, size, kind, name in rows
    ]
    return "\n".join(["label: gpt", f"label-id: {ident('disk')}", "unit: sectors", *lines, ""])


def boot_code(boot: bytes, core: bytes) -> tuple[bytes, bytes]:
    """GRUB's two BIOS stages, told where they are on the disk; the core padded to whole sectors."""
    first = CORE_START // SECTOR
    sectors = -(-len(core) // SECTOR)
    if sectors * SECTOR > MIB:
        raise ValueError(f"GRUB's core has {len(core)} bytes and its partition {MIB}")
    mbr, image = bytearray(boot[:BOOT_CODE]), bytearray(core.ljust(sectors * SECTOR, b"\0"))
    struct.pack_into("<Q", mbr, KERNEL_SECTOR, first)
    mbr[DRIVE_CHECK : DRIVE_CHECK + 2] = b"\x90\x90"
    struct.pack_into("<QHH", image, CORE_BLOCKLIST, first + 1, sectors - 1, CORE_SEGMENT)
    return bytes(mbr), bytes(image)


def own_mke2fs(tree: Path, architecture: Architecture) -> tuple[list[str | Path], dict[str, str]]:
    """The tree's own mke2fs, by its own loader, and the environment it needs.

    The host's would write another disk on each version of it; those before 1.47.2 also take the files in the order in which
    the host's file system happens to list them.
    """
    libraries = tree / architecture.libraries
    argv: list[str | Path] = [libraries / architecture.loader, "--library-path", libraries, tree / "usr/sbin/mke2fs"]
    return argv, {"MKE2FS_CONFIG": str(tree / "etc/mke2fs.conf")}


def mke2fs_argv(tree: Path, disk: Path, *, program: Sequence[str | Path] = ("mke2fs",)) -> list[str | Path]:
    """The command that writes the tree as the root partition of the disk file."""
    extended = f"hash_seed={ident('root')},offset={ROOT_START},nodiscard,root_owner=0:0"
    return [
        *(*program, "-q", "-F", "-t", "ext4", "-L", LABEL, "-U", ident("root"), "-m", "1", "-O", EXT4_OFF),
        *("-E", extended, "-d", tree, disk, f"{ROOT_SIZE // 1024}k"),
    ]


def write(bake: Bake) -> Path:
    """Write work/disk.raw (sparse) from the tree and, where there is a BIOS, work/core.img."""
    disk = bake.work / "disk.raw"
    _sized(disk, SIZE)
    process.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk], stdin=table(bake.architecture).encode())
    parts = [(ESP_START, _esp(bake).read_bytes())]
    if bake.architecture.bios:
        mbr, core = boot_code((bake.tree / BOOT_IMAGE).read_bytes(), (bake.work / "core.img").read_bytes())
        parts += [(0, mbr), (CORE_START, core)]
    with disk.open("r+b") as file:
        for start, content in parts:
            file.seek(start)
            file.write(content)
    program, environment = own_mke2fs(bake.tree, bake.architecture)
    environment = {**bake.environment, **environment, "E2FSPROGS_FAKE_TIME": str(bake.epoch)}
    process.run(mke2fs_argv(bake.tree, disk, program=program), env=environment, log_to=bake.log)
    return disk


def _esp(bake: Bake) -> Path:
    """The EFI system partition: Debian's signed shim and GRUB under the names firmware looks for by itself."""
    esp = bake.work / "esp.img"
    _sized(esp, ESP_SIZE)
    process.run(["mkfs.vfat", "--invariant", "-F", "32", "-i", VOLUME, "-n", "ESP", esp])
    process.run(["mmd", "-i", esp, "::EFI", "::EFI/BOOT", "::EFI/debian"], env=bake.environment)
    library, efi = bake.tree / "usr" / "lib", bake.architecture.efi
    for source, target in (
        (library / f"shim/shim{efi}.efi.signed", f"EFI/BOOT/BOOT{efi.upper()}.EFI"),
        (library / f"shim/mm{efi}.efi.signed", f"EFI/BOOT/mm{efi}.efi"),
        (library / f"grub/{bake.architecture.grub}/grub{efi}.efi.signed", f"EFI/BOOT/grub{efi}.efi"),
        # The folder that Debian's signed GRUB has built in.
        (bake.checkout / "images/vm/grub-esp.cfg", "EFI/debian/grub.cfg"),
    ):
        process.run(["mcopy", "-i", esp, source, f"::{target}"], env=bake.environment)
    return esp


def _sized(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
