"""`shed sign`, `shed verify` and `shed index`, from a baked image to one that is revoked."""

import errno
import json
import os
from pathlib import Path

import pytest

from trainshed_provision.bake import context
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.cli import main
from trainshed_provision.commands import sign
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import index, provenance, signatures
from trainshed_provision.papers.signatures import SecretKey

# Made with `minisign -GW` for these tests.
KEY_FILE = """\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAogHXMRottV00BwAcPONi1ed7lz1tdE77sgz9nw5aMcpJjoVcb7fGXCbhPALPHzCoEfVDy4wmhw2aFTuPUADqEZSUQXcMniJUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
PUBLIC = "RWSiAdcxGi21XSbhPALPHzCoEfVDy4wmhw2aFTuPUADqEZSUQXcMniJU"
KEY = SecretKey.parse(KEY_FILE)
DIGEST_OF_IMAGE = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"  # of b"image"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a bake leaves, the key, and nothing of this machine's state."""
    key = tmp_path / "trainshed.key"
    key.write_text(KEY_FILE)
    key.chmod(0o600)
    monkeypatch.setenv("TRAINSHED_SIGNING_KEY_FILE", str(key))
    monkeypatch.setenv("TRAINSHED_PUBLIC_KEY", PUBLIC)
    monkeypatch.setenv("SHED_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    bake(tmp_path, "0.1.0")
    return tmp_path


def bake(folder: Path, version: str) -> None:
    name = f"trainshed-{version}-amd64"
    (folder / f"{name}.qcow2").write_bytes(b"image")
    (folder / f"{name}.provenance.json").write_text(json.dumps({"_type": provenance.STATEMENT}) + "\n")
    manifest = {
        "name": name,
        "version": version,
        "architecture": "amd64",
        "commit": "c0ffee1",
        "tree_digest": "a" * 64,
        "files": {"qcow2": {"file": f"{name}.qcow2", "sha256": DIGEST_OF_IMAGE, "bytes": 5}},
    }
    (folder / f"{name}.manifest.json").write_text(json.dumps(manifest))


IMAGE = "trainshed-0.1.0-amd64.qcow2"
PROVENANCE = "trainshed-0.1.0-amd64.provenance.json"
MANIFEST = "trainshed-0.1.0-amd64.manifest.json"


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    return out + err


def test_from_a_bake_to_a_user_who_checks_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign", IMAGE, PROVENANCE]) == Exit.OK
    assert main(["index", "add", MANIFEST, "--url", "https://images.example/0.1.0"]) == Exit.OK
    capsys.readouterr()
    assert main(["verify", IMAGE, "trainshed-0.1.0-amd64.intoto.jsonl"]) == Exit.OK
    assert f"{IMAGE}: signed by {KEY.public.name}, version 0.1.0, not revoked" in said(capsys)
    assert main(["index", "show", "--resolve", "latest"]) == Exit.OK
    assert said(capsys) == f"0.1.0 https://images.example/0.1.0/{IMAGE}\n"


def test_a_revoked_image_is_refused_with_what_to_take(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sign", IMAGE])
    main(["index", "add", MANIFEST])
    assert main(["index", "revoke", "0.1.0", "--reason", "it leaks"]) == Exit.OK
    assert main(["verify", IMAGE]) == Exit.REFUSED
    assert "0.1.0 was revoked on" in said(capsys)
    assert main(["index", "show"]) == Exit.OK
    assert "REVOKED" in said(capsys)
    assert main(["index", "show", "--resolve", "latest"]) == Exit.NOT_FOUND


def test_each_verb_again_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["sign", IMAGE], ["index", "add", MANIFEST], ["index", "revoke", "0.1.0", "--reason", "it leaks"]):
        main(argv)
        before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        assert main(argv) == Exit.OK
        assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("argv", [["sign", IMAGE], ["index", "add", MANIFEST], ["index", "renew"]], ids=" ".join)
def test_a_dry_run_writes_nothing(folder: Path, argv: list[str]) -> None:
    before = set(folder.iterdir())
    assert main([*argv, "--dry-run"]) == Exit.OK
    assert set(folder.iterdir()) == before


def test_renewing_raises_the_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "add", MANIFEST])
    assert main(["index", "renew"]) == Exit.OK
    capsys.readouterr()
    assert main(["index", "verify", "--json"]) == Exit.OK
    assert json.loads(said(capsys))["sequence"] == 2


def test_a_changed_image_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sign", IMAGE])
    main(["index", "add", MANIFEST])
    (folder / IMAGE).write_bytes(b"Image")
    assert main(["verify", IMAGE]) == Exit.REFUSED
    assert "is not what" in said(capsys)


def test_a_signed_file_that_nobody_published_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "add", MANIFEST])
    (folder / "other").write_bytes(b"other")
    main(["sign", "other"])
    assert main(["verify", "other"]) == Exit.REFUSED
    assert "is not in the index" in said(capsys)
    assert main(["verify", "other", "--without-index"]) == Exit.OK
    assert "was not asked" in said(capsys)


