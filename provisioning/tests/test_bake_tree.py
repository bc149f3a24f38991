"""Cleaning, times and the digest of a tree; the base root's packages and command."""

import os
from pathlib import Path

import pytest

from trainshed_provision.bake import clean, digest, rootfs

EPOCH = 1_700_000_000
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for folder in ("etc/ssh", "var/log/apt", "var/lib/cloud/instances/i-1", "tmp", "usr/bin"):
        (root / folder).mkdir(parents=True)
    for name in ("etc/ssh/ssh_host_rsa_key", "etc/passwd-", "var/log/dpkg.log", "var/log/apt/term.log", "tmp/.x"):
        (root / name).write_text("left by the build")
    (root / "etc/machine-id").write_text("0123456789abcdef")
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/bash\n")
    (root / "usr/bin/sh").symlink_to("dash")
    return root


def cleaned(tree: Path) -> set[str]:
    clean.clean(tree, residue=CHECKOUT / "images/common/residue.txt", release="{}\n")
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}


def test_cleaning_takes_identity_logs_and_caches_and_leaves_the_rest(tree: Path) -> None:
    assert cleaned(tree) == {
        *("etc/passwd", "usr/bin/sh", "etc/machine-id", "etc/hostname", "etc/resolv.conf", "etc/trainshed-release"),
        *("etc/.updated", "var/.updated"),
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


def test_the_digest_is_of_what_files_are_and_not_of_when(tree: Path) -> None:
    before = digest.tree_digest(tree)
    clean.clamp(tree, EPOCH)
    assert digest.tree_digest(tree) == before


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
    before = digest.tree_digest(tree)
    change(tree)  # type: ignore[operator] # a parameter
    assert digest.tree_digest(tree) != before


def test_packages_are_those_of_the_target_and_of_all_targets() -> None:
    names = rootfs.packages(CHECKOUT, "common", "vm")
    assert {"openssh-server", "linux-image-cloud-amd64"} <= set(names)
    assert names == sorted(set(names))
    assert "linux-image-cloud-amd64" not in rootfs.packages(CHECKOUT, "common")


def test_the_base_is_made_in_a_namespace_of_its_own_from_no_named_mirror() -> None:
    argv = [str(a) for a in rootfs.mmdebstrap_argv(["a", "b"], archives=Path("cache"), target=Path("base.tar"))]
    assert argv[:5] == ["unshare", "--mount", "--propagation", "private", "mmdebstrap"]
    assert "--variant=minbase" in argv
    assert "--include=a,b" in argv
    assert argv[-2:] == ["trixie", "base.tar"]
    assert not any("://" in word for word in argv)
