"""The index: what is added, resolved and revoked, and every way in which it must not be believed."""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import files, index, signatures
from trainshed_provision.papers.index import Index
from trainshed_provision.papers.signatures import SecretKey

KEY = SecretKey(b"12345678", bytes(range(32)))
OTHER = SecretKey(b"87654321", bytes(32))
KEYS = (KEY.public,)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "reference" / "index.schema.json"


def manifest(version: str = "0.1.0", *formats: str) -> dict[str, Any]:
    made = {
        f: {"file": f"trainshed-{version}-amd64.{f}", "sha256": f"{i:064x}", "bytes": i}
        for i, f in enumerate(formats or ("qcow2", "oci"))
    }
    return {"version": version, "architecture": "amd64", "commit": "c0ffee1", "tree_digest": "a" * 64, "files": made}


def published(*versions: str) -> Index:
    made = index.empty()
    for version in versions or ("0.1.0",):
        made = index.add_release(made, manifest(version), now=NOW, url="https://images.example/")
    return made


def written(folder: Path, change: Callable[[Index], Index] = lambda _: published(), now: datetime = NOW) -> Path:
    path = folder / "index.json"
    index.edit(path, change, key=KEY, now=now)
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(call: Callable[[], object], code: Exit, match: str) -> ShedError:
    with pytest.raises(ShedError, match=match) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


# --- what is in it ---


def test_a_release_has_the_files_of_its_manifest_and_where_they_are() -> None:
    file = published().releases["0.1.0"].builds["amd64"].files["oci"]
    assert (file.name, file.bytes) == ("trainshed-0.1.0-amd64.oci", 1)
    assert file.url == "https://images.example/trainshed-0.1.0-amd64.oci"


def test_the_same_again_changes_nothing() -> None:
    once = index.add_cloud_images(published(), "0.1.0", aws={"eu-central-1": "ami-12345678"})
    twice = index.add_release(once, manifest(), now=NOW + timedelta(1), url="https://images.example")
    assert index.add_cloud_images(twice, "0.1.0", aws={"eu-central-1": "ami-12345678"}) == once
    gone = index.revoke(once, "0.1.0", reason="it leaks", now=NOW)
    assert index.revoke(gone, "0.1.0", reason="it leaks", now=NOW + timedelta(1)) == gone


def test_formats_regions_and_clouds_are_added_to_what_is_there() -> None:
    made = index.add_release(index.empty(), manifest("0.1.0", "qcow2"), now=NOW)
    made = index.add_cloud_images(made, "0.1.0", aws={"eu-central-1": "ami-12345678"})
    made = index.add_cloud_images(made, "0.1.0", aws={"us-east-1": "ami-0123456789abcdef0"})
    made = index.add_cloud_images(
        made, "0.1.0", gcp={"project": "p", "image": "trainshed-0-1-0", "family": "trainshed"}
    )
    build = index.add_release(made, manifest("0.1.0", "qcow2", "ova"), now=NOW).releases["0.1.0"].builds["amd64"]
    assert (set(build.files), set(build.aws)) == ({"qcow2", "ova"}, {"eu-central-1", "us-east-1"})
    assert build.gcp and build.gcp.image == "trainshed-0-1-0"


@pytest.mark.parametrize("field", ["tree_digest", "commit"])
def test_a_published_version_never_becomes_another_image(field: str) -> None:
    other = {**manifest(), field: "b" * 64}
    refused(lambda: index.add_release(published(), other, now=NOW), Exit.CONFLICT, "published already")


def test_a_published_file_never_changes() -> None:
    other = manifest()
    other["files"]["oci"]["sha256"] = "c" * 64
    refused(lambda: index.add_release(published(), other, now=NOW), Exit.CONFLICT, "published already")


@pytest.mark.parametrize("field", ["version", "architecture", "commit", "tree_digest", "files"])
def test_a_manifest_that_is_not_whole_is_said(field: str) -> None:
    part = {k: v for k, v in manifest().items() if k != field}
    refused(lambda: index.add_release(index.empty(), part, now=NOW), Exit.CORRUPT, field)