def test_an_image_under_another_name_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "add", MANIFEST])
    (folder / IMAGE).rename(folder / "trainshed-0.2.0-amd64.qcow2")
    assert main(["verify", "trainshed-0.2.0-amd64.qcow2"]) == Exit.REFUSED
    assert f"is published as {IMAGE}" in said(capsys)


def test_the_index_vouches_for_a_file_without_a_signature_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", "add", MANIFEST])
    capsys.readouterr()
    assert main(["verify", IMAGE]) == Exit.OK
    assert "signed by the index" in said(capsys)


def test_without_an_index_nobody_knows_of_revocations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sign", IMAGE])
    assert main(["verify", IMAGE]) == Exit.MISSING
    assert "--without-index" in said(capsys)


def test_the_signed_provenance_is_published_with_the_image(folder: Path) -> None:
    main(["sign", PROVENANCE])
    main(["index", "add", MANIFEST])
    papers = index.read(folder / "index.json", keys=(KEY.public,)).releases["0.1.0"].builds["amd64"].papers
    assert papers["intoto.jsonl"].name == "trainshed-0.1.0-amd64.intoto.jsonl"


def test_what_changed_since_the_last_published_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def sbom(version: str, bash: str) -> Path:
        path = folder / f"trainshed-{version}-amd64.spdx.json"
        ref = {"referenceType": "purl", "referenceLocator": f"pkg:deb/debian/bash@{bash}?distro=debian-13"}
        path.write_text(json.dumps({"spdxVersion": "SPDX-2.3", "name": version, "packages": [{"externalRefs": [ref]}]}))
        return path

    old, new = sbom("0.1.0", "5.1"), sbom("0.2.0", "5.2")
    manifest = json.loads((folder / MANIFEST).read_text())
    entry = {"file": old.name, "sha256": file_digest(old), "bytes": old.stat().st_size}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "papers": {"spdx.json": entry}}))
    main(["index", "add", MANIFEST])
    capsys.readouterr()
    assert main(["changes", "latest", str(new), "--index", "index.json"]) == Exit.OK
    assert "bash 5.1 -> 5.2" in said(capsys)
    old.write_text(old.read_text() + "\n")
    assert main(["changes", "latest", str(new), "--index", "index.json"]) == Exit.REFUSED
    old.unlink()
    assert main(["changes", "0.1.0", str(new), "--index", "index.json"]) == Exit.MISSING
    assert "the SBOM of 0.1.0 is not there" in said(capsys)
    assert main(["changes", "0.3.0", str(new), "--index", "index.json"]) == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("argv", "code", "said_of_it"),
    [
        (["sign", "absent"], Exit.MISSING, "no such file"),
        (["verify", "absent", "--without-index"], Exit.MISSING, "no such file"),
        (["index", "add", "absent"], Exit.MISSING, "cannot read absent"),
        (["index", "add", "trainshed.key"], Exit.CORRUPT, "is no manifest"),
        (["index", "revoke", "9", "--reason", "x"], Exit.NOT_FOUND, "no release 9"),
        (["index", "show"], Exit.MISSING, "index.json"),
        (["index", "verify", "--public-key", "absent"], Exit.MISSING, "cannot read absent"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_what_is_not_there_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], code: Exit, said_of_it: str
) -> None:
    assert main(argv) == code
    assert said_of_it in said(capsys)


def test_a_full_disk_is_said_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(folder.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for argv in (["sign", IMAGE], ["index", "add", MANIFEST]):
            assert main(argv) == Exit.NO_SPACE
            assert "No space left" in said(capsys)
    assert {path.name for path in set(folder.iterdir()) - before} <= {".index.json.lock"}
    assert main(["index", "add", MANIFEST]) == Exit.OK


def test_nothing_is_signed_when_one_of_the_files_is_not_there(folder: Path) -> None:
    assert main(["sign", IMAGE, "absent"]) == Exit.MISSING
    assert not signatures.signature_of(folder / IMAGE).exists()


def test_no_key_no_signature(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("TRAINSHED_SIGNING_KEY_FILE")
    assert main(["sign", IMAGE]) == Exit.MISSING
    assert "shed sign --help" in said(capsys)


def test_the_help_teaches_how_a_key_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sign", "--help"])
    assert "minisign -G -p trainshed.pub -s trainshed.key" in said(capsys)


def test_the_newest_image_is_signed_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder / "build" / "images"
    images.mkdir(parents=True)
    bake(images, "0.1.0")
    (images / "latest.json").write_text((images / MANIFEST).read_text())
    monkeypatch.setattr(context, "checkout", lambda: folder)
    assert main(["sign"]) == Exit.OK
    assert {p.name for p in images.glob("*.minisig")} == {f"{IMAGE}.minisig", f"{MANIFEST}.minisig"}
    (images / IMAGE).unlink()
    with pytest.raises(ShedError, match="no whole image"):
        sign.newest()
