"""The papers of the image that was really baked say what is in it."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.infra.appliance import IMAGES

from trainshed_provision.papers import changes
from trainshed_provision.testing.sbom import cyclonedx_complaints, spdx_complaints

pytestmark = pytest.mark.image


@pytest.fixture
def named(manifest: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Each package of the manifest: kind, name, version."""
    debian = {**manifest["debian"], **manifest["layer"]}
    return {
        *(("deb", name, version) for name, version in debian.items()),
        *(("pypi", name, version) for name, version in manifest["python"].items()),
    }


def paper(manifest: dict[str, Any], ending: str) -> Path:
    return IMAGES / str(manifest["papers"][ending]["file"])


@pytest.mark.parametrize("ending", ["spdx.json", "cdx.json", "packages.json"])
def test_the_sbom_names_every_package_of_the_manifest_and_no_other(
    manifest: dict[str, Any], named: set[tuple[str, str, str]], ending: str
) -> None:
    parts = changes.load(paper(manifest, ending)).parts
    assert {(kind, name, part.version) for (kind, name), part in parts.items()} == named
    assert len(named) > 200


def test_the_sboms_are_valid_by_their_standards_own_tools(manifest: dict[str, Any]) -> None:
    assert spdx_complaints(paper(manifest, "spdx.json")) == []
    assert cyclonedx_complaints(paper(manifest, "cdx.json").read_text()) == []


def test_every_package_that_was_installed_from_a_file_has_its_sum(manifest: dict[str, Any]) -> None:
    packages = json.loads(paper(manifest, "packages.json").read_text())["packages"]
    # The environment brings pip itself, out of Debian's python3-venv.
    assert [p["name"] for p in packages if not p["sha256"]] == ["pip"]
    assert [p["name"] for p in packages if p["kind"] == "pypi" and not p["files"]] == []


def test_most_packages_have_a_licence(manifest: dict[str, Any]) -> None:
    packages = json.loads(paper(manifest, "packages.json").read_text())["packages"]
    assert sum(1 for p in packages if p["licence"]) > 0.7 * len(packages)


def test_the_papers_are_those_that_the_manifest_names(manifest: dict[str, Any]) -> None:
    for entry in manifest["papers"].values():
        content = (IMAGES / entry["file"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"]), entry["file"]


def test_the_provenance_is_of_every_file_and_names_every_package(manifest: dict[str, Any]) -> None:
    said = json.loads(paper(manifest, "provenance.json").read_text())
    assert {s["name"]: s["digest"]["sha256"] for s in said["subject"]} == {
        entry["file"]: entry["sha256"] for entry in manifest["files"].values()
    }
    went_in = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert went_in[0]["digest"] == {"gitCommit": manifest["commit"]}
    assert len(went_in) > 200


def test_what_only_disks_hold_is_marked(manifest: dict[str, Any]) -> None:
    packages = json.loads(paper(manifest, "packages.json").read_text())["packages"]
    assert {p["name"] for p in packages if p["disk_only"]} == set(manifest["layer"])


def test_the_verification_codes_are_those_of_the_container_image(manifest: dict[str, Any]) -> None:
    """Of one package, by reading the container image anew."""
    packages = json.loads(paper(manifest, "packages.json").read_text())["packages"]
    bash = next(p for p in packages if p["name"] == "bash")
    with tarfile.open(IMAGES / manifest["files"]["oci.tar"]["file"]) as archive:
        layer = archive.extractfile(next(m for m in archive if m.size > 10_000_000))
        with tarfile.open(fileobj=layer) as root:
            read = {m.name.removeprefix("./"): root.extractfile(m) for m in root if m.isreg()}
            listed = read["var/lib/dpkg/info/bash.list"]
            assert listed
            names = [line.strip("/") for line in listed.read().decode().splitlines()]
            sums = [hashlib.sha1(file.read()).hexdigest() for name in names if (file := read.get(name))]
    assert (len(sums), hashlib.sha1("".join(sorted(sums)).encode()).hexdigest()) == (
        bash["files"],
        bash["verification"],
    )
