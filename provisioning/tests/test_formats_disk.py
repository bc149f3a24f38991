"""Every disk format holds the disk bit for bit, is the same bytes each time, and is refused when it breaks a rule of its own."""

import gzip
import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import gce, ova, qcow2, vhd, vmdk

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-utils")

MIB = 1 << 20
GIB = 1 << 30
SIZE = 66 * MIB  # more than two tables of a VMDK
SMALL = 21 * MIB  # quicker to copy, and large enough for Azure
EPOCH = 1790000000
# Place to content: first and last bytes, both sides of blocks, grains and tables, and a run that no format can make smaller.
PLACES = {
    0: b"\xeb\x63\x90",
    65536 - 3: b"across",
    MIB + 4096: bytes(range(256)) * 64,
    5 * MIB + 511: b"x",
    32 * MIB - 1: b"\xff\xff",
    40 * MIB: hashlib.shake_128(b"noise").digest(3 * 65536 + 100),
    SIZE - 1: b"\x01",
}
DISKS: dict[str, ModuleType] = {"qcow2": qcow2, "vmdk": vmdk, "vhd": vhd, "gce": gce}
QEMU_NAMES = {"qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc"}


def make_disk(path: Path, places: dict[int, bytes], *, size: int = SIZE) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for place, content in places.items():
            file.seek(place)
            file.write(content)
    return path


