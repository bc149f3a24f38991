"""A data disk is looked at before it is used: ours and blank are good, anything else is named and left alone."""

import os
import shutil
from pathlib import Path

import pytest

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.plan import OURS
from trainshed_provision.targets.vm import disks

MIB = 1024**2
SBIN = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    disks.make_blank(path, size=64 * MIB)
    return path


def _ext4(path: Path, label: str) -> None:
    process.run([shutil.which("mke2fs", path=SBIN["PATH"]) or "mke2fs", "-q", "-F", "-t", "ext4", "-L", label, path])


def test_blank(disk: Path) -> None:
    assert disks.content(disk) == ""


def test_ours(disk: Path) -> None:
    _ext4(disk, OURS)
    assert disks.content(disk) == OURS


def test_foreign(disk: Path) -> None:
    _ext4(disk, "backup")
    assert disks.content(disk) == "ext4 labelled 'backup'"


@pytest.mark.parametrize(
    ("offset", "magic", "expected"),
    [
        pytest.param(0, b"XFSB", "data that no tool here knows", id="torn xfs"),
        pytest.param(0, b"LUKS\xba\xbe\x00\x02", "crypto_LUKS", id="luks"),
        pytest.param(0, b"QFI\xfb\x00\x00\x00\x03", "a qcow2 image", id="qcow2"),
        pytest.param(MIB, b"somebody's words", "data that no tool here knows", id="unknown"),
    ],
)
def test_signatures(disk: Path, offset: int, magic: bytes, expected: str) -> None:
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(magic)
    assert expected in disks.content(disk)


def test_partition_table(disk: Path) -> None:
    sfdisk = shutil.which("sfdisk", path=SBIN["PATH"]) or "sfdisk"
    process.run([sfdisk, "-q", disk], stdin=b"label: gpt\nsize=8MiB\n")
    assert disks.content(disk) == "a gpt partition table"


def test_looking_changes_nothing(disk: Path) -> None:
    _ext4(disk, "backup")
    before = (disk.read_bytes(), disk.stat().st_mtime_ns)
    disks.content(disk)
    assert (disk.read_bytes(), disk.stat().st_mtime_ns) == before


def test_no_disk(tmp_path: Path) -> None:
    with pytest.raises(ShedError) as caught:
        disks.content(tmp_path / "none")
    assert caught.value.code == Exit.NOT_FOUND


def test_a_folder_is_no_disk(tmp_path: Path) -> None:
    with pytest.raises(ShedError) as caught:
        disks.content(tmp_path)
    assert caught.value.code == Exit.MISSING


def test_blank_is_sparse(disk: Path) -> None:
    assert disk.stat().st_size == 64 * MIB
    assert disk.stat().st_blocks == 0
