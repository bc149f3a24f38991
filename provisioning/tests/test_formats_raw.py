"""The raw disk: its partitions, and that what was deleted from it is seen."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from trainshed_provision.architecture import AMD64, ARM64
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import raw

MIB = 1 << 20
SIZE = 40 * MIB
ROOT_START = 4 * MIB
BACKUP = SIZE - 512  # the second header
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"
ROWS = f"""label: gpt
start=2048, size=2048, type={raw.BIOS_BOOT}
start=4096, size=2048, type={raw.ESP}
start={ROOT_START // 512}, size={30 * MIB // 512}, type={AMD64.root}
"""

pytestmark = pytest.mark.skipif(
    any(shutil.which(program, path=SBIN) is None for program in ("sfdisk", "mke2fs", "debugfs")),
    reason="needs fdisk, e2fsprogs",
)


def run(*argv: str | Path, text: str = "") -> None:
    subprocess.run(argv, input=text, text=True, check=True, capture_output=True, env={**os.environ, "PATH": SBIN})


def partition(disk: Path, rows: str) -> None:
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, text=rows)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with a file and a secret in its root, groups enough that some have no bitmap."""
    folder = tmp_path_factory.mktemp("raw")
    tree, disk = folder / "tree", folder / "disk.raw"
    tree.mkdir()
    (tree / "file").write_bytes(os.urandom(3 * MIB))
    (tree / "secret").write_text("correct horse battery staple\n" * 1000)
    with disk.open("wb") as file:
        file.truncate(SIZE)
    partition(disk, ROWS)
    put(b"\xeb\x63", at=0)(disk)
    options = [f"offset={ROOT_START}", "nodiscard", "root_owner=0:0"]
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-E", ",".join(options), "-d", tree, disk, f"{30 * 1024}k")
    return disk


@pytest.fixture
def disk(made: Path, tmp_path: Path) -> Path:
    run("cp", "--sparse=always", made, tmp_path / "disk.raw")
    return tmp_path / "disk.raw"


def put(content: bytes, *, at: int) -> Callable[[Path], None]:
    def change(disk: Path) -> None:
        with disk.open("r+b") as file:
            file.seek(at)
            file.write(content)

    return change


def delete(disk: Path) -> None:
    """As a system would: the content stays, and its blocks are free."""
    run("debugfs", "-w", "-R", "rm /secret", f"{disk}?offset={ROOT_START}")


def without(kind: object) -> Callable[[Path], None]:
    return lambda disk: partition(disk, "".join(row for row in ROWS.splitlines(True) if str(kind) not in row))


def grow(disk: Path) -> None:
    os.truncate(disk, SIZE + MIB)


def test_a_disk_of_files_passes(disk: Path) -> None:
    raw.check(disk)


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a deleted file": (delete, "I12: the block at"),
    "the end of the root is not empty": (put(b"secret", at=ROOT_START + 29 * MIB), "I12: the block at"),
    "something between partitions": (put(b"secret", at=BACKUP - 3 * MIB), "I12: the block at"),
    "something before the first one": (put(b"secret", at=MIB // 2), f"I12: the block at {MIB // 2}"),
    "no file system": (put(bytes(2), at=ROOT_START + 1024 + 56), "I12: no ext4"),
    "no first table": (put(bytes(512), at=512), "B05: no whole GPT"),
    "a changed first table": (put(b"\xff", at=1024 + 32), "B05: no whole GPT"),
    "a changed second header": (put(b"\xff", at=BACKUP + 40), "B05: no whole GPT"),
    "a longer disk": (grow, "B05: no whole GPT"),
    "no ESP": (without(raw.ESP), "B05: no partition for ESP"),
    "no place for GRUB": (without(raw.BIOS_BOOT), "B05: no partition for BIOS boot"),
    "no root": (without(AMD64.root), "B05: no partition for root"),
    "no boot code": (put(bytes(440), at=0), "B05: no boot code"),
}


@pytest.mark.parametrize(("change", "complaint"), BROKEN.values(), ids=BROKEN.keys())
def test_what_is_wrong_is_named(disk: Path, change: Callable[[Path], None], complaint: str) -> None:
    change(disk)
    with pytest.raises(ShedError) as caught:
        raw.check(disk)
    assert complaint in caught.value.message
    assert caught.value.code is Exit.CORRUPT


def test_a_machine_without_a_bios_needs_nothing_for_it_and_a_root_of_its_own_type(disk: Path) -> None:
    with pytest.raises(ShedError, match="B05: no partition for root"):
        raw.check(disk, ARM64)
    rows = [row for row in ROWS.splitlines() if str(raw.BIOS_BOOT) not in row]
    partition(disk, "\n".join(rows).replace(str(AMD64.root), str(ARM64.root)))
    with pytest.raises(ShedError, match="B05: no protective entry"):
        raw.check(disk, ARM64)
    put(bytes(440), at=0)(disk)
    raw.check(disk, ARM64)
