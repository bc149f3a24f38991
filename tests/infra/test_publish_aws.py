"""The baked disk goes to the stand-in for AWS by the command that people run, is read back, and goes again as its difference."""

import json
from pathlib import Path

import pytest
from tests.infra.appliance import ROOT

from trainshed_provision import cli, process
from trainshed_provision.publish import source
from trainshed_provision.publish.aws import copies
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.spec import BLOCK
from trainshed_provision.testing.aws import apart, environment
from trainshed_provision.testing.aws.disks import HOME, OTHER, ZEROS, published, write_manifest

pytestmark = pytest.mark.image

SAMPLE = 100  # every so many of the blocks without data is read back: a request each
CHANGED = (0, 1000, 2047)  # blocks of the second disk


def test_the_baked_disk(
    baked: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = source.find(None, ending="raw", baked=ROOT / "build" / "images")
    disk = tmp_path / found.path.name  # what is noted beside it is of this test
    disk.symlink_to(found.path)
    disk.with_suffix(".manifest.json").write_text((ROOT / "build" / "images" / "latest.json").read_text())
    blocks = -(-found.size // (1 << 30)) * 2048
    publish = ["publish", "aws", "--image", str(disk), "--to", OTHER, "--workers", "8", "--json"]
    monkeypatch.setattr(copies, "POLL_SECONDS", 0.01)
    with apart() as url:
        for name, value in environment(url, home=tmp_path).items():
            monkeypatch.setenv(name, value)
        assert cli.main(publish) == 0
        first = json.loads(capsys.readouterr().out)
        assert first["blocks_sent"] == blocks
        aws = Aws(workers=8)
        assert_same(aws, first["images"][HOME], disk, blocks=blocks)
        assert cli.main(["validate", "aws", found.version, "--in", HOME, "--in", OTHER]) == 0
        capsys.readouterr()
        assert cli.main(publish) == 0
        assert json.loads(capsys.readouterr().out)["steps"] == []
        assert published(aws, changed(disk), regions=(HOME,), skip_zeros=False).sent == len(CHANGED)


def assert_same(aws: Aws, image: str, disk: Path, *, blocks: int) -> None:
    """Every block of the volume is there; those with data, and a sample of the others, are what the disk has."""
    mappings = aws.ec2(HOME).describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    snapshot, client = mappings[0]["Ebs"]["SnapshotId"], aws.client("ebs", HOME)
    with disk.open("rb") as file:
        for index, token in enumerate(tokens(aws, snapshot, blocks)):
            data = file.read(BLOCK).ljust(BLOCK, b"\0")
            if data != ZEROS or index % SAMPLE == 0:
                answer = client.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=token)
                assert answer["BlockData"].read() == data, index


def tokens(aws: Aws, snapshot: str, blocks: int) -> list[str]:
    page = aws.client("ebs", HOME).list_snapshot_blocks(SnapshotId=snapshot, MaxResults=10000)
    assert [block["BlockIndex"] for block in page["Blocks"]] == list(range(blocks))
    return [block["BlockToken"] for block in page["Blocks"]]


def changed(disk: Path) -> Path:
    """A copy of the disk with a byte of three blocks turned."""
    second = disk.with_name("trainshed-9.9.9-amd64.raw")
    process.run(["cp", "--sparse=always", "--dereference", disk, second])
    with second.open("r+b") as file:
        for index in CHANGED:
            file.seek(index * BLOCK + 99)
            byte = file.read(1)[0]
            file.seek(index * BLOCK + 99)
            file.write(bytes([byte ^ 255]))
    write_manifest(second, version="9.9.9", sha256="9" * 64)
    return second