@pytest.mark.parametrize(
    "change",
    [
        lambda i: index.add_cloud_images(i, "0.1.0", aws={"eu-central-1": "image-1"}),
        lambda i: index.add_cloud_images(i, "0.1.0", aws={"Frankfurt": "ami-12345678"}),
        lambda i: index.add_cloud_images(i, "0.1.0", gcp={"project": "p", "image": "Not/Allowed"}),
        lambda i: index.add_release(i, {**manifest("0.2.0"), "tree_digest": "short"}, now=NOW),
        lambda i: index.revoke(i, "0.1.0", reason="", now=NOW),
    ],
    ids=["ami", "region", "gcp", "digest", "reason"],
)
def test_a_value_of_a_wrong_form_never_gets_in(change: Callable[[Index], Index]) -> None:
    refused(lambda: change(published()), Exit.CORRUPT, r"at `.*\$")


# --- resolve ---


def test_latest_is_the_highest_final_version_that_has_the_target() -> None:
    made = published("0.9.0", "0.10.0", "0.11.0", "1.0.0rc1")
    made = index.add_cloud_images(made, "0.9.0", aws={"eu-central-1": "ami-00000009"})
    made = index.add_cloud_images(made, "0.10.0", aws={"us-east-1": "ami-00000010"})
    assert index.resolve(made, "latest", "qcow2").version == "0.11.0"
    assert index.resolve(made, "latest", "aws", region="us-east-1").id == "ami-00000010"
    assert index.resolve(made, "latest", "aws", region="eu-central-1").version == "0.9.0"
    assert index.resolve(made, "1.0.0rc1", "qcow2").version == "1.0.0rc1"
    refused(lambda: index.resolve(made, "latest", "gcp"), Exit.NOT_FOUND, "no release for gcp")


def test_an_image_of_gcp_is_named_as_compute_names_it() -> None:
    made = index.add_cloud_images(published(), "0.1.0", gcp={"project": "p", "image": "trainshed-0-1-0"})
    assert index.resolve(made, "0.1.0", "gcp").id == "projects/p/global/images/trainshed-0-1-0"


def test_what_is_not_there_is_said_with_what_is() -> None:
    made = index.add_cloud_images(published(), "0.1.0", aws={"eu-central-1": "ami-12345678"})
    cases: list[tuple[Callable[[], object], Exit, str]] = [
        (lambda: index.resolve(made, "0.2.0", "qcow2"), Exit.NOT_FOUND, "0.1.0"),
        (lambda: index.resolve(made, "0.1.0", "vhd"), Exit.NOT_FOUND, "oci, qcow2"),
        (lambda: index.resolve(made, "0.1.0", "aws", region="us-east-1"), Exit.NOT_FOUND, "eu-central-1"),
        (lambda: index.resolve(made, "0.1.0", "aws"), Exit.USAGE, "--region"),
        (lambda: index.resolve(made, "0.1.0", "qcow2", architecture="arm64"), Exit.NOT_FOUND, "amd64"),
    ]
    for call, code, there in cases:
        assert there in refused(call, code, "the index has no|has no|not there for|one region").hint


def test_a_revoked_release_is_refused_with_its_reason_and_what_to_take() -> None:
    made = index.revoke(published("0.1.0", "0.1.1"), "0.1.0", reason="it leaks", now=NOW, replacement="0.1.1")
    error = refused(lambda: index.resolve(made, "0.1.0", "qcow2"), Exit.REFUSED, "revoked on 2026-11-21: it leaks")
    assert error.hint == "use 0.1.1 instead"


def test_latest_goes_back_when_the_newest_is_revoked() -> None:
    made = index.revoke(published("0.1.0", "0.1.1"), "0.1.1", reason="it leaks", now=NOW)
    assert index.resolve(made, "latest", "qcow2").version == "0.1.0"


