"""The bytes of a disk that boots by BIOS and UEFI."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from trainshed_provision.architecture import AMD64, ARCHITECTURES, ARM64, Architecture
from trainshed_provision.bake import disk


def test_partitions_are_in_order_and_leave_room_for_the_second_table() -> None:
    assert disk.CORE_START + disk.MIB <= disk.ESP_START
    assert disk.ESP_START + disk.ESP_SIZE <= disk.ROOT_START
    assert disk.ROOT_START + disk.ROOT_SIZE == disk.SIZE - disk.MIB


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="sfdisk is not installed")
@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
def test_sfdisk_takes_the_table(tmp_path: Path, architecture: Architecture) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(disk.SIZE)
    subprocess.run(["sfdisk", "--quiet", image], input=disk.table(architecture).encode(), check=True)
    dump = subprocess.run(["sfdisk", "--dump", image], capture_output=True, check=True).stdout.decode().upper()
    assert "LABEL: GPT" in dump
    for kind in (disk.ESP, str(architecture.root)):
        assert kind.upper() in dump
    assert (disk.BIOS_BOOT in dump) == architecture.bios
    assert disk.ident("root").upper() in dump


def test_each_disk_is_written_by_its_own_mke2fs() -> None:
    for architecture, loader in (
        (AMD64, "x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        (ARM64, "aarch64-linux-gnu/ld-linux-aarch64.so.1"),
    ):
        argv, _ = disk.own_mke2fs(Path("tree"), architecture)
        assert [argv[0], argv[-1]] == [Path("tree/usr/lib", loader), Path("tree/usr/sbin/mke2fs")]


def test_boot_code_knows_where_it_is() -> None:
    mbr, core = disk.boot_code(bytes(512), bytes(1000))
    assert len(mbr) == disk.BOOT_CODE
    assert struct.unpack_from("<Q", mbr, disk.KERNEL_SECTOR) == (2048,)
    assert mbr[disk.DRIVE_CHECK : disk.DRIVE_CHECK + 2] == b"\x90\x90"
    assert len(core) == 1024
    assert struct.unpack_from("<QHH", core, disk.CORE_BLOCKLIST) == (2049, 1, disk.CORE_SEGMENT)


def test_a_core_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="its partition"):
        disk.boot_code(bytes(512), bytes(disk.MIB + 1))


def test_the_root_file_system_goes_into_the_disk_file_at_its_place() -> None:
    argv = [str(a) for a in disk.mke2fs_argv(Path("tree"), Path("disk.raw"))]
    assert argv[0] == "mke2fs"
    assert argv[-4:] == ["-d", "tree", "disk.raw", f"{disk.ROOT_SIZE // 1024}k"]
    assert f"offset={disk.ROOT_START}" in argv[argv.index("-E") + 1]
    assert argv[argv.index("-L") + 1] == "trainshed-root"
