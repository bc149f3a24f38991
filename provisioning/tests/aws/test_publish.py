"""A publication as a whole: what is made has every attribute, again does nothing, and every trouble is one clear line."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision import cli
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import copies
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import (
    HOME,
    OTHER,
    THIRD,
    noise,
    published,
    spec_of,
    write_disk,
    write_manifest,
)

ACCOUNT = "111122223333"
UNIT = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-ab12-cd34ef56"
PUBLISH = "publish aws --skip-zeros --workers 4"


def image_of(aws: Aws, image: str, region: str) -> dict[str, Any]:
    return dict(aws.ec2(region).describe_images(ImageIds=[image])["Images"][0])


def shed(line: str) -> int:
    try:
        return cli.main(line.split())
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def checked(tmp_path: Path) -> Path:
    """A small disk whose manifest has its true sha256, for those who check it."""
    disk = write_disk(tmp_path / "images", noise(0, 1, 7, 30), size=16 << 20)
    with disk.open("rb") as file:
        write_manifest(disk, version="0.1.0", sha256=hashlib.file_digest(file, "sha256").hexdigest())
    return disk


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command makes its own clients, which really wait."""
    monkeypatch.setattr(copies, "POLL_SECONDS", 0.001)


def test_an_image_has_all_it_needs_in_every_region(aws: Aws, disk: Path) -> None:
    spec = spec_of(disk, accounts=frozenset({ACCOUNT}), arns=frozenset({UNIT}), sbom="https://x.example/sbom.json")
    done = published(aws, disk, accounts=spec.accounts, arns=spec.arns, sbom=spec.sbom)
    assert list(done.images) == [HOME, OTHER, THIRD]
    for region, found in done.images.items():
        image = image_of(aws, found, region)
        root = image["BlockDeviceMappings"][0]["Ebs"]
        wanted = {
            "Name": spec.name,
            "State": "available",
            "Architecture": "x86_64",
            "BootMode": "uefi-preferred",
            "EnaSupport": True,
            "SriovNetSupport": "simple",
            "ImdsSupport": "v2.0",
            "VirtualizationType": "hvm",
            "RootDeviceName": "/dev/xvda",
        }
        assert {name: image.get(name) for name in wanted} == wanted
        assert "TpmSupport" not in image
        assert (root["VolumeType"], root["VolumeSize"], root["DeleteOnTermination"]) == ("gp3", 1, True)
        assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == spec.tags
        snapshot = aws.ec2(region).describe_snapshots(SnapshotIds=[root["SnapshotId"]])["Snapshots"][0]
        assert {tag["Key"]: tag["Value"] for tag in snapshot["Tags"]}.items() >= spec.tags.items()
        left = datetime.fromisoformat(image["DeprecationTime"]) - datetime.now(UTC)
        assert timedelta(days=89) < left <= timedelta(days=90)
        shares = aws.ec2(region).describe_image_attribute(ImageId=found, Attribute="launchPermission")
        assert {value for one in shares["LaunchPermissions"] for value in one.values()} == {ACCOUNT, UNIT}
        assert aws.client("ssm", region).get_parameter(Name=spec.parameter())["Parameter"]["Value"] == found
        with pytest.raises(aws.client("ssm", region).exceptions.ParameterNotFound):
            aws.client("ssm", region).get_parameter(Name=spec.parameter("latest"))


@pytest.mark.faults
def test_a_tpm_comes_with_uefi(aws: Aws, disk: Path) -> None:
    done = published(aws, disk, regions=(HOME,), boot_mode="uefi", tpm=True)
    image = image_of(aws, done.images[HOME], HOME)
    assert (image["BootMode"], image["TpmSupport"]) == ("uefi", "v2.0")


def test_again_nothing_is_called_that_changes_anything(cloud: StandIn, aws: Aws, disk: Path) -> None:
    first = published(aws, disk)
    cloud.clear()
    again = published(aws, disk)
    assert (again.images, again.steps, again.sent) == (first.images, (), 0)
    assert {call.operation.removeprefix("Describe").removeprefix("Get") for call in cloud.calls} == {
        "Regions", "Images", "Snapshots", "ImageAttribute", "Parameters",
    }  # fmt: skip


def test_a_dry_run_only_looks(cloud: StandIn, aws: Aws, disk: Path) -> None:
    planned = published(aws, disk, dry_run=True)
    assert [step.do for step in planned.steps if step.region == OTHER] == ["copy", "deprecate", "name"]
    assert all(call.operation.startswith(("Describe", "Get")) for call in cloud.calls)
    assert not (disk.parent / "aws").exists()


