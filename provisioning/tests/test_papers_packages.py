"""What is read from a root tree, and the SBOMs and the provenance made of it, judged by their standards' own tools."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import cyclonedx, documents, licences, packages, provenance, spdx
from trainshed_provision.papers.packages import Package
from trainshed_provision.papers.signatures import SecretKey
from trainshed_provision.papers.subject import Subject
from trainshed_provision.testing.sbom import cyclonedx_complaints, spdx_complaints

KEY = SecretKey(b"12345678", bytes(range(32)))
SUBJECT = Subject(
    name="trainshed-0.1.0-amd64",
    version="0.1.0",
    architecture="amd64",
    digest="d" * 64,
    commit="c" * 40,
    epoch=1763726400,
    distro="debian-13",
)
MANIFEST = {
    "name": "trainshed-0.1.0-amd64",
    "version": "0.1.0",
    "architecture": "amd64",
    "commit": "c" * 40,
    "commit_time": 1763726400,
    "tree_digest": "d" * 64,
    "files": {
        "qcow2": {"file": "trainshed-0.1.0-amd64.qcow2", "sha256": "a" * 64, "bytes": 1},
        "oci.tar": {"file": "trainshed-0.1.0-amd64.oci.tar", "sha256": "b" * 64, "bytes": 2},
    },
}

# As dpkg writes it in Debian 13, shortened.
STATUS = """\
Package: libssl3t64
Status: install ok installed
Priority: optional
Section: libs
Maintainer: Debian OpenSSL Team <pkg-openssl-devel@alioth-lists.debian.net>
Architecture: amd64
Multi-Arch: same
Source: openssl
Version: 3.5.4-1~deb13u1
Provides: libssl3 (= 3.5.4-1~deb13u1)
Depends: libc6 (>= 2.38), libzstd1 (>= 1.5.5)
Description: Secure Sockets Layer toolkit - shared libraries
 This package is part of the OpenSSL project's implementation.
 .
 Version: 0 is said here.

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.41-12+deb13u1)
Version: 2.41-12
Depends: libgcc-s1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libcrypt1
Status: install ok installed
Architecture: amd64
Source: libxcrypt
Version: 1:4.4.38-1
Pre-Depends: absent | libc6:any (>= 2.36)
Depends: openssl-provider | libssl3 [amd64]
"""
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+ or Artistic, and Expat

Files: doc/*
License: BSD-3-clause

License: BSD-3-clause
 Redistribution and use in source and binary forms
"""
METADATA = """\
Metadata-Version: 2.4
Name: Flask_Thing
Version: 3.1.2
License-Expression: BSD-3-Clause
Requires-Dist: other>=2; python_version >= "3.13"
Requires-Dist: old; python_version < "3.13"
Requires-Dist: other[extra]; extra == "async"
Requires-Dist: not there

License: a description may say anything
"""


