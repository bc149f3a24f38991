"""`shed prove` on a small tree in every format, as the bake writes them: what it finds and what it says."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from trainshed_provision import process
from trainshed_provision.bake import context, disk, ext4, rootfs, stages, tree
from trainshed_provision.cli import main
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import gce, oci, ova, qcow2, vhd, vmdk

CHECKOUT = Path(__file__).parents[2]
NAME = "trainshed-1.0-amd64"
CHANGES = ["var/lib/dpkg/status"]

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("sfdisk", "mke2fs", "qemu-img")),
    reason="fdisk, e2fsprogs or qemu-utils is not installed",
)


def make_disk(folder: Path, target: Path) -> None:
    with target.open("wb") as file:
        file.truncate(disk.SIZE)
    subprocess.run(["sfdisk", "--quiet", target], input=disk.table().encode(), check=True)
    subprocess.run(disk.mke2fs_argv(folder, target), check=True)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of one root, a layer on the disks, and the papers of the bake."""
    work = tmp_path_factory.mktemp("bake")
    bake = context.Bake(checkout=CHECKOUT, work=work, version="1.0", commit="c", epoch=0, inputs="")
    for path in ("etc/motd", "usr/bin/server", "var/lib/dpkg/status"):
        (bake.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (bake.tree / path).write_text(f"this is {path}\n")
    folder = bake.work / "images"
    folder.mkdir()
    root = work / "root.tar"
    rootfs.pack(bake, root)
    with root.open("rb") as file:
        files = tree.of_tar(file)
    (bake.tree / "var/lib/dpkg/status").write_text("more packages\n")
    (bake.tree / "vmlinuz").write_text("a kernel\n")
    raw = folder / f"{NAME}.raw"
    make_disk(bake.tree, raw)
    (folder / f"{NAME}.tree.txt").write_text(tree.listing(files))
    (folder / f"{NAME}.disk.txt").write_text(tree.listing(ext4.of_disk(raw)))
    manifest = {"tree_digest": tree.digest(tree.listing(files, without=CHANGES)), "layer_changes": CHANGES}
    (folder / f"{NAME}.manifest.json").write_text(json.dumps(manifest))
    for write, ending in ((qcow2.write, "qcow2"), (vmdk.write, "vmdk"), (vhd.write, "vhd"), (gce.write, "gcp.tar.gz")):
        write(raw, folder / f"{NAME}.{ending}", epoch=0, name=NAME)
    ova.write(folder / f"{NAME}.vmdk", folder / f"{NAME}.ova", epoch=0, name=NAME)
    oci.write(
        root, folder / f"{NAME}.oci.tar", epoch=0, name="trainshed:1.0", config={}, labels={}, architecture="amd64"
    )
    return folder


def prove(*images: Path, capsys: pytest.CaptureFixture[str], code: int = Exit.OK) -> list[dict[str, object]]:
    assert main(["prove", "--json", *map(str, images)]) == code
    rows: list[dict[str, object]] = json.loads(capsys.readouterr().out)["images"]
    return rows


def test_every_format_holds_the_same_tree(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [images / f"{NAME}.{ending}" for ending in stages.FORMATS]
    rows = prove(*paths, capsys=capsys)
    assert [row["file"] for row in rows] == [str(path) for path in paths]
    wanted = json.loads((images / f"{NAME}.manifest.json").read_text())["tree_digest"]
    assert {row["tree_digest"] for row in rows} == {wanted}
    assert all(row["same"] for row in rows)


def test_it_says_so_and_what_is_not_compared(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", str(images / f"{NAME}.qcow2")]) == Exit.OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("same ")
    assert shown[1].endswith("var/lib/dpkg/status")


@pytest.fixture
def copies(images: Path, tmp_path: Path) -> Path:
    """Papers and raw disk to be changed; the disk sparse."""
    for ending in ("tree.txt", "disk.txt", "manifest.json"):
        shutil.copy(images / f"{NAME}.{ending}", tmp_path)
    subprocess.run(["cp", "--sparse=always", images / f"{NAME}.raw", tmp_path], check=True)
    return tmp_path


def replace_in(disk_file: Path, old: bytes, new: bytes) -> None:
    with disk_file.open("r+b") as file:
        file.seek(disk.ROOT_START)
        place = file.read(128 << 20).index(old)
        file.seek(disk.ROOT_START + place)
        file.write(new)


@pytest.mark.parametrize(
    ("old", "new", "path", "of_root"),
    [
        pytest.param(b"this is usr/bin", b"thus is usr/bin", "usr/bin/server", True, id="root"),
        pytest.param(b"a kernel\n", b"A kernel\n", "vmlinuz", False, id="layer"),
    ],
)
def test_one_changed_byte_is_found_in_a_format(
    copies: Path, capsys: pytest.CaptureFixture[str], old: bytes, new: bytes, path: str, of_root: bool
) -> None:
    raw, packed = copies / f"{NAME}.raw", copies / f"{NAME}.qcow2"
    replace_in(raw, old, new)
    qcow2.write(raw, packed, epoch=0, name=NAME)
    [row] = prove(packed, capsys=capsys, code=Exit.CORRUPT)
    assert row["differs"] == [path]
    wanted = json.loads((copies / f"{NAME}.manifest.json").read_text())["tree_digest"]
    assert (row["tree_digest"] != wanted) == of_root
    assert main(["prove", str(packed)]) == Exit.CORRUPT
    assert path in capsys.readouterr().out


def test_a_file_that_nobody_wrote_down_is_found_in_a_container(
    images: Path, copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = (copies / f"{NAME}.tree.txt").read_text().splitlines(keepends=True)
    (copies / f"{NAME}.tree.txt").write_text("".join(line for line in listing if "etc/motd" not in line))
    os.link(images / f"{NAME}.oci.tar", copies / f"{NAME}.oci.tar")
    [row] = prove(copies / f"{NAME}.oci.tar", capsys=capsys, code=Exit.CORRUPT)
    assert row["differs"] == ["etc/motd"]


@pytest.mark.parametrize("ending", ["qcow2", "vmdk", "ova", "vhd", "raw", "gcp.tar.gz", "oci.tar"])
def test_a_damaged_file_is_one_clear_line(copies: Path, capsys: pytest.CaptureFixture[str], ending: str) -> None:
    path = copies / f"{NAME}.{ending}"
    path.unlink(missing_ok=True)
    path.write_bytes(b"neither this nor that" * 100)
    assert main(["prove", str(path)]) == Exit.CORRUPT
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"shed: {path.name}")
    assert not list(copies.glob("prove-*"))


def test_a_full_disk_is_named_as_the_cause(
    images: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*argv: object, **options: object) -> bytes:
        raise ShedError("`qemu-img` failed: error while writing: No space left on device")

    monkeypatch.setattr(process, "run", full)
    assert main(["prove", str(images / f"{NAME}.qcow2")]) == Exit.NO_SPACE
    assert str(images) in capsys.readouterr().err


def test_an_image_without_its_papers_is_named(copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copies / f"{NAME}.disk.txt").unlink()
    assert main(["prove", str(copies / f"{NAME}.raw")]) == Exit.NOT_FOUND
    assert f"{NAME}.disk.txt" in capsys.readouterr().err


def test_what_is_no_image_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("")
    assert main(["prove", str(tmp_path / "notes.txt")]) == Exit.USAGE
    assert "qcow2" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", str(tmp_path / "no.qcow2")]) == Exit.NOT_FOUND
    assert "no.qcow2" in capsys.readouterr().err