def test_what_is_revoked_or_unknown_replaces_nothing() -> None:
    made = index.revoke(published("0.1.0", "0.1.1"), "0.1.1", reason="it leaks", now=NOW)
    for replacement in ("0.1.1", "0.1.0"):
        revoke = lambda to=replacement: index.revoke(made, "0.1.0", reason="too", now=NOW, replacement=to)  # noqa: E731
        refused(revoke, Exit.CONFLICT, "cannot replace")
    refused(lambda: index.revoke(made, "0.1.0", reason="x", now=NOW, replacement="9"), Exit.NOT_FOUND, "no release 9")


def test_a_file_is_found_by_its_content() -> None:
    found = index.by_digest(published(), f"{1:064x}")
    assert found and (found[0], found[1].name) == ("0.1.0", "trainshed-0.1.0-amd64.oci")
    assert index.by_digest(published(), "f" * 64) is None


# --- the file ---


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    read = index.read(written(tmp_path), keys=KEYS, now=NOW)
    assert read.releases == published().releases
    assert (read.sequence, read.issued, read.expires) == (1, NOW, NOW + index.VALID)


def test_an_edit_that_changes_nothing_writes_nothing(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = path.read_bytes()
    index.edit(path, lambda now: now, key=KEY, now=NOW + timedelta(1))
    assert path.read_bytes() == before
    assert index.edit(path, lambda now: now, key=KEY, now=NOW + timedelta(1), renew=True).sequence == 2
    assert names(tmp_path) == {"index.json", "index.json.minisig", ".index.json.lock"}


def test_it_fits_its_published_schema(tmp_path: Path) -> None:
    def change(now: Index) -> Index:
        made = index.add_cloud_images(published("0.1.0", "0.2.0"), "0.1.0", aws={"eu-central-1": "ami-12345678"})
        made = index.add_cloud_images(made, "0.1.0", gcp={"project": "p", "image": "i"})
        return index.revoke(made, "0.1.0", reason="it leaks", now=NOW, replacement="0.2.0")

    schema = json.loads(SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    content = json.loads(written(tmp_path, change).read_text())
    validator.validate(content)
    content["releases"]["0.1.0"]["builds"]["amd64"]["aws"]["eu-central-1"] = "image-1"
    assert not validator.is_valid(content)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff\xfe", b"null"], ids=repr)
def test_a_signed_file_that_is_no_index_is_refused(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(damage)
    signatures.sign(path, KEY)
    refused(lambda: index.read(path, keys=KEYS, now=NOW), Exit.CORRUPT, "index.json")


@pytest.mark.parametrize("keep", [0, 1, 100, -2, -1])
def test_an_index_that_was_cut_off_is_refused(tmp_path: Path, keep: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    refused(lambda: index.read(path, keys=KEYS, now=NOW), Exit.REFUSED, "is not what")


def test_an_index_that_somebody_else_signed_is_refused(tmp_path: Path) -> None:
    refused(lambda: index.read(written(tmp_path), keys=(OTHER.public,), now=NOW), Exit.REFUSED, "is signed by the key")


def test_an_index_without_signature_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path)
    signatures.signature_of(path).unlink()
    refused(lambda: index.read(path, keys=KEYS, now=NOW), Exit.MISSING, "minisig")


def test_a_newer_schema_asks_for_a_newer_shed(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    signatures.sign(path, KEY)
    error = refused(lambda: index.read(path, keys=KEYS, now=NOW), Exit.CORRUPT, "schema 2")
    assert error.hint == "install a newer shed"


def test_what_this_schema_may_still_get_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 1, "new": []'))
    signatures.sign(path, KEY)
    assert index.read(path, keys=KEYS, now=NOW).releases


def test_an_expired_index_is_refused_until_it_is_renewed(tmp_path: Path) -> None:
    path, later = written(tmp_path), NOW + index.VALID
    index.read(path, keys=KEYS, now=later - timedelta(seconds=1))
    refused(lambda: index.read(path, keys=KEYS, now=later), Exit.REFUSED, "expired on 2027-02-19")
    index.edit(path, lambda now: now, key=KEY, now=later, renew=True)
    assert index.read(path, keys=KEYS, now=later).releases


def test_an_index_of_the_future_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, now=NOW + timedelta(days=1))
    refused(lambda: index.read(path, keys=KEYS, now=NOW), Exit.REFUSED, "is to come")


def test_an_old_index_played_again_is_refused(tmp_path: Path) -> None:
    path, seen = written(tmp_path), tmp_path / "state" / "seen.json"
    old = path.read_bytes(), signatures.signature_of(path).read_bytes()
    index.read(path, keys=KEYS, now=NOW, seen=seen)
    index.edit(path, lambda now: index.revoke(now, "0.1.0", reason="it leaks", now=NOW), key=KEY, now=NOW)
    index.read(path, keys=KEYS, now=NOW, seen=seen)
    index.read(path, keys=KEYS, now=NOW, seen=seen)
    path.write_bytes(old[0])
    signatures.signature_of(path).write_bytes(old[1])
    index.read(path, keys=KEYS, now=NOW)
    refused(lambda: index.read(path, keys=KEYS, now=NOW, seen=seen), Exit.REFUSED, "sequence 1, and 2 was seen")


def test_two_indexes_of_one_number_are_refused(tmp_path: Path) -> None:
    one, two, seen = tmp_path / "one", tmp_path / "two", tmp_path / "seen.json"
    index.read(written(one), keys=KEYS, now=NOW, seen=seen)
    other = written(two, lambda _: published("0.2.0"))
    refused(lambda: index.read(other, keys=KEYS, now=NOW, seen=seen), Exit.REFUSED, "another index than the one seen")


def test_a_damaged_memory_is_said(tmp_path: Path) -> None:
    (tmp_path / "seen.json").write_text("{")
    read = lambda: index.read(written(tmp_path), keys=KEYS, now=NOW, seen=tmp_path / "seen.json")  # noqa: E731
    refused(read, Exit.CORRUPT, r"seen\.json is damaged")


def test_an_index_that_another_key_signed_is_not_edited(tmp_path: Path) -> None:
    path = written(tmp_path)
    refused(
        lambda: index.edit(path, lambda _: published("0.2.0"), key=OTHER, now=NOW), Exit.REFUSED, "signed by the key"
    )
    assert index.read(path, keys=KEYS, now=NOW).releases == published().releases


def test_a_new_key_takes_over_an_index_of_the_old_one_when_told_to(tmp_path: Path) -> None:
    path = written(tmp_path)
    index.edit(path, lambda now: now, key=OTHER, trusted=KEYS, now=NOW, renew=True)
    assert index.read(path, keys=(OTHER.public,), now=NOW).sequence == 2


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_an_edit_killed_at_any_rename_leaves_one_that_the_next_goes_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    path, left = written(tmp_path), [renames]
    rename = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            index.edit(path, lambda now: index.revoke(now, "0.1.0", reason="it leaks", now=NOW), key=KEY, now=NOW)
    index.edit(path, lambda now: index.add_release(now, manifest("0.2.0"), now=NOW), key=KEY, now=NOW)
    now = index.read(path, keys=KEYS, now=NOW)
    assert set(now.releases) == {"0.1.0", "0.2.0"}
    assert bool(now.releases["0.1.0"].revoked) == (renames == 2)
    assert names(tmp_path) == {"index.json", "index.json.minisig", ".index.json.lock"}


def test_a_second_edit_waits_and_gives_up_with_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "LOCK_SECONDS", 0)
    with (tmp_path / ".index.json.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(lambda: written(tmp_path), Exit.CONFLICT, "being changed")


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write(tmp_path / "file", "old")

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused(lambda: files.write(path, "new"), Exit.NO_SPACE, "No space")
    assert (path.read_text(), names(tmp_path)) == ("old", {"file"})
