"""What a bake writes about what its images hold, also when they are baked one after the other."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision.bake import inventory, stages
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.packages import Package as Locked
from trainshed_provision.papers import packages
from trainshed_provision.papers.packages import Inventory, Package

BASH = Package(kind="deb", name="bash", version="5.2", source="bash", source_version="5.2", architecture="amd64")
KERNEL = Package(kind="deb", name="linux", version="6.12", source="linux", source_version="6.12", disk_only=True)
ROOT = Inventory(distro="debian-13", packages=(BASH,))
DISK = Inventory(distro="debian-13", packages=(BASH, KERNEL))


@pytest.fixture
def bake(tmp_path: Path) -> Bake:
    (tmp_path / "requirements.lock").write_text("flask==1\n")
    work = tmp_path / "build" / "work"
    work.mkdir(parents=True)
    (tmp_path / "build" / "cache").mkdir()
    return Bake(checkout=tmp_path, work=work, version="1.0", commit="c0ffee", epoch=0, inputs="same")


def publish(bake: Bake, ending: str, holds: Inventory) -> dict[str, Any]:
    file = bake.work / ending
    file.write_bytes(ending.encode())
    layer = {"layer": {"linux": "6.12"}} if holds is DISK else {}
    facts = {
        "tree_digest": "d" * 64,
        "lock": "e" * 64,
        "locked": True,
        "debian": {"bash": "5.2"},
        "python": {},
        **layer,
    }
    papers = {"tree.txt": "a\n", **({"disk.txt": "b\n"} if layer else {})}
    state = stages.State(tell=print, holds=holds, facts=facts, papers=papers, made={ending: file})
    stages._publish(bake, state)
    return state.manifest


def named(bake: Bake) -> list[str]:
    sbom = json.loads((bake.images / f"{bake.name}.cdx.json").read_text())
    return [component["name"] for component in sbom["components"]]


def test_the_manifest_has_the_sum_of_each_paper(bake: Bake) -> None:
    papers = publish(bake, "qcow2", DISK)["papers"]
    assert {"tree.txt", "disk.txt", "packages.json", "spdx.json", "cdx.json", "provenance.json"} <= papers.keys()
    for entry in papers.values():
        assert hashlib.sha256((bake.images / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


def test_a_container_baked_after_the_disks_takes_nothing_out_of_their_papers(bake: Bake) -> None:
    publish(bake, "qcow2", DISK)
    manifest = publish(bake, "oci.tar", ROOT)
    assert named(bake) == ["bash", "linux"]
    assert manifest["files"].keys() == {"qcow2", "oci.tar"}
    assert "disk.txt" in manifest["papers"]
    said = json.loads((bake.images / f"{bake.name}.provenance.json").read_text())
    assert len(said["subject"]) == 2


def test_disks_baked_after_the_container_add_to_its_papers(bake: Bake) -> None:
    publish(bake, "oci.tar", ROOT)
    assert named(bake) == ["bash"]
    assert publish(bake, "qcow2", DISK)["files"].keys() == {"qcow2", "oci.tar"}
    assert named(bake) == ["bash", "linux"]


def test_disks_of_which_nobody_knows_what_they_hold_are_not_listed(bake: Bake) -> None:
    publish(bake, "qcow2", DISK)
    (bake.images / f"{bake.name}.packages.json").unlink()
    assert publish(bake, "oci.tar", ROOT)["files"].keys() == {"oci.tar"}


def test_what_the_root_holds_is_kept_with_the_sums_of_its_wheels(bake: Bake) -> None:
    site = bake.tree / "opt/trainshed/lib/python3.13/site-packages/flask-3.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Name: Flask\nVersion: 3.0\n")
    status = bake.tree / packages.STATUS
    status.parent.mkdir(parents=True)
    status.write_text("Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n")
    wheel = bake.work / "flask-3.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    with tarfile.open(bake.work / "wheelhouse.tar", "w") as tar:
        tar.add(wheel, arcname=wheel.name)
    locked = [Locked(name="bash", version="5.2", architecture="amd64", sha256="1" * 64)]
    inventory.keep_root(bake, locked)
    assert {p.name: p.sha256 for p in inventory.of_root(bake).packages} == {
        "bash": "1" * 64,
        "flask": hashlib.sha256(b"wheel").hexdigest(),
    }