@pytest.mark.faults
def test_public_only_where_the_account_allows_it(aws: Aws, disk: Path) -> None:
    with pytest.raises(ShedError, match="blocks public images in eu-central-1") as told:
        published(aws, disk, regions=(HOME,), public=True)
    assert "disable-image-block-public-access --region eu-central-1" in told.value.hint
    aws.ec2(HOME).disable_image_block_public_access()
    done = published(aws, disk, regions=(HOME,), public=True)
    assert image_of(aws, done.images[HOME], HOME)["Public"]


def test_what_would_be_encrypted_is_not_shared(cloud: StandIn, aws: Aws, disk: Path) -> None:
    aws.ec2(OTHER).enable_ebs_encryption_by_default()
    with pytest.raises(ShedError, match="encrypts every snapshot in us-east-1"):
        published(aws, disk, accounts=frozenset({ACCOUNT}))
    assert cloud.count("StartSnapshot") == 0


@pytest.mark.faults
def test_regions_do_not_wait_for_each_other_nor_fail_each_other(
    cloud: StandIn, aws: Aws, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "QUOTA_SECONDS", 0.0)
    cloud.fail("CopyImage", "ResourceLimitExceeded", region=OTHER)
    done = published(aws, disk, best_effort=frozenset({OTHER}))
    assert "quota" in done.failed[OTHER]
    assert set(done.images) == {HOME, THIRD}
    with pytest.raises(ShedError, match=f"{OTHER}: a quota is used up") as told:
        published(aws, disk)
    assert "shed gc aws" in told.value.hint
    cloud.clear()
    assert set(published(aws, disk).images) == {HOME, OTHER, THIRD}
    assert cloud.count("CopyImage") == 1


@pytest.mark.faults
def test_a_full_copy_queue_is_waited_for(cloud: StandIn, aws: Aws, disk: Path) -> None:
    cloud.fail("CopyImage", "ResourceLimitExceeded", times=5)
    published(aws, disk, regions=(HOME, OTHER))
    assert cloud.count("CopyImage") == 6


@pytest.mark.faults
def test_a_copy_that_fails_is_removed_and_made_again(cloud: StandIn, aws: Aws, disk: Path) -> None:
    failed: list[str] = []

    def fail_first(call: object) -> None:
        if not failed:
            image = next(iter(cloud.ec2(OTHER).amis.values()))
            image.state = "failed"
            failed.append(image.id)

    cloud.after("CopyImage", fail_first)
    done = published(aws, disk, regions=(HOME, OTHER))
    images = aws.ec2(OTHER).describe_images(Owners=["self"])["Images"]
    assert [image["ImageId"] for image in images] == [done.images[OTHER]] != failed
    assert len(aws.ec2(OTHER).describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_a_version_is_published_once(aws: Aws, disk: Path) -> None:
    published(aws, disk, regions=(HOME,))
    other = write_disk(disk.parent, noise(5))
    with pytest.raises(ShedError, match="another image of version") as told:
        published(aws, other, regions=(HOME,))
    assert "raise the version" in told.value.hint


@pytest.mark.faults
def test_a_name_that_leads_to_nothing_is_free(aws: Aws, disk: Path) -> None:
    first = published(aws, disk, regions=(HOME,))
    aws.ec2(HOME).deregister_image(ImageId=first.images[HOME], DeleteAssociatedSnapshots=True)
    second = published(aws, write_disk(disk.parent, noise(5)), regions=(HOME,))
    assert second.images[HOME] != first.images[HOME]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("operation", "code", "exit_code", "words"),
    [
        pytest.param("DescribeRegions", "RequestExpired", Exit.MISSING, "have expired", id="expired at once"),
        pytest.param("PutSnapshotBlock", "ExpiredTokenException", Exit.MISSING, "have expired", id="expired midway"),
        pytest.param("RegisterImage", "UnauthorizedOperation", Exit.MISSING, "call RegisterImage in eu", id="right"),
        pytest.param("DescribeRegions", "AuthFailure", Exit.MISSING, "not accept the credentials", id="keys"),
        pytest.param("StartSnapshot", "ConcurrentLimitExceededException", Exit.CONFLICT, "quota", id="quota"),
        pytest.param("DescribeImages", "RequestLimitExceeded", Exit.FAILED, "slows DescribeImages", id="throttled"),
        pytest.param("PutParameter", "ParameterLimitExceeded", Exit.CONFLICT, "quota", id="parameters"),
        pytest.param("RegisterImage", "OptInRequired", Exit.USAGE, "not a region of this account", id="not enabled"),
        pytest.param("EnableImageDeprecation", "Odd", Exit.FAILED, "EnableImageDeprecation in eu", id="anything else"),
    ],
)
def test_trouble_is_one_line_and_the_next_run_goes_on(
    cloud: StandIn, aws: Aws, disk: Path, operation: str, code: str, exit_code: Exit, words: str
) -> None:
    cloud.fail(operation, code)
    with pytest.raises(ShedError, match=words) as told:
        published(aws, disk, regions=(HOME,))
    assert told.value.code == exit_code
    assert told.value.hint
    assert "\n" not in told.value.message
    cloud.clear()
    published(aws, disk, regions=(HOME,))
    assert len(aws.ec2(HOME).describe_images(Owners=["self"])["Images"]) == 1
    assert len(aws.ec2(HOME).describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_no_network(monkeypatch: pytest.MonkeyPatch, aws: Aws, disk: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ShedError, match="cannot reach AWS in eu-central-1"):
        published(Aws(attempts=1, pause=lambda seconds: None), disk)


@pytest.mark.parametrize(
    ("regions", "hint"),
    [
        ((HOME, "eu-central-l"), "do you mean eu-central-"),
        ((HOME, "ap-east-1"), "enable it"),
        ((HOME, "moon"), "there are"),
    ],
)
def test_a_wrong_region(aws: Aws, disk: Path, regions: tuple[str, ...], hint: str) -> None:
    with pytest.raises(ShedError, match="not a region of this account") as told:
        published(aws, disk, regions=regions)
    assert told.value.code == Exit.USAGE
    assert hint in told.value.hint


def test_no_credentials_and_no_region(cloud: StandIn, monkeypatch: pytest.MonkeyPatch, disk: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ShedError, match="no credentials for AWS"):
        published(Aws(), disk)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ShedError, match="no region"):
        Aws()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ShedError, match="nobody"):
        Aws()


