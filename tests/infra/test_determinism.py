"""Two bakes of one commit give the same bytes, wherever the checkout lies, and every format holds the one root."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.infra import difference
from tests.infra.appliance import IMAGES, ROOT, SHED_SECONDS

from trainshed_provision.bake import context, disk, manifest, stages
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.errors import Exit

pytestmark = pytest.mark.image


@dataclass(frozen=True, kw_only=True)
class Twice:
    """One commit baked twice. first: the manifest in build/images; root, made: of the second."""

    first: dict[str, Any]
    bake: context.Bake
    made: dict[str, Path]


@pytest.fixture(scope="module")
def twice(baked: None) -> Iterator[Twice]:
    """Bake the newest image's commit again, in another folder. Root, layer and disk are new; TRAINSHED_SOAK: the base too."""
    first = manifest.newest(IMAGES)
    assert first
    elsewhere = ROOT / "build" / "again"
    shutil.rmtree(elsewhere, ignore_errors=True)
    cache = elsewhere / "build" / "cache"
    cache.mkdir(parents=True)
    try:
        for path in ROOT.iterdir():
            if path.name not in ("build", ".git"):
                (elsewhere / path.name).symlink_to(path)
        kept = ["apt", "wheels-*", "packages-*.lock", *([] if "TRAINSHED_SOAK" in os.environ else ["base-*.tar"])]
        for glob in kept:
            for path in (ROOT / "build/cache").glob(glob):
                (cache / path.name).symlink_to(path)
        with workdir(elsewhere / "build") as work:
            bake = context.Bake(
                checkout=elsewhere,
                work=work,
                version=first["version"],
                commit=first["commit"],
                epoch=first["commit_time"],
                inputs=first["inputs"],
            )
            *plan, _publish = stages.plan(["raw", "oci.tar"], rooted=False)
            state = stages.run(bake, tuple(plan), tell=print)
            yield Twice(first=first, bake=bake, made=state.made)
    finally:
        shutil.rmtree(elsewhere)


def test_the_root_has_the_same_bytes(twice: Twice) -> None:
    with tarfile.open(IMAGES / twice.first["files"]["oci.tar"]["file"]) as tar:
        [image] = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type] # a regular file
        config = json.load(tar.extractfile(image["Config"]))  # type: ignore[arg-type] # a regular file
    first = ROOT / "build" / "cache" / twice.bake.root.name
    same = config["rootfs"]["diff_ids"] == [f"sha256:{file_digest(twice.bake.root)}"]
    assert same, difference.report(first, twice.bake.root)


def test_the_container_has_the_same_bytes(twice: Twice) -> None:
    assert file_digest(twice.made["oci.tar"]) == twice.first["files"]["oci.tar"]["sha256"]


def test_the_disk_has_the_same_bytes(twice: Twice) -> None:
    same = file_digest(twice.made["raw"]) == twice.first["files"]["raw"]["sha256"]
    assert same, difference.report(IMAGES / twice.first["files"]["raw"]["file"], twice.made["raw"])


def prove(*images: Path, code: int = Exit.OK) -> list[dict[str, Any]]:
    argv = [sys.executable, "-m", "trainshed_provision", "prove", "--json", *map(str, images)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SHED_SECONDS, check=False)
    assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
    rows: list[dict[str, Any]] = json.loads(done.stdout)["images"]
    return rows


def test_every_format_holds_the_same_root(baked: None) -> None:
    rows = prove()
    assert len(rows) == len(stages.FORMATS)
    assert {row["tree_digest"] for row in rows} == {json.loads((IMAGES / "latest.json").read_text())["tree_digest"]}


def test_one_changed_byte_is_found(twice: Twice) -> None:
    raw = twice.made["raw"]
    for paper in ("tree.txt", "disk.txt", "manifest.json"):
        name = f"{twice.first['name']}.{paper}"
        raw.with_name(name).symlink_to(IMAGES / name)
    assert prove(raw)[0]["same"]
    text = b'{"version": "' + twice.first["version"].encode()
    with raw.open("r+b") as file:
        place = find(file.fileno(), text)
        os.pwrite(file.fileno(), b"[", place)
    [row] = prove(raw, code=Exit.CORRUPT)
    assert row["differs"] == ["etc/trainshed-release"]


def find(handle: int, text: bytes) -> int:
    """Where a file that starts a block of the root file system has this text."""
    place = disk.ROOT_START
    while piece := os.pread(handle, 4 << 20, place):
        for start in range(0, len(piece), 4096):
            if piece.startswith(text, start):
                return place + start
        place += len(piece)
    raise AssertionError(f"no block starts with {text!r}")