LISTED = ("usr", "usr/lib/libssl.so.3", "usr/lib/libssl.so", "lib/libcrypto.so.3", "gone")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    site = "opt/trainshed/releases/0.1.0/lib/python3.13/site-packages"
    for name, content in {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n',
        packages.STATUS: STATUS,
        f"{packages.INFO}/libssl3t64:amd64.list": "/.\n" + "".join(f"/{name}\n" for name in LISTED),
        f"{packages.INFO}/libc6:amd64.list": "/.\n/etc/ld.so.conf\n",
        "etc/ld.so.conf": "include\n",
        "usr/lib/libssl.so.3": "ssl",
        "usr/lib/libcrypto.so.3": "crypto",
        "usr/share/doc/libssl3t64/copyright": COPYRIGHT,
        "usr/share/doc/libc6/copyright": "This is the Debian prepackaged version of the GNU C Library\nLicense: GPL\n",
        f"{site}/flask_thing-3.1.2.dist-info/METADATA": METADATA,
        f"{site}/flask_thing-3.1.2.dist-info/RECORD": "flask_thing/__init__.py,,\n../../../bin/flask,,\n",
        f"{site}/flask_thing/__init__.py": "",
        f"{site}/../../../bin/flask": "#!",
        f"{site}/other-2.0.dist-info/METADATA": "Name: other\nVersion: 2.0\nClassifier: License :: OSI Approved :: MIT License\n",
        "usr/lib/python3/dist-packages/jinja2-3.1.dist-info/METADATA": "Name: jinja2\nVersion: 3.1\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "usr/lib/libssl.so").symlink_to("libssl.so.3")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "usr/share/doc/libcrypt1").symlink_to("/usr/share/doc/libc6")
    return tmp_path


def by_name(found: Sequence[Package]) -> dict[str, Package]:
    return {package.name: package for package in found}


# --- the tree ---


def test_what_is_installed_is_found_and_nothing_else(tree: Path) -> None:
    found = packages.read(tree)
    assert [p.id for p in found.packages] == [
        "deb/libc6",
        "deb/libcrypt1",
        "deb/libssl3t64",
        "pypi/flask-thing",
        "pypi/other",
    ]
    assert by_name(found.packages)["libssl3t64"].version == "3.5.4-1~deb13u1"


def test_a_package_names_its_source_with_the_sources_version(tree: Path) -> None:
    found = by_name(packages.debian(tree))
    assert (found["libc6"].source, found["libc6"].source_version) == ("glibc", "2.41-12+deb13u1")
    assert (found["libssl3t64"].source, found["libssl3t64"].source_version) == ("openssl", "3.5.4-1~deb13u1")


def test_it_depends_on_what_is_there_also_by_what_that_provides(tree: Path) -> None:
    found = by_name(packages.read(tree).packages)
    assert found["libcrypt1"].depends == ("deb/libc6", "deb/libssl3t64")
    assert found["libssl3t64"].depends == ("deb/libc6",)
    assert found["flask-thing"].depends == ("pypi/other",)


def test_the_verification_code_is_of_the_regular_files_that_are_there(tree: Path) -> None:
    found = by_name(packages.read(tree).packages)
    sums = sorted(hashlib.sha1(content).hexdigest() for content in (b"ssl", b"crypto"))
    assert found["libssl3t64"].files == 2
    assert found["libssl3t64"].verification == hashlib.sha1("".join(sums).encode()).hexdigest()
    assert (found["flask-thing"].files, found["libcrypt1"].files) == (2, 0)


def test_a_changed_file_changes_the_code(tree: Path) -> None:
    before = by_name(packages.read(tree).packages)["libssl3t64"].verification
    (tree / "usr/lib/libssl.so.3").write_text("SSL")
    assert by_name(packages.read(tree).packages)["libssl3t64"].verification != before


def test_licences_are_of_the_tree_never_of_this_host(tree: Path) -> None:
    found = by_name(packages.read(tree).packages)
    assert found["libssl3t64"].licence == "((GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT) AND BSD-3-Clause"
    assert (
        found["libcrypt1"].licence == licences.UNKNOWN
    )  # a link to /usr/share/doc/libc6, which says nothing a machine reads
    assert (found["flask-thing"].licence, found["other"].licence) == ("BSD-3-Clause", "MIT")


@pytest.mark.parametrize("link", ["/etc/passwd", "../../../../../../../../etc/passwd", "loop"])
def test_a_link_never_leads_out_of_the_tree(tmp_path: Path, link: str) -> None:
    (tmp_path / "loop").symlink_to(link)
    assert packages.within(tmp_path, "loop").is_relative_to(tmp_path)


def test_a_tree_without_dpkg_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShedError, match="dpkg/status") as caught:
        packages.read(tmp_path)
    assert caught.value.code == Exit.CORRUPT


def test_the_layer_of_a_disk_is_marked(tree: Path) -> None:
    root = packages.read(tree, archives={"deb/libc6": "1" * 64})
    status = tree / packages.STATUS
    kernel = (
        "\nPackage: linux-image-cloud-amd64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 6.12.48-1\n"
    )
    status.write_text(STATUS + kernel)
    both = packages.with_layer(root, tree, archives={"deb/linux-image-cloud-amd64": "2" * 64})
    assert [p.name for p in both.packages if p.disk_only] == ["linux-image-cloud-amd64"]
    assert {p.sha256[:1] for p in both.packages if p.sha256} == {"1", "2"}
    assert tuple(p for p in both.packages if not p.disk_only) == root.packages