def test_the_command(cloud: StandIn, impatient: None, checked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shed(f"{PUBLISH} --image {checked} --to {OTHER} --json") == Exit.OK
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert set(said["images"]) == {HOME, OTHER}
    assert said["blocks_sent"] == 4
    assert said["cost"]["currency"] == "USD"
    assert "upload: done" in err
    assert "encrypted root volume read noise" in err
    assert shed(f"{PUBLISH} --image {checked} --to {OTHER} --dry-run") == Exit.OK
    assert "nothing to do" in capsys.readouterr().out


def test_an_image_for_arm64_starts_by_uefi_alone(
    cloud: StandIn, aws: Aws, impatient: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = write_disk(tmp_path / "images", noise(1), size=16 << 20, architecture="arm64")
    with disk.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    write_manifest(disk, version="0.1.0", sha256=digest, architecture="arm64")
    assert shed(f"{PUBLISH} --image {disk} --boot-mode uefi-preferred") == Exit.USAGE
    assert shed(f"{PUBLISH} --image {disk} --boot-mode uefi --tpm") == Exit.USAGE
    assert cloud.count("StartSnapshot") == 0
    capsys.readouterr()
    assert shed(f"{PUBLISH} --image {disk} --json") == Exit.OK
    image = image_of(aws, json.loads(capsys.readouterr().out)["images"][HOME], HOME)
    assert (image["Architecture"], image["BootMode"]) == ("arm64", "uefi")
    assert image["Name"] == f"trainshed-0.1.0-arm64-{digest[:12]}"
    assert shed("validate aws 0.1.0 --architecture arm64 --json") == Exit.OK
    rules = {row["rule"]: row["ok"] for row in json.loads(capsys.readouterr().out)}
    assert rules["W04"]
    assert rules["W05"]
    assert rules["W10"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        pytest.param(lambda disk: disk.unlink(), Exit.NOT_FOUND, "no image", id="no image"),
        pytest.param(
            lambda disk: disk.with_suffix(".manifest.json").unlink(),
            Exit.NOT_FOUND,
            "has no manifest",
            id="no manifest",
        ),
        pytest.param(
            lambda disk: disk.with_suffix(".manifest.json").write_text("{"), Exit.CORRUPT, "not the manifest", id="torn"
        ),
        pytest.param(
            lambda disk: disk.with_suffix(".manifest.json").write_text("{}"),
            Exit.CORRUPT,
            "not the manifest",
            id="empty",
        ),
        pytest.param(lambda disk: write_disk(disk.parent, {}, size=1 << 20), Exit.CORRUPT, "corrupt", id="other bytes"),
        pytest.param(lambda disk: disk.write_bytes(b"x"), Exit.CORRUPT, "1 bytes", id="cut short"),
    ],
)
def test_a_disk_that_is_not_what_was_baked(
    cloud: StandIn, disk: Path, capsys: pytest.CaptureFixture[str], change: Any, code: Exit, words: str
) -> None:
    change(disk)
    assert shed(f"{PUBLISH} --image {disk}") == code
    message, hint = capsys.readouterr().err.splitlines()[-2:]
    assert words in message
    assert hint.strip()
    assert cloud.count("StartSnapshot") == 0
