"""Cleaning, times and the digest of a tree; the base root's packages and command."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trainshed_provision.architecture import ARM64, Architecture
from trainshed_provision.bake import clean, context, disk, ext4, rootfs
from trainshed_provision.bake import tree as tree_of
from trainshed_provision.errors import Exit, ShedError

EPOCH = 1_700_000_000
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for folder in ("etc/ssh", "etc/apt/sources.list.d", "var/log/apt", "var/lib/cloud/instances/i-1", "tmp", "usr/bin"):
        (root / folder).mkdir(parents=True)
    for name in ("etc/ssh/ssh_host_rsa_key", "etc/passwd-", "var/log/dpkg.log", "var/log/apt/term.log", "tmp/.x"):
        (root / name).write_text("left by the build")
    (root / "etc/machine-id").write_text("0123456789abcdef")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    (root / "usr/bin/sh").symlink_to("dash")
    return root


def cleaned(tree: Path) -> set[str]:
    common = CHECKOUT / "images/common"
    clean.clean(tree, residue=common / "residue.txt", sources="deb", release="{}\n")
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}


def test_cleaning_takes_identity_logs_and_caches_and_leaves_the_rest(tree: Path) -> None:
    assert cleaned(tree) == {
        *("etc/passwd", "usr/bin/sh", "etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/trainshed-release"),
        *("etc/.updated", "var/.updated", "etc/apt/sources.list"),
    }
    assert (tree / "etc/machine-id").read_text() == ""
    assert (tree / "var/log/apt").is_dir()


def test_cleaning_twice_is_cleaning_once(tree: Path) -> None:
    assert cleaned(tree) == cleaned(tree)


def test_no_file_is_younger_than_the_commit(tree: Path) -> None:
    old = tree / "etc/passwd"
    os.utime(old, (EPOCH - 5, EPOCH - 5))
    clean.clamp(tree, EPOCH)
    times = {path.lstat().st_mtime for path in (tree, *tree.rglob("*"))}
    assert times == {EPOCH, EPOCH - 5}


def packed(tree: Path) -> tree_of.Files:
    bake = context.Bake(checkout=CHECKOUT, work=tree.parent, version="1", commit="c", epoch=EPOCH, inputs="")
    rootfs.pack(bake, tree.parent / "root.tar")
    with (tree.parent / "root.tar").open("rb") as file:
        return tree_of.of_tar(file)


def digest(tree: Path) -> str:
    return tree_of.digest(tree_of.listing(packed(tree)))


def test_the_digest_is_of_what_files_are_and_not_of_when(tree: Path) -> None:
    before = digest(tree)
    clean.clamp(tree, EPOCH)
    assert digest(tree) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: (t / "etc/passwd").write_text("x"), id="content"),
        pytest.param(lambda t: (t / "etc/passwd").chmod(0o600), id="mode"),
        pytest.param(lambda t: (t / "etc/passwd").rename(t / "etc/passwd2"), id="name"),
        pytest.param(lambda t: (t / "etc/empty").mkdir(), id="folder"),
        pytest.param(lambda t: (t / "usr/bin/sh").unlink() or (t / "usr/bin/sh").symlink_to("bash"), id="link"),
    ],
)
def test_the_digest_sees(tree: Path, change: object) -> None:
    before = digest(tree)
    change(tree)  # type: ignore[operator] # a parameter
    assert digest(tree) != before


def test_the_root_tar_is_the_same_bytes_for_the_same_tree(tree: Path) -> None:
    clean.clamp(tree, EPOCH)
    packed(tree)
    before = (tree.parent / "root.tar").read_bytes()
    copy = tree.parent / "again" / "root"
    # Other inodes, another order in the folders, other access times.
    shutil.copytree(tree, copy, symlinks=True)
    for path in copy.rglob("*"):
        if not path.is_symlink() and path.is_file():
            path.read_bytes()
    clean.clamp(copy, EPOCH)
    packed(copy)
    assert (copy.parent / "root.tar").read_bytes() == before


@pytest.fixture
def rich(tree: Path) -> Path:
    """What a root holds: hard links, long and odd names, holes, long links, and a folder of several blocks."""
    os.link(tree / "etc/passwd", tree / "etc/passwd.link")
    (tree / "etc/Főtanúsítvány").write_text("a name of UTF-8")
    (tree / ("n" * 200)).write_text("")
    (tree / "usr/lib").symlink_to("x" * 150)
    with (tree / "holes").open("wb") as file:
        file.seek(3 << 20)
        file.write(os.urandom(5000))
        file.truncate(9 << 20)
    for number in range(500):
        (tree / "usr/bin" / f"program-with-a-long-name-{number}").write_text(str(number))
    (tree / "usr/bin/program-with-a-long-name-7").chmod(0o4755)
    # Readable for the group 4, also what is made in it later: as systemd does for its journal.
    rights = "0200000001000700ffffffff04000500ffffffff080005000400000010000500ffffffff20000500ffffffff"
    with contextlib.suppress(OSError):  # of a file system that has none
        for name in ("access", "default"):
            os.setxattr(tree / "var/log/apt", f"system.posix_acl_{name}", bytes.fromhex(rights))
    return tree


def on_disk(tree: Path) -> Path:
    """The tree as the root file system of a disk."""
    image = tree.parent / "disk.raw"
    with image.open("wb") as file:
        file.truncate(disk.SIZE)
    subprocess.run(["sfdisk", "--quiet", image], input=disk.table().encode(), check=True)
    subprocess.run(disk.mke2fs_argv(tree, image), check=True)
    return image


needs_disk_tools = pytest.mark.skipif(
    shutil.which("sfdisk") is None or shutil.which("mke2fs") is None, reason="fdisk or e2fsprogs is not installed"
)


@needs_disk_tools
def test_a_disk_holds_the_files_that_the_tar_holds(rich: Path) -> None:
    files = ext4.of_disk(on_disk(rich))
    found, wanted = packed(rich), dict(files)
    assert wanted.pop("lost+found")
    # mke2fs takes owners as they are; so does tar.
    assert tree_of.listing(wanted).splitlines() == tree_of.listing(found).splitlines()


@needs_disk_tools
def test_a_changed_byte_on_a_disk_is_seen(rich: Path) -> None:
    image = on_disk(rich)
    before = tree_of.listing(ext4.of_disk(image))
    with image.open("r+b") as file:
        file.seek(disk.ROOT_START)
        place = file.read(128 << 20).index(b"root:x:0:0")  # in the first group of blocks
        file.seek(disk.ROOT_START + place)
        file.write(b"toor")
    changed = {line for line in tree_of.listing(ext4.of_disk(image)).splitlines() if line not in before}
    assert {line.split()[-1] for line in changed} == {"etc/passwd", "etc/passwd.link"}


@pytest.mark.parametrize("content", [b"", b"no disk" * 1000], ids=["empty", "other"])
def test_what_is_no_disk_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "disk.raw").write_bytes(content)
    with pytest.raises(ShedError, match="no root partition") as caught:
        ext4.of_disk(tmp_path / "disk.raw")
    assert caught.value.code == Exit.CORRUPT


@needs_disk_tools
def test_a_disk_without_a_file_system_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(disk.SIZE)
    subprocess.run(["sfdisk", "--quiet", image], input=disk.table().encode(), check=True)
    with pytest.raises(ShedError, match="no ext4") as caught:
        ext4.of_disk(image)
    assert caught.value.code == Exit.CORRUPT


def base_of(architecture: Architecture) -> list[str | Path]:
    return rootfs.mmdebstrap_argv(
        ["a", "b"], architecture=architecture, repository=Path("/locked"), target=Path("base.tar")
    )


def test_the_base_is_made_in_a_namespace_of_its_own_from_the_locked_packages_alone() -> None:
    argv = [str(a) for a in base_of(ARM64)]
    assert argv[:5] == ["unshare", "--mount", "--propagation", "private", "mmdebstrap"]
    assert {"--variant=minbase", "--architectures=arm64"} <= set(argv)
    assert "--include=a,b" in argv
    assert argv[-3:] == ["trixie", "base.tar", "deb [trusted=yes] copy:/locked ./"]
