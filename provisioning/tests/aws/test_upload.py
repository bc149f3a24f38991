"""A disk becomes a snapshot: byte for byte, again after any cut, only its changes, and with no more memory for a larger one."""

import base64
import hashlib
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import blocklog, ebs
from trainshed_provision.publish.aws.blocklog import BlockLog
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.ebs import Upload
from trainshed_provision.publish.aws.spec import BLOCK
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import HOME, ZEROS, noise, published, read_back, write_disk


def snapshots(aws: Aws) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.ec2(HOME).describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return found


def snapshot_of(aws: Aws, image: str, region: str = HOME) -> str:
    mappings = aws.ec2(region).describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"]
    return str(mappings[0]["Ebs"]["SnapshotId"])


def start(aws: Aws) -> str:
    return str(aws.client("ebs").start_snapshot(VolumeSize=1)["SnapshotId"])


def put(aws: Aws, disk: Path, log: BlockLog, snapshot: str, **limits: Any) -> tuple[Upload, list[int]]:
    """Upload as many blocks as the log has; return what was sent, in bytes."""
    upload = Upload(disk=disk, snapshot=snapshot, log=log)
    sent: list[int] = []
    ebs.put_blocks(aws, upload, region=HOME, advance=sent.append, skip=lambda count: None, **limits)
    return upload, sent


def test_what_is_read_back_is_the_disk_to_the_byte(aws: Aws, tmp_path: Path) -> None:
    """A few dozen MiB at odd places: runs, single blocks, parts of a block, the first and the last byte."""
    blocks = noise(*range(40), 63, 64, *range(100, 116), 1999)
    disk = write_disk(tmp_path / "images", blocks)
    for index, offset, data in (
        (0, 0, b"A"),
        (70, 5, b"BBB"),
        (89, BLOCK - 1, b"C"),
        (90, 0, b"C"),
        (2047, BLOCK - 1, b"Z"),
    ):
        with disk.open("r+b") as file:
            file.seek(index * BLOCK + offset)
            file.write(data)
        before = blocks.get(index, ZEROS)
        blocks[index] = before[:offset] + data + before[offset + len(data) :]
    done = published(aws, disk, regions=(HOME,))
    assert read_back(aws, snapshot_of(aws, done.images[HOME])) == blocks


def test_zeros_are_sent_too_also_after_the_end_of_the_disk(aws: Aws, tmp_path: Path) -> None:
    """An absent block reads as noise when the volume is encrypted."""
    disk = write_disk(tmp_path / "images", noise(1, 3), size=4 * BLOCK + 1000)
    with blocklog.opened(tmp_path / "log" / "x.blocks", 8) as log:
        upload, sent = put(aws, disk, log, start(aws))
        assert ebs.complete(aws, upload, region=HOME) == len(sent) == 8
    assert read_back(aws, upload.snapshot) == {**dict.fromkeys(range(8), ZEROS), **noise(1, 3)}


def test_zeros_are_left_out_only_when_that_is_asked_for(aws: Aws, disk: Path) -> None:
    assert published(aws, disk, regions=(HOME,), skip_zeros=True).sent == 4
    assert "SkippedZeros" in {tag["Key"] for tag in snapshots(aws)[0]["Tags"]}


def test_a_second_image_sends_what_has_changed(cloud: StandIn, aws: Aws, disk: Path) -> None:
    published(aws, disk)
    cloud.clear()
    changed = {**noise(0, 1, 7, 2046), **noise(7, 512, seed=2), 1: ZEROS}
    second = write_disk(disk.parent, changed, version="0.2.0")
    done = published(aws, second)
    assert done.sent == cloud.count("PutSnapshotBlock") == 3  # 7 is other, 512 is new, 1 is zeros now
    snapshot = snapshot_of(aws, done.images[HOME])
    assert read_back(aws, snapshot) == changed
    parent = {tag["Key"]: tag["Value"] for tag in snapshots(aws)[1]["Tags"]}["Parent"]
    listed = aws.client("ebs").list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=snapshot)
    assert [block["BlockIndex"] for block in listed["ChangedBlocks"]] == [1, 7, 512]