def test_a_package_url_says_architecture_release_and_source(tree: Path) -> None:
    found = by_name(packages.read(tree).packages)
    assert packages.read(tree).distro == "debian-13"
    purl = found["libcrypt1"].purl("debian-13")
    assert purl == "pkg:deb/debian/libcrypt1@1:4.4.38-1?arch=amd64&distro=debian-13&upstream=libxcrypt%401:4.4.38-1"
    assert found["flask-thing"].purl() == "pkg:pypi/flask-thing@3.1.2"


# --- licences ---


@pytest.mark.parametrize(
    ("said", "spdx"),
    [
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPLv2.1+", "LGPL-2.1-or-later"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("AGPL-3.0-or-later", "AGPL-3.0-or-later"),
        ("GFDL-1.3+", "GFDL-1.3-or-later"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("Zlib and Expat", "Zlib AND MIT"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        ("LGPL-3+ or GPL-2+, and Expat", "(LGPL-3.0-or-later OR GPL-2.0-or-later) AND MIT"),
        ("public-domain", "LicenseRef-debian-public-domain"),
        ("GPL-9", "LicenseRef-debian-GPL-9"),
        ("GPL-2+ with OpenSSL exception", "LicenseRef-debian-GPL-2-or-later-with-OpenSSL-exception"),
        (
            "Permission is hereby granted, free of charge, to any person or body obtaining",
            "LicenseRef-debian-Permission-is-hereby-granted-free-of-charge-to-a-cfe927b3",
        ),
    ],
)
def test_debians_names_become_spdxs(said: str, spdx: str) -> None:
    assert licences.debian(said) == spdx


@pytest.mark.parametrize(
    ("fields", "classifiers", "spdx"),
    [
        ({"license-expression": "MIT OR Apache-2.0", "license": "x"}, [], "MIT OR Apache-2.0"),
        ({"license": "apache-2.0"}, [], "Apache-2.0"),
        ({"license": "Apache License, Version 2.0"}, [], "Apache-2.0"),
        ({"license": "Copyright (c) 2015\nAll rights"}, ["License :: OSI Approved :: ISC License (ISCL)"], "ISC"),
        ({}, ["License :: OSI Approved :: BSD License"], licences.UNKNOWN),
        ({}, [], licences.UNKNOWN),
    ],
)
def test_pythons_words_become_spdxs_when_they_are_clear(
    fields: dict[str, str], classifiers: list[str], spdx: str
) -> None:
    assert licences.of_metadata(fields, classifiers) == spdx


# --- SBOMs ---


def test_the_spdx_document_is_valid_by_spdxs_own_tools(tree: Path, tmp_path: Path) -> None:
    text = spdx.document(SUBJECT, packages.read(tree, archives={"deb/libc6": "1" * 64}).packages)
    path = tmp_path / "sbom.spdx.json"
    path.write_text(text)
    assert spdx_complaints(path) == []
    path.write_text(text.replace('"SHA256"', '"SHA1"'))
    assert spdx_complaints(path)


def test_the_cyclonedx_document_is_valid_by_its_schema(tree: Path) -> None:
    text = cyclonedx.document(SUBJECT, packages.read(tree, archives={"deb/libc6": "1" * 64}).packages)
    assert cyclonedx_complaints(text) == []
    assert cyclonedx_complaints(text.replace('"SHA-256"', '"SHA-1234"'))


def test_both_name_each_package_with_its_facts(tree: Path) -> None:
    found = packages.read(tree, archives={"deb/libc6": "1" * 64}).packages
    one, two = json.loads(spdx.document(SUBJECT, found)), json.loads(cyclonedx.document(SUBJECT, found))
    purls = {p.purl("debian-13") for p in found}
    assert {r["referenceLocator"] for p in one["packages"] for r in p.get("externalRefs", [])} == purls
    assert {c["purl"] for c in two["components"]} == purls
    libc = next(p for p in one["packages"] if p["name"] == "libc6")
    assert libc["checksums"] == [{"algorithm": "SHA256", "checksumValue": "1" * 64}]
    assert libc["sourceInfo"] == "built from: glibc 2.41-12+deb13u1"
    relations = {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in one["relationships"]}
    assert ("SPDXRef-deb-libssl3t64", "DEPENDS_ON", "SPDXRef-deb-libc6") in relations
    depends = {d["ref"]: d.get("dependsOn", []) for d in two["dependencies"]}
    assert depends[by_name(found)["libssl3t64"].purl("debian-13")] == [by_name(found)["libc6"].purl("debian-13")]


@pytest.mark.parametrize("write", [spdx.document, cyclonedx.document], ids=["spdx", "cyclonedx"])
def test_the_same_root_gives_the_same_bytes_and_another_root_another_number(tree: Path, write: Any) -> None:
    found = packages.read(tree).packages
    assert write(SUBJECT, found) == write(SUBJECT, packages.read(tree).packages)
    other = Subject(**{**vars(SUBJECT), "digest": "e" * 64})
    assert str(SUBJECT.uuid()) in write(SUBJECT, found)
    assert str(SUBJECT.uuid()) not in write(other, found)
    assert "2025-11-21T12:00:00" in write(SUBJECT, found)


# --- provenance ---


def test_the_statement_names_every_file_and_all_that_went_in(tree: Path) -> None:
    found = packages.read(tree, archives={"deb/libc6": "1" * 64, "pypi/other": "2" * 64}).packages
    said = json.loads(provenance.statement(SUBJECT, MANIFEST, found, locks={"requirements.lock": "3" * 64}))
    assert (said["_type"], said["predicateType"]) == (provenance.STATEMENT, provenance.PREDICATE)
    assert [(s["name"], s["digest"]["sha256"][0]) for s in said["subject"]] == [
        ("trainshed-0.1.0-amd64.oci.tar", "b"),
        ("trainshed-0.1.0-amd64.qcow2", "a"),
    ]
    build = said["predicate"]["buildDefinition"]
    assert build["externalParameters"]["formats"] == ["oci.tar", "qcow2"]
    went_in = [d.get("uri", d.get("name")) for d in build["resolvedDependencies"]]
    assert went_in == ["git", "requirements.lock", by_name(found)["libc6"].purl("debian-13"), "pkg:pypi/other@2.0"]


def test_an_envelope_is_believed_of_its_signer_alone() -> None:
    text = provenance.statement(SUBJECT, MANIFEST, [], locks={})
    sealed = provenance.envelope(text, KEY)
    assert provenance.opened(sealed, (KEY.public,)) == json.loads(text)
    with pytest.raises(ShedError, match="not signed by") as caught:
        provenance.opened(sealed, (SecretKey(b"87654321", bytes(32)).public,))
    assert caught.value.code == Exit.REFUSED


@pytest.mark.parametrize("field", ["payload", "payloadType", "signatures"])
def test_a_changed_envelope_is_refused(field: str) -> None:
    sealed = json.loads(provenance.envelope(provenance.statement(SUBJECT, MANIFEST, [], locks={}), KEY))
    changed = {"payload": "e30=", "payloadType": "text/plain", "signatures": []}
    with pytest.raises(ShedError) as caught:
        provenance.opened(json.dumps({**sealed, field: changed[field]}), (KEY.public,))
    assert caught.value.code == Exit.REFUSED
    with pytest.raises(ShedError) as caught:
        provenance.opened(json.dumps({k: v for k, v in sealed.items() if k != field}), (KEY.public,))
    assert caught.value.code == Exit.CORRUPT


# --- all of them ---


def test_the_papers_of_an_image_are_the_same_each_time_and_the_manifest_says_their_sums(tree: Path) -> None:
    found = packages.read(tree)
    made = documents.texts({**MANIFEST, "seconds": {"disk": 1.0}}, found, locks={})
    assert made == documents.texts({**MANIFEST, "seconds": {"disk": 2.0}}, found, locks={})
    said = documents.describe("name", made)
    assert set(said) == {"packages.json", "packages.txt", "spdx.json", "cdx.json", "provenance.json"}
    assert said["cdx.json"]["sha256"] == hashlib.sha256(made["cdx.json"].encode()).hexdigest()


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"distro": "", "packages": [{"name": 1}]}'])
def test_the_package_manifest_is_read_back(tree: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "packages.json"
    path.write_text(packages.dump(packages.read(tree)))
    assert packages.load(path) == packages.read(tree)
    path.write_text(damage)
    with pytest.raises(ShedError, match="no package manifest"):
        packages.load(path)