def by_mebibyte(content: bytes) -> dict[int, bytes]:
    """For a sparse copy: quicker to write by far."""
    pieces = {place: content[place : place + MIB] for place in range(0, len(content), MIB)}
    return {place: piece for place, piece in pieces.items() if piece != bytes(len(piece))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the formats make of one disk, made once: tests that change a file change a copy."""
    path = tmp_path_factory.mktemp("formats")
    source = make_disk(path / "disk.raw", PLACES)
    (path / "dense.raw").write_bytes(source.read_bytes())
    for name, form in DISKS.items():
        form.write(source, path / f"disk.{name}", epoch=EPOCH, name="machine")
    ova.write(path / "disk.vmdk", path / "disk.ova", epoch=EPOCH, name="machine")
    vhd.write(make_disk(path / "small.raw", {}, size=SMALL), path / "small.vhd", epoch=EPOCH, name="machine")
    return path


def same(path: Path, source: Path) -> bool:
    """By content; a longer disk must go on in zeros."""
    done = subprocess.run(
        ["qemu-img", "compare", "-f", "raw", "-F", "raw", path, source], capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.parametrize("name", QEMU_NAMES)
def test_qemu_reads_the_same_disk_back(folder: Path, tmp_path: Path, name: str) -> None:
    back = tmp_path / "back.raw"
    process.run(["qemu-img", "convert", "-f", QEMU_NAMES[name], "-O", "raw", folder / f"disk.{name}", back])
    assert back.stat().st_size == SIZE
    assert same(back, folder / "disk.raw")


def test_gnu_tar_reads_the_same_disk_back(folder: Path, tmp_path: Path) -> None:
    process.run(["tar", "-xzf", folder / "disk.gce", "-C", tmp_path])
    back = tmp_path / "disk.raw"
    assert back.stat().st_size == GIB
    assert back.stat().st_blocks * 512 < 2 * MIB  # the holes are holes again
    assert same(back, folder / "disk.raw")


def test_the_tar_is_the_one_that_gnu_tar_writes(tmp_path: Path) -> None:
    """More stretches than three headers hold, each as large as a block of the file system, so both see the same holes."""
    places = {number * 3 * MIB: bytes([number + 1]) * 4096 for number in range(60)}
    source = make_disk(tmp_path / "disk.raw", places, size=GIB)
    if source.stat().st_blocks * 512 != 60 * 4096:
        pytest.skip("the file system here has other holes")
    gce.write(source, tmp_path / "ours", epoch=EPOCH, name="")
    options = ["--format=oldgnu", "-S", "--owner=0", "--group=0", "--numeric-owner", "--mode=0644", f"--mtime=@{EPOCH}"]
    theirs = process.run(["tar", *options, "-C", tmp_path, "-cf", "-", "disk.raw"])
    assert gzip.decompress((tmp_path / "ours").read_bytes()) == theirs


def test_a_size_beyond_octal_is_written_as_gnu_tar_does(tmp_path: Path) -> None:
    gce.write(
        make_disk(tmp_path / "disk.raw", {9 * GIB: b"far"}, size=10 * GIB), tmp_path / "tar", epoch=EPOCH, name=""
    )
    process.run(["tar", "-xzf", tmp_path / "tar", "-C", tmp_path])
    with (tmp_path / "disk.raw").open("rb") as file:
        file.seek(9 * GIB)
        assert file.read(4) == b"far\0"
        assert file.seek(0, os.SEEK_END) == 10 * GIB


@pytest.mark.parametrize("name", DISKS)
def test_the_same_disk_makes_the_same_bytes(folder: Path, tmp_path: Path, name: str) -> None:
    """Also when its copy has no holes, another name, and is written where something half-made lies."""
    target = tmp_path / "image"
    target.with_name("image.partial").write_bytes(bytes(100))
    DISKS[name].write(folder / "dense.raw", target, epoch=EPOCH, name="machine")
    assert target.read_bytes() == (folder / f"disk.{name}").read_bytes()
    assert list(tmp_path.iterdir()) == [target]


def test_the_same_vmdk_makes_the_same_appliance(folder: Path, tmp_path: Path) -> None:
    ova.write(folder / "disk.vmdk", tmp_path / "again.ova", epoch=EPOCH, name="machine")
    assert (tmp_path / "again.ova").read_bytes() == (folder / "disk.ova").read_bytes()


def test_another_disk_has_other_ids(folder: Path, tmp_path: Path) -> None:
    other = make_disk(tmp_path / "other.raw", {**PLACES, 7 * MIB: b"changed"})
    for form, ids in ((vhd, slice(-512 + 68, -512 + 84)), (vmdk, slice(512, 512 * 3))):
        form.write(other, tmp_path / "image", epoch=EPOCH, name="machine")
        assert (tmp_path / "image").read_bytes()[ids] != (
            folder / f"disk.{form.__name__.rpartition('.')[2]}"
        ).read_bytes()[ids]


@pytest.mark.parametrize("name", [*DISKS, "ova"])
def test_what_is_written_passes_its_check(folder: Path, name: str) -> None:
    {**DISKS, "ova": ova}[name].check(folder / f"disk.{name}")


def test_an_empty_disk_is_a_disk(tmp_path: Path) -> None:
    source = make_disk(tmp_path / "disk.raw", {})
    for name, form in DISKS.items():
        form.write(source, tmp_path / name, epoch=EPOCH, name="machine")
        form.check(tmp_path / name)
    for name, known_as in QEMU_NAMES.items():
        process.run(["qemu-img", "compare", "-f", known_as, "-F", "raw", tmp_path / name, source])


@pytest.mark.parametrize("name", DISKS)
def test_a_disk_of_broken_mebibytes_is_refused(tmp_path: Path, name: str) -> None:
    source = make_disk(tmp_path / "disk.raw", {}, size=SIZE + 512)
    with pytest.raises(ShedError, match="whole MiB") as caught:
        DISKS[name].write(source, tmp_path / "image", epoch=EPOCH, name="machine")
    assert caught.value.code is Exit.CORRUPT
    assert not (tmp_path / "image").exists()


# Writes one format in a file system of 128 KiB, and says what came of it and what is left.
ON_A_FULL_DISK = """
mount -t tmpfs -o size=128k none "$1"
cd "$1"
"$2" -c '
import sys
from pathlib import Path
from trainshed_provision.errors import ShedError
from trainshed_provision.formats import gce, ova, qcow2, vhd, vmdk
form = {"qcow2": qcow2, "vmdk": vmdk, "vhd": vhd, "gce": gce, "ova": ova}[sys.argv[1]]
try:
    form.write(Path(sys.argv[2]), Path("image"), epoch=0, name="machine")
except ShedError as error:
    print(error.code.name, error.message)
' "$3" "$4"
ls -A
"""


@pytest.mark.parametrize("name", [*DISKS, "ova"])
def test_a_full_disk_is_told_and_nothing_is_left_on_it(folder: Path, tmp_path: Path, name: str) -> None:
    source = folder / ("disk.vmdk" if name == "ova" else "disk.raw")
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    if subprocess.run([*inside, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace to mount a small disk in")
    done = subprocess.run(
        [*inside, ON_A_FULL_DISK, "sh", tmp_path, sys.executable, name, source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["NO_SPACE no space left for image"], done.stderr


def patched(places: dict[int, bytes]) -> Callable[[bytes], bytes]:
    """Bytes to write at places of a file, counted from its end when negative."""

    def change(content: bytes) -> bytes:
        out = bytearray(content)
        for place, piece in places.items():
            place %= len(out)
            out[place : place + len(piece)] = piece
        return bytes(out)

    return change


def footer(**fields: int) -> Callable[[bytes], bytes]:
    """Fields of a VHD's footer changed, and its checksum made right again."""
    places = {"kind": (60, ">I"), "first": (40, ">Q"), "present": (48, ">Q"), "offset": (16, ">Q")}

    def change(content: bytes) -> bytes:
        out = bytearray(content)
        for name, value in fields.items():
            struct.pack_into(places[name][1], out, len(out) - 512 + places[name][0], value)
        struct.pack_into(">I", out, len(out) - 512 + 64, vhd.checksum(out[-512:]))
        return bytes(out)

    return change


def sized(size: int) -> Callable[[bytes], bytes]:
    """The VHD of a blank disk of another size, as its footer says too."""
    return lambda content: footer(first=size, present=size)(bytes(size) + content[-512:])


def tarred(*names: str, size: int = GIB, kind: bytes = tarfile.GNUTYPE_SPARSE) -> Callable[[bytes], bytes]:
    """A gzipped tar of blank disks."""

    def make(_: bytes) -> bytes:
        out = io.BytesIO()
        for name in names:
            header = bytearray(gce._headers([], size=size, epoch=EPOCH))
            header[: len(gce.MEMBER)] = name.encode().ljust(len(gce.MEMBER), b"\0")
            header[156:157] = kind
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            out.write(header)
        out.write(bytes(10240))
        return gzip.compress(out.getvalue(), mtime=0)

    return make


BROKEN = {
    "qcow2: not one": ("qcow2", patched({0: b"QFX"}), "no qcow2"),
    "qcow2: nothing": ("qcow2", lambda content: b"", "no qcow2"),
    "qcow2: old": ("qcow2", patched({4: b"\0\0\0\2"}), "version 2"),
    "qcow2: a backing file": ("qcow2", patched({8: (1 << 20).to_bytes(8)}), "backing file"),
    "qcow2: data elsewhere": ("qcow2", patched({79: b"\x0c"}), "in another file"),
    "qcow2: encrypted": ("qcow2", patched({32: (1).to_bytes(4)}), "encrypted"),
    "qcow2: dirty": ("qcow2", patched({79: b"\x09"}), "dirty"),
    "qcow2: by zlib": ("qcow2", patched({79: b"\0", 104: b"\0"}), "not compressed by zstd"),
    "qcow2: an odd size": ("qcow2", patched({24: (SIZE - 512).to_bytes(8)}), "not whole MiB"),
    "qcow2: cut off": ("qcow2", lambda content: content[: len(content) // 2], "tables do not hold"),
    "vhd: no footer": ("vhd", lambda content: content[:-512], "no VHD footer"),
    "vhd: nothing": ("vhd", lambda content: b"", "no VHD footer"),
    "vhd: it grows": ("vhd", footer(kind=3), "not a fixed disk"),
    "vhd: its data lie elsewhere": ("vhd", footer(offset=512), "not a fixed disk"),
    "vhd: a changed footer": ("vhd", patched({-512 + 24: b"\1\2\3\4"}), "checksum"),
    "vhd: another size": ("vhd", footer(present=SMALL + MIB), "the footer says"),
    "vhd: cut off": ("vhd", lambda content: content[MIB:], "the footer says"),
    "vhd: rounded to cylinders": ("vhd", sized(SMALL - 512), "not whole MiB"),
    "vhd: too small for Azure": ("vhd", sized(19 * MIB), "20 MiB"),
    "vhd: no id": ("vhd", lambda content: footer()(content[: -512 + 68] + bytes(16) + content[-512 + 84 :]), "no id"),
    "gce: not gzipped": ("gce", gzip.decompress, "not gzipped"),
    "gce: a time": ("gce", patched({4: b"\1"}), "a name or a time"),
    "gce: cut off": ("gce", lambda content: content[:-20], "no whole tar"),
    "gce: changed on the way": ("gce", patched({-8: b"\0\0\0\0"}), "no whole tar"),
    "gce: no tar": ("gce", lambda content: gzip.compress(b"disk" * 500, mtime=0), "no whole tar"),
    "gce: another name": ("gce", tarred("disk.img"), "has disk.img, not disk.raw alone"),
    "gce: two members": ("gce", tarred("disk.raw", "disk.ra2"), "has disk.raw, disk.ra2"),
    "gce: not sparse": ("gce", tarred("disk.raw", kind=tarfile.REGTYPE), "not sparse"),
    "gce: half a GiB": ("gce", tarred("disk.raw", size=GIB // 2), "not whole GiB"),
    "gce: something behind it": (
        "gce",
        lambda content: gzip.compress(gzip.decompress(content) + b"more", mtime=0),
        "behind its end",
    ),
    "vmdk: not one": ("vmdk", patched({0: b"COWD"}), "no VMDK"),
    "vmdk: nothing": ("vmdk", lambda content: b"", "no VMDK"),
    "vmdk: an older version": ("vmdk", patched({4: b"\1"}), "not a stream"),
    "vmdk: fetched as text": ("vmdk", patched({73: b"\n\n"}), "line ends"),
    "vmdk: an odd size": ("vmdk", patched({12: (99).to_bytes(8, "little")}), "99 sectors, not whole MiB"),
    "vmdk: not streamOptimized": ("vmdk", patched({512: b"x" * 200}), "not of a streamOptimized disk"),
    "vmdk: no content": (
        "vmdk",
        lambda content: content[:512] + content[512:].replace(content[568:576], b"ffffffff", 1),
        "no content id",
    ),
    "vmdk: cut off": ("vmdk", lambda content: content[:-512], "cut off"),
    "vmdk: changed at its end": ("vmdk", patched({-1024 + 13: b"\x7f"}), "footer is not the header"),
    "vmdk: no directory": ("vmdk", patched({-1024 + 56: b"\xff\xff"}), "table 0 is not in the file"),
    "vmdk: a moved grain": ("vmdk", patched({128 * 512: b"\x80"}), "grain 0 is not where"),
    "ova: no tar": ("ova", lambda content: content[512:], "no USTAR"),
    "ova: the disk first": ("ova", lambda content: retarred(content, [2, 0, 1]), "in this order"),
    "ova: no manifest": ("ova", lambda content: retarred(content, [0, 2]), "in this order"),
    "ova: cut off": ("ova", lambda content: content[: len(content) // 2], "cannot be read"),
    "ova: a changed disk": (
        "ova",
        lambda content: content.replace(b"createType", b"CreateType"),
        "machine-disk1.vmdk is not what the manifest says; machine-disk1.vmdk: its descriptor",
    ),
    "ova: a changed descriptor": (
        "ova",
        lambda content: content.replace(b"UEFI with Secure Boot", b"UEFI less Secure Boot"),
        "machine.ovf is not what the manifest says",
    ),
    "ova: another capacity": (
        "ova",
        lambda content: content.replace(b'ovf:capacity="69206016"', b'ovf:capacity="69206017"'),
        "says a disk of 69206017 bytes, and it has 69206016",
    ),
    "ova: another size": (
        "ova",
        lambda content: re.sub(rb'ovf:size="\d', b'ovf:size="0', content),
        "the descriptor names",
    ),
    "ova: no XML": ("ova", lambda content: content.replace(b"</Envelope>", b"</Envelop3>"), "cannot be read"),
}


def retarred(content: bytes, order: list[int]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=out, mode="w") as new:
        members = old.getmembers()
        for number in order:
            new.addfile(members[number], old.extractfile(members[number]))
    return out.getvalue()


@pytest.mark.parametrize(("name", "change", "complaint"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_named(
    folder: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes], complaint: str
) -> None:
    before = (folder / ("small.vhd" if name == "vhd" else f"disk.{name}")).read_bytes()
    after = change(before)
    assert after != before
    path = make_disk(tmp_path / "image", by_mebibyte(after), size=len(after))
    forms: dict[str, ModuleType] = {**DISKS, "ova": ova}
    with pytest.raises(ShedError) as caught:
        forms[name].check(path)
    assert complaint in caught.value.message
    assert caught.value.code is Exit.CORRUPT


@pytest.mark.parametrize("name", ["", "two words", "a/b", "<xml>", "x" * 81])
def test_an_appliance_needs_a_name(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ShedError, match="no name for an appliance"):
        ova.write(folder / "disk.vmdk", tmp_path / "x.ova", epoch=EPOCH, name=name)


def test_an_appliance_needs_a_vmdk(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="is no VMDK"):
        ova.write(folder / "disk.raw", tmp_path / "x.ova", epoch=EPOCH, name="machine")