@pytest.mark.faults
def test_nothing_leans_on_a_list_of_blocks_that_was_touched(cloud: StandIn, aws: Aws, disk: Path) -> None:
    published(aws, disk, regions=(HOME,))
    log = next((disk.parent / "aws").glob("*.blocks"))
    with log.open("r+b") as file:
        file.seek(7 * 32)
        file.write(b"?")
    second = write_disk(disk.parent, noise(0, 1, 7, 2046, 9), version="0.2.0")
    assert published(aws, second, regions=(HOME,)).sent == 5
    assert "Parent" not in {tag["Key"] for tag in snapshots(aws)[1]["Tags"]}


@pytest.mark.faults
def test_what_aws_has_and_what_was_noted_are_not_the_same(cloud: StandIn, aws: Aws, disk: Path) -> None:
    cloud.fail("PutSnapshotBlock", "AccessDeniedException", after=2)
    with pytest.raises(ShedError):
        published(aws, disk, regions=(HOME,))
    cloud.clear()
    log = next((disk.parent / "aws").glob("*.blocks"))
    with log.open("r+b") as file:
        file.seek(2046 * 32)
        file.write(b"?" * 32)  # noted, and never sent
    with pytest.raises(ShedError, match="other blocks than") as told:
        published(aws, disk, regions=(HOME,))
    assert told.value.code == Exit.CORRUPT
    assert snapshots(aws) == []
    assert published(aws, disk, regions=(HOME,)).sent == 4
    assert [snapshot["State"] for snapshot in snapshots(aws)] == ["completed"]


@pytest.mark.faults
def test_a_snapshot_begun_from_a_list_that_was_touched_is_made_anew(cloud: StandIn, aws: Aws, disk: Path) -> None:
    published(aws, disk, regions=(HOME,))
    second = write_disk(disk.parent, noise(0, 1, 7, 2046, 9), version="0.2.0")
    cloud.fail("CompleteSnapshot", "ServiceQuotaExceededException", times=1)
    with pytest.raises(ShedError, match="quota"):
        published(aws, second, regions=(HOME,))
    for log in (disk.parent / "aws").glob("trainshed-0.1.0-*.blocks"):
        log.write_bytes(b"?" * log.stat().st_size)
    assert published(aws, second, regions=(HOME,)).sent == 5
    found = snapshots(aws)
    assert [snapshot["State"] for snapshot in found] == ["completed", "completed"]
    assert read_back(aws, found[1]["SnapshotId"]) == noise(0, 1, 7, 2046, 9)


@pytest.mark.faults
@pytest.mark.parametrize("code", ["RequestThrottledException", "ThrottlingException", "InternalServerException", ""])
def test_it_outlasts_throttling_faults_and_cut_lines(cloud: StandIn, aws: Aws, disk: Path, code: str) -> None:
    cloud.fail("PutSnapshotBlock", code, times=6)
    done = published(aws, disk, regions=(HOME,))
    assert done.sent == 4
    assert cloud.count("PutSnapshotBlock") == 10


@pytest.mark.faults
def test_its_patience_ends_and_what_is_there_stays(cloud: StandIn, aws: Aws, disk: Path) -> None:
    times = iter([0.0, *range(0, 10000, 100)])
    cloud.fail("PutSnapshotBlock", "RequestThrottledException")
    with blocklog.opened(disk.parent / "x.blocks", 8) as log, pytest.raises(ShedError, match="slows PutSnapshotBlock"):
        put(aws, disk, log, start(aws), patience=250.0, clock=lambda: next(times))
    assert cloud.count("PutSnapshotBlock") < 20


@pytest.mark.faults
def test_a_cut_upload_sends_only_what_is_missing(cloud: StandIn, aws: Aws, disk: Path) -> None:
    cloud.fail("PutSnapshotBlock", "AccessDeniedException", after=2)
    with pytest.raises(ShedError, match="right to call PutSnapshotBlock in eu-central-1"):
        published(aws, disk, regions=(HOME,))
    cloud.clear()
    assert published(aws, disk, regions=(HOME,)).sent == 4
    assert cloud.count("StartSnapshot") == 0
    assert cloud.count("PutSnapshotBlock") == 2
    assert len(snapshots(aws)) == 1


