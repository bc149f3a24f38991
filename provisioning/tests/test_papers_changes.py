"""What is different between two images."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision.cli import main
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import changes, cyclonedx, packages, spdx, versions
from trainshed_provision.papers.changes import Image, Part
from trainshed_provision.papers.packages import Inventory, Package
from trainshed_provision.papers.subject import Subject

CHANGELOG = """\
openssl (3.5.4-1~deb13u2) trixie-security; urgency=medium

  * CVE-2025-9230 (Fix incorrect check of unwrapped key size)
  * CVE-2025-9231, CVE-2025-9230 again

 -- Somebody <somebody@example.org>  Sat, 27 Sep 2025 12:51:22 +0200

openssl (3.5.4-1~deb13u1) trixie; urgency=medium

  * New upstream version.

 -- Somebody <somebody@example.org>  Fri, 26 Sep 2025 12:51:22 +0200

openssl (3.5.1-1) unstable; urgency=medium

  * CVE-2020-1111

 -- Somebody <somebody@example.org>  Thu, 03 Jul 2025 12:51:22 +0200
"""
TRACKER: dict[str, Any] = {
    "openssl": {
        "CVE-2025-9230": {
            "releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.4-1~deb13u2", "urgency": "high"}}
        },
        "CVE-2025-0001": {"releases": {"trixie": {"status": "open", "urgency": "low"}}},
        "CVE-2025-0002": {"releases": {"trixie": {"status": "resolved", "fixed_version": "0", "urgency": "low"}}},
        "CVE-2025-0003": {"releases": {"trixie": {"status": "undetermined", "urgency": "low"}}},
        "CVE-2025-0004": {"releases": {"bookworm": {"status": "open", "urgency": "high"}}},
        "TEMP-0000000-1": {"releases": {"trixie": {"status": "open", "urgency": "low"}}},
    },
    "curl": {
        "CVE-2025-7777": {"releases": {"trixie": {"status": "resolved", "fixed_version": "9-1", "urgency": "medium"}}}
    },
    "linux": {
        "CVE-2025-5555": {
            "releases": {"trixie": {"status": "resolved", "fixed_version": "6.12.40-1", "urgency": "low"}}
        }
    },
}


def deb(name: str, version: str, source: str = "", source_version: str = "") -> Package:
    return Package(
        kind="deb",
        name=name,
        version=version,
        architecture="amd64",
        source=source or name,
        source_version=source_version or version,
    )


def pypi(name: str, version: str) -> Package:
    return Package(kind="pypi", name=name, version=version)


OLD = [deb("libssl3t64", "3.5.1-1", "openssl"), deb("bash", "5.2-1"), deb("tar", "1.35-1"), pypi("flask", "3.10")]
NEW = [deb("libssl3t64", "3.5.4-1~deb13u2", "openssl"), deb("bash", "5.1-1"), deb("curl", "8-1"), pypi("flask", "3.9")]


def image(of: list[Package], name: str = "image") -> Image:
    parts = [
        Part(kind=p.kind, name=p.name, version=p.version, source=p.source, source_version=p.source_version) for p in of
    ]
    return Image(name=name, release="trixie", parts={(p.kind, p.name): p for p in parts})


def package_with(folder: Path, name: str, version: str, changelog: str, *, ending: str = "changelog.Debian.gz") -> Path:
    """A real .deb."""
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    doc = tree / "usr/share/doc" / name
    doc.mkdir(parents=True)
    (doc / ending).write_bytes(gzip.compress(changelog.encode()))
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: a <a@example.org>\nDescription: a test\n"
    )
    target = folder / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    argv = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(target)]
    subprocess.run(argv, check=True, capture_output=True)
    return target


dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not here")


def test_each_package_that_differs_is_named_with_what_became_of_it() -> None:
    found = [(c.what, c.name, c.old, c.new) for c in changes.difference(image(OLD), image(NEW))]
    assert found == [
        ("downgraded", "bash", "5.2-1", "5.1-1"),
        ("added", "curl", "", "8-1"),
        ("upgraded", "libssl3t64", "3.5.1-1", "3.5.4-1~deb13u2"),
        ("removed", "tar", "1.35-1", ""),
        ("downgraded", "flask", "3.10", "3.9"),
    ]


@pytest.mark.parametrize("form", ["spdx", "cdx", "packages"])
def test_an_image_is_the_same_from_each_of_its_papers(tmp_path: Path, form: str) -> None:
    subject = Subject(
        name="image", version="1", architecture="amd64", digest="d" * 64, commit="c" * 40, epoch=0, distro="debian-13"
    )
    text = {
        "spdx": spdx.document(subject, NEW),
        "cdx": cyclonedx.document(subject, NEW),
        "packages": packages.dump(Inventory(distro="debian-13", packages=tuple(NEW))),
    }[form]
    path = tmp_path / f"image.{form}.json"
    path.write_text(text)
    read = changes.load(path)
    assert (read.release, read.sources()) == ("trixie", image(NEW).sources())
    assert {key: part.version for key, part in read.parts.items()} == {
        key: part.version for key, part in image(NEW).parts.items()
    }


def test_a_manifest_is_enough_for_the_packages(tmp_path: Path) -> None:
    path = tmp_path / "image.manifest.json"
    manifest = {
        "name": "image",
        "suite": "trixie",
        "debian": {"bash": "5"},
        "layer": {"grub": "2"},
        "python": {"flask": "3"},
    }
    path.write_text(json.dumps(manifest))
    assert {(*key, part.version) for key, part in changes.load(path).parts.items()} == {
        ("deb", "bash", "5"),
        ("deb", "grub", "2"),
        ("pypi", "flask", "3"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"spdxVersion": "SPDX-2.3"}',
        '{"bomFormat": "CycloneDX"}',
        '{"spdxVersion": "", "name": "", "packages": []}',
        '"x"',
    ],
)
def test_what_is_no_paper_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ShedError, match=r"x\.json") as caught:
        changes.load(tmp_path / "x.json")
    assert caught.value.code == Exit.CORRUPT
    with pytest.raises(ShedError) as caught:
        changes.load(tmp_path / "absent.json")
    assert caught.value.code == Exit.MISSING


# --- changelogs ---


def test_the_entries_between_two_versions_are_found() -> None:
    found = list(changes.between(CHANGELOG, old="3.5.1-1", new="3.5.4-1~deb13u2"))
    assert [text.split(")")[0] for text in found] == ["openssl (3.5.4-1~deb13u2", "openssl (3.5.4-1~deb13u1"]
    assert found[1].endswith("Fri, 26 Sep 2025 12:51:22 +0200")


@dpkg
def test_the_changelog_of_an_upgrade_comes_from_a_kept_package(tmp_path: Path) -> None:
    package_with(tmp_path, "libssl3t64", "3.5.4-1~deb13u2", CHANGELOG)
    (log,), without = changes.changelogs(image(OLD), image(NEW), tmp_path)
    assert (log.source, log.old, log.new) == ("openssl", "3.5.1-1", "3.5.4-1~deb13u2")
    assert log.cves == ("CVE-2025-9230", "CVE-2025-9231")
    assert without == ()


@dpkg
def test_entries_are_by_the_sources_version_not_the_packages(tmp_path: Path) -> None:
    package_with(tmp_path, "libssl3", "1:9", CHANGELOG, ending="changelog.gz")
    before, after = [deb("libssl3", "1:8", "openssl", "3.5.1-1")], [deb("libssl3", "1:9", "openssl", "3.5.4-1~deb13u1")]
    (log,), _ = changes.changelogs(image(before), image(after), tmp_path)
    assert log.text.startswith("openssl (3.5.4-1~deb13u1)")
    assert log.cves == ()


def test_a_kernel_under_a_new_name_is_an_upgrade_of_its_source(tmp_path: Path) -> None:
    before = [deb("linux-image-6.12.33-cloud-amd64", "6.12.33-1", "linux-signed-amd64", "6.12.33+1")]
    after = [deb("linux-image-6.12.48-cloud-amd64", "6.12.48-1", "linux-signed-amd64", "6.12.48+1")]
    assert changes.changelogs(image(before), image(after), tmp_path) == ((), ("linux",))
    found = changes.report(image(before), image(after), vulnerabilities=TRACKER)
    assert [o.cve for o in found.fixed or ()] == ["CVE-2025-5555"]


@dpkg
def test_a_kept_file_that_is_no_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "libssl3t64_3.5.4-1~deb13u2_amd64.deb").write_bytes(b"no package")
    with pytest.raises(ShedError, match="libssl3t64_3"):
        changes.changelogs(image(OLD), image(NEW), tmp_path)


# --- vulnerabilities ---


def test_open_is_what_is_not_fixed_in_this_version_of_this_release() -> None:
    assert [(o.cve, o.fixed_in) for o in changes.open_in(image(OLD), TRACKER)] == [
        ("CVE-2025-0001", ""),
        ("CVE-2025-9230", "3.5.4-1~deb13u2"),
    ]


def test_the_difference_says_what_was_fixed_and_what_came() -> None:
    found = changes.report(image(OLD), image(NEW), vulnerabilities=TRACKER)
    sections = [[o.cve for o in of or ()] for of in (found.fixed, found.introduced, found.still)]
    assert sections == [["CVE-2025-9230"], ["CVE-2025-7777"], ["CVE-2025-0001"]]


def test_without_a_list_nothing_is_said_about_vulnerabilities() -> None:
    found = changes.report(image(OLD), image(NEW))
    assert (found.fixed, found.introduced, found.still) == (None, None, None)


@pytest.mark.parametrize("text", ["{}", '{"openssl": []}', '{"openssl": {"x": 1}}', "nothing"])
def test_a_list_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tracker.json").write_text(text)
    with pytest.raises(ShedError, match="tracker"):
        changes.load_vulnerabilities(tmp_path / "tracker.json")


# --- versions ---


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0-1+b1"),
        ("1.0-1~deb13u1", "1.0-1"),
        ("1.9", "1.10"),
        ("2.0", "1:1.0"),
        ("1.0a", "1.0+"),
        ("1.0", "1.0a"),
        ("11.0~rc1-1", "11."),
        ("1.0-1", "1.0-1+deb13u1"),
    ],
)
def test_versions_are_ordered_as_dpkg_does(older: str, newer: str) -> None:
    assert versions.Debian(older) < versions.Debian(newer)
    assert not versions.Debian(newer) < versions.Debian(older)


def test_versions_that_differ_only_in_what_is_left_out_are_equal() -> None:
    assert versions.Debian("0:1.0-0") == versions.Debian("1.0")
    assert versions.Debian("1.00") == versions.Debian("1.0")


# --- the command ---


@dpkg
def test_the_command_prints_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package_with(tmp_path, "libssl3t64", "3.5.4-1~deb13u2", CHANGELOG)
    for name, of in (("old", OLD), ("new", NEW)):
        (tmp_path / f"{name}.packages.json").write_text(
            packages.dump(Inventory(distro="debian-13", packages=tuple(of)))
        )
    (tmp_path / "tracker.json").write_text(json.dumps(TRACKER))
    argv = ["changes", *(str(tmp_path / f"{n}.packages.json") for n in ("old", "new")), "--packages", str(tmp_path)]
    assert main([*argv, "--vulnerabilities", str(tmp_path / "tracker.json")]) == Exit.OK
    said = capsys.readouterr().out
    assert "↑ libssl3t64 3.5.1-1 -> 3.5.4-1~deb13u2" in said
    assert "openssl 3.5.1-1 -> 3.5.4-1~deb13u2, names CVE-2025-9230, CVE-2025-9231" in said
    assert "CVE-2025-7777 curl 8-1, medium, fixed in 9-1" in said
    assert main([*argv, "--json"]) == Exit.OK
    assert len(json.loads(capsys.readouterr().out)["changes"]) == 5
