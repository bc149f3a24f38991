"""What is published and revoked is in the signed index too, and the index has the last word on what may be published."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trainshed_provision import cli
from trainshed_provision.errors import Exit
from trainshed_provision.papers import index
from trainshed_provision.papers.signatures import SecretKey
from trainshed_provision.publish.aws import copies
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import HOME, published

# Made with `minisign -GW` for these tests.
KEY_FILE = """\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAogHXMRottV00BwAcPONi1ed7lz1tdE77sgz9nw5aMcpJjoVcb7fGXCbhPALPHzCoEfVDy4wmhw2aFTuPUADqEZSUQXcMniJUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
"""
KEY = SecretKey.parse(KEY_FILE)


@pytest.fixture
def words(tmp_path: Path) -> str:
    """Options that name an index of nothing, and its key."""
    (tmp_path / "trainshed.key").write_text(KEY_FILE)
    (tmp_path / "trainshed.key").chmod(0o600)
    index.edit(tmp_path / "index.json", lambda old: old, key=KEY, renew=True)
    return f"--index {tmp_path / 'index.json'} --key {tmp_path / 'trainshed.key'}"


def release(disk: Path, tmp_path: Path) -> index.Release:
    return index.read(tmp_path / "index.json", keys=(KEY.public,)).releases["0.1.0"]


def add(disk: Path, tmp_path: Path) -> None:
    manifest = json.loads(disk.with_suffix(".manifest.json").read_text())
    now = datetime.now(UTC)
    index.edit(tmp_path / "index.json", lambda old: index.add_release(old, manifest, now=now), key=KEY)


def test_published_revoked_and_refused(
    cloud: StandIn,
    aws: Aws,
    disk: Path,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copies, "POLL_SECONDS", 0.001)
    publish = f"publish aws --image {disk} --skip-zeros {words}".split()
    assert cli.main(publish) == Exit.NOT_FOUND  # before anything is paid for
    assert cloud.count("StartSnapshot") == 0
    add(disk, tmp_path)
    made = published(aws, disk, regions=(HOME,))
    assert cli.main(publish) == Exit.OK
    assert release(disk, tmp_path).builds["amd64"].aws == made.images
    revoke = ["revoke", "aws", "0.1.0", "--in", HOME, "--deregister", "--reason", "CVE in openssl", *words.split()]
    assert cli.main([*revoke, "--dry-run"]) == Exit.OK
    assert release(disk, tmp_path).revoked is None
    assert cli.main(revoke) == Exit.OK
    revoked = release(disk, tmp_path).revoked
    assert revoked is not None
    assert revoked.reason == "CVE in openssl"
    capsys.readouterr()
    assert cli.main(publish) == Exit.REFUSED
    assert "CVE in openssl" in capsys.readouterr().err
    path = tmp_path / "index.json"
    path.write_text(path.read_text().replace("CVE", "cve"))
    assert cli.main(publish) in (Exit.REFUSED, Exit.CORRUPT)
    assert "index.json" in capsys.readouterr().err