@pytest.mark.faults
def test_without_its_log_a_half_made_snapshot_is_filled_again(cloud: StandIn, aws: Aws, disk: Path) -> None:
    """Another machine goes on: EBS direct does not tell what a pending snapshot has, and takes a block twice."""
    cloud.fail("CompleteSnapshot", "ServiceQuotaExceededException", times=1)
    with pytest.raises(ShedError, match="quota"):
        published(aws, disk, regions=(HOME,))
    for path in (disk.parent / "aws").iterdir():
        path.unlink()
    cloud.clear()
    published(aws, disk, regions=(HOME,))
    assert (cloud.count("StartSnapshot"), cloud.count("PutSnapshotBlock")) == (0, 4)
    assert read_back(aws, snapshots(aws)[0]["SnapshotId"]) == noise(0, 1, 7, 2046)


@pytest.mark.faults
def test_a_snapshot_that_aws_gave_up_is_removed_and_made_anew(cloud: StandIn, aws: Aws, disk: Path) -> None:
    cloud.fail("CompleteSnapshot", "InternalServerException", times=1)
    with pytest.raises(ShedError):
        published(aws, disk, regions=(HOME,))
    given_up = snapshots(aws)[0]["SnapshotId"]
    cloud.ec2(HOME).snapshots[given_up].status = "error"
    cloud.clear()
    published(aws, disk, regions=(HOME,))
    assert cloud.count("PutSnapshotBlock") == 4
    assert [s["State"] for s in snapshots(aws)] == ["completed"]
    assert snapshots(aws)[0]["SnapshotId"] != given_up


@pytest.mark.faults
def test_a_full_disk_is_told_before_anything_is_begun(cloud: StandIn, aws: Aws, disk: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ShedError, match="no room to note what is uploaded") as told:
            published(aws, disk, regions=(HOME,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.code == Exit.NO_SPACE
    assert cloud.count("StartSnapshot") == 0
    assert published(aws, disk, regions=(HOME,)).sent == 4


def test_one_upload_of_an_image_at_a_time(aws: Aws, disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.blocks"
    with blocklog.opened(path, 8), pytest.raises(ShedError, match="another shed"), blocklog.opened(path, 8):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda ask: {**ask, "Checksum": "AAAA"}, "checksum", id="checksum"),
        pytest.param(lambda ask: {**ask, "BlockData": b"a"}, "bytes", id="length"),
        pytest.param(lambda ask: {**ask, "BlockIndex": 2048}, "not in the volume", id="index"),
    ],
)
def test_the_stand_in_refuses_as_aws_does(aws: Aws, change: Callable[[Any], Any], words: str) -> None:
    client, snapshot = aws.client("ebs"), start(aws)
    ask = {
        "SnapshotId": snapshot,
        "BlockIndex": 0,
        "BlockData": ZEROS,
        "DataLength": BLOCK,
        "Checksum": base64.b64encode(hashlib.sha256(ZEROS).digest()).decode(),
        "ChecksumAlgorithm": "SHA256",
    }
    client.put_snapshot_block(**ask)
    with pytest.raises(ClientError, match=words):
        client.put_snapshot_block(**change(ask))
    with pytest.raises(ClientError, match="1 blocks were written"):
        client.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=2)
    with pytest.raises(ClientError, match="aggregated"):
        client.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=1, Checksum="AAAA")
    with pytest.raises(ClientError, match="completed state"):
        client.list_snapshot_blocks(SnapshotId=snapshot)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """16 TiB are a gibibyte of digests: they stay in the file."""
    with blocklog.opened(tmp_path / "x.blocks", 1 << 18) as log:
        log[77] = b"d" * 32
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(entry != blocklog.EMPTY for entry in log.entries()) == 1
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096
    assert (tmp_path / "x.blocks").stat().st_size == 32 << 18
