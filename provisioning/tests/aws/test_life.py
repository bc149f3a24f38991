"""What comes after a publication: validated, promoted, revoked, and removed when nobody needs it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision import cli
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import gc, promote, validate
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.gc import Policy, Room
from trainshed_provision.publish.aws.release import Seen
from trainshed_provision.publish.aws.spec import pairs
from trainshed_provision.publish.aws.validate import Expected
from trainshed_provision.testing.aws import StandIn
from trainshed_provision.testing.aws.disks import HOME, OTHER, THIRD, noise, published, write_disk

NOW = datetime(2026, 11, 21, tzinfo=UTC)
REGIONS = (HOME, OTHER)
IN = f"--in {HOME} --in {OTHER}"
LATEST = "/trainshed/amd64/latest/image_id"


def shed(line: str, *words: str) -> int:
    try:
        return cli.main([*line.split(), *words])
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture
def there(aws: Aws, disk: Path) -> dict[str, str]:
    """Version 0.1.0 in two regions."""
    return published(aws, disk, regions=REGIONS).images


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """What a machine of it said of itself."""
    path = tmp_path / "report.json"
    found = json.dumps({"version": "0.1.0", "commit": "c" * 40, "commit_time": 1})
    rules = [{"rule": "S01", "ok": True, "found": ""}, {"rule": "I11", "ok": True, "found": found}]
    path.write_text(json.dumps(rules))
    return path


def latest(aws: Aws, region: str = HOME) -> str:
    found = aws.client("ssm", region).get_parameters(Names=[LATEST])["Parameters"]
    return str(found[0]["Value"]) if found else ""


def second(aws: Aws, disk: Path) -> dict[str, str]:
    return published(aws, write_disk(disk.parent, noise(0, 1, 8), version="0.2.0"), regions=REGIONS).images


def test_what_was_published_holds_every_rule(there: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert shed(f"validate aws 0.1.0 {IN} --json") == Exit.OK
    results = json.loads(capsys.readouterr().out)
    assert len(results) == 20
    assert {result["rule"] for result in results} == {f"W{number:02}" for number in range(1, 11)}
    assert {result["where"] for result in results} == {"C"}


TAGS = {
    "Product": "trainshed",
    "Version": "0.1.0",
    "Architecture": "amd64",
    "Commit": "c" * 40,
    "Tree": "d" * 64,
    "Disk": "e" * 64,
    "ManagedBy": "trainshed",
}
ROOT = {"SnapshotId": "snap-1", "VolumeSize": 1, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False}
IMAGE = {
    "ImageId": "ami-1",
    "Name": "trainshed-0.1.0-amd64-eeeeeeeeeeee",
    "State": "available",
    "Architecture": "x86_64",
    "BootMode": "uefi-preferred",
    "EnaSupport": True,
    "SriovNetSupport": "simple",
    "ImdsSupport": "v2.0",
    "DeprecationTime": "2027-02-01T00:00:00.000Z",
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": ROOT}],
    "Tags": pairs(TAGS),
}
SEEN = Seen(
    region=HOME,
    image=IMAGE,
    twins=(),
    snapshot={"Encrypted": False},
    shared=frozenset({"111122223333"}),
    snapshot_shared=frozenset(),
    named="ami-1",
    latest="",
    before=(),
)


def with_image(**fields: Any) -> dict[str, Any]:
    return {"image": {**IMAGE, **fields}}


def with_root(**fields: Any) -> dict[str, Any]:
    return with_image(BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {**ROOT, **fields}}])


@pytest.mark.parametrize(
    ("rules", "fields"),
    [
        pytest.param(set(), {}, id="nothing"),
        pytest.param({"W01", "W10"}, with_image(Tags=pairs({**TAGS, "Disk": "f" * 64})), id="other content"),
        pytest.param({"W01"}, with_root(VolumeSize=2), id="other size"),
        pytest.param({"W02"}, with_root(Encrypted=True), id="encrypted"),
        pytest.param({"W02"}, {"snapshot": {"Encrypted": True}}, id="encrypted snapshot"),
        pytest.param({"W03"}, with_image(ImdsSupport=None), id="imds"),
        pytest.param({"W04"}, with_image(EnaSupport=False), id="ena"),
        pytest.param({"W04"}, with_image(BootMode="legacy-bios"), id="boot mode"),
        pytest.param({"W04"}, with_root(VolumeType="gp2"), id="volume type"),
        pytest.param({"W05"}, with_image(TpmSupport="v2.0"), id="tpm"),
        pytest.param(set(), with_image(TpmSupport="v2.0", BootMode="uefi"), id="tpm with uefi"),
        pytest.param({"W06"}, {"shared": frozenset({"111122223333", "9" * 12})}, id="a stray account"),
        pytest.param({"W06"}, {"shared": frozenset()}, id="not shared"),
        pytest.param({"W06"}, {"snapshot_shared": frozenset({"all"})}, id="public snapshot"),
        pytest.param({"W07"}, with_image(DeprecationTime=""), id="for ever"),
        pytest.param({"W08"}, with_image(Tags=pairs({**TAGS, "Commit": ""})), id="tags"),
        pytest.param({"W09"}, {"region": THIRD}, id="snapshot without an image"),
        pytest.param({"W10"}, with_image(Name="mine"), id="name"),
        pytest.param({"W10"}, {"named": "ami-2"}, id="parameter"),
        pytest.param({"W10"}, {"twins": ("ami-2",)}, id="twin"),
        pytest.param({"W10"}, with_image(State="disabled"), id="disabled"),
    ],
)
def test_a_broken_rule_is_found(rules: set[str], fields: dict[str, Any]) -> None:
    seen = {HOME: SEEN, OTHER: replace(SEEN, **{"region": OTHER, **fields})}
    expected = Expected(shared=frozenset({"111122223333"}), lonely={THIRD: ("snap-9",)})
    failed = [result for result in validate.results(seen, expected) if not result.ok]
    assert {result.rule for result in failed} == rules
    assert all(result.file != f"{HOME}/ami-1" and result.found != result.wanted for result in failed)


def test_a_snapshot_that_was_left_is_found(
    cloud: StandIn, there: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    backend = cloud.ec2(OTHER)
    left = backend.create_snapshot(backend.create_volume(size=1, zone_name=f"{OTHER}a").id, "left behind")
    left.add_tags({"ManagedBy": "trainshed"})
    assert shed(f"validate aws 0.1.0 {IN}") == Exit.UNHEALTHY
    out = capsys.readouterr().out
    assert f"FAIL  W09  no snapshot without an image: {OTHER}/{there[OTHER]}: found '{left.id}'" in out
    assert "19 of 20 hold" in out


def test_latest_follows_a_launch_test(
    aws: Aws, disk: Path, there: dict[str, str], report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shed(f"promote aws 0.1.0 {IN} --dry-run --tested {report}") == Exit.OK
    assert latest(aws) == ""
    assert shed(f"promote aws 0.1.0 {IN} --tested {report}") == Exit.OK
    assert {region: latest(aws, region) for region in REGIONS} == there
    new = second(aws, disk)
    assert shed(f"promote aws 0.2.0 {IN} --tested {report} --json") == Exit.OK
    assert {region: latest(aws, region) for region in REGIONS} == new
    old = aws.ec2(HOME).describe_images(ImageIds=[there[HOME]])["Images"][0]
    assert datetime.fromisoformat(old["DeprecationTime"]) < datetime.now(UTC) + timedelta(days=31)
    capsys.readouterr()
    assert shed(f"promote aws 0.2.0 {IN} --tested {report} --json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["steps"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('[{"rule": "S01", "ok": false, "found": ""}]', "does not hold S01", id="failed"),
        pytest.param("[]", "not what shed check --json prints", id="empty"),
        pytest.param("{", "not what shed check --json prints", id="torn"),
        pytest.param('[{"rule": "S01", "ok": true}]', "its commit is another", id="of nobody"),
        pytest.param(
            '[{"rule": "I11", "ok": true, "found": "{\\"commit\\": \\"1\\"}"}]',
            "its commit is another",
            id="of another",
        ),
    ],
)
def test_latest_stays_without_one(report: Path, text: str, words: str) -> None:
    report.write_text(text)
    with pytest.raises(ShedError, match=words) as told:
        promote.check({HOME: SEEN}, report)
    assert told.value.code == Exit.UNHEALTHY


def test_latest_stays_when_an_image_breaks_a_rule(report: Path) -> None:
    promote.check({HOME: SEEN}, report)
    with pytest.raises(ShedError, match="eu-central-1/ami-1 does not hold W03"):
        promote.check({HOME: replace(SEEN, image={**IMAGE, "ImdsSupport": None})}, report)
    with pytest.raises(ShedError, match="cannot read"):
        promote.check({HOME: SEEN}, report.with_name("none"))


def test_a_revoked_version_is_found_by_no_name_and_launched_by_nobody(
    aws: Aws, disk: Path, there: dict[str, str], report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shed(f"promote aws 0.1.0 {IN} --tested {report}")
    new = second(aws, disk)
    shed(f"promote aws 0.2.0 {IN} --tested {report}")
    assert shed(f"revoke aws 0.2.0 {IN} --dry-run --reason", "CVE in openssl") == Exit.OK
    assert latest(aws) == new[HOME]
    capsys.readouterr()
    assert shed(f"revoke aws 0.2.0 {IN} --json --reason", "CVE in openssl") == Exit.OK
    steps = json.loads(capsys.readouterr().out)["steps"]
    assert [step["do"] for step in steps if step["region"] == HOME] == ["tag", "name", "unname", "disable"]
    assert {region: latest(aws, region) for region in REGIONS} == there
    gone = aws.ec2(HOME).describe_images(ImageIds=[new[HOME]])["Images"][0]
    assert gone["State"] == "disabled"
    assert {"Key": "Revoked", "Value": "CVE in openssl"} in gone["Tags"]
    assert "RevokedAt" in {tag["Key"] for tag in gone["Tags"]}
    assert aws.client("ssm").get_parameters(Names=["/trainshed/amd64/0.2.0/image_id"])["InvalidParameters"]
    assert shed(f"revoke aws 0.2.0 {IN} --reason again") == Exit.OK
    assert "revoked already" in capsys.readouterr().out
    image = disk.parent / "trainshed-0.2.0-amd64.raw"
    assert shed(f"publish aws --image {image} --dry-run") == Exit.REFUSED
    assert "was revoked in eu-central-1: CVE in openssl" in capsys.readouterr().err
    assert shed(f"revoke aws 0.1.0 {IN} --deregister --reason old") == Exit.OK
    assert latest(aws) == ""
    assert aws.ec2(HOME).describe_images(Owners=["self"], IncludeDisabled=True)["Images"][0]["ImageId"] == new[HOME]
    assert len(aws.ec2(HOME).describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


@pytest.mark.faults
def test_a_cut_revocation_goes_on(
    cloud: StandIn, aws: Aws, there: dict[str, str], report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shed(f"promote aws 0.1.0 {IN} --tested {report}")
    for operation in ("CreateTags", "DeleteParameters", "DisableImage"):
        cloud.fail(operation, "UnauthorizedOperation" if operation != "DeleteParameters" else "AccessDeniedException")
        assert shed(f"revoke aws 0.1.0 {IN} --reason bad") == Exit.MISSING
        cloud.clear()
    assert shed(f"revoke aws 0.1.0 {IN} --reason bad") == Exit.OK
    for region in REGIONS:
        images = aws.ec2(region).describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
        assert [image["State"] for image in images] == ["disabled"]
        assert latest(aws, region) == ""


@pytest.mark.parametrize("verb", ["validate", "promote", "revoke"])
def test_an_unknown_version(cloud: StandIn, report: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"promote": f"--tested {report}", "revoke": "--reason bad"}.get(verb, "")
    assert shed(f"{verb} aws 9.9.9 {IN} {words}") == Exit.NOT_FOUND
    assert "9.9.9 for amd64 is not published" in capsys.readouterr().err


def image(number: int, age: int, **fields: Any) -> dict[str, Any]:
    """An image of so many days, with its snapshot."""
    made = {
        "ImageId": f"ami-{number}",
        "Name": f"trainshed-{number}",
        "State": "available",
        "Architecture": "x86_64",
        "CreationDate": (NOW - timedelta(days=age)).isoformat(),
        "BlockDeviceMappings": [{"Ebs": {"SnapshotId": f"snap-{number}", "VolumeSize": 4}}],
    }
    return {**made, **fields}


def snapshot(number: int, age: float, state: str = "completed") -> dict[str, Any]:
    start = NOW - timedelta(days=age)
    return {"SnapshotId": f"snap-{number}", "StartTime": start, "State": state, "VolumeSize": 4, "Tags": []}


OLD = [image(number, 200 - number) for number in range(1, 6)]


def revoked(days: int) -> dict[str, Any]:
    """What makes an image one that was revoked so many days ago."""
    tags = {"Revoked": "bad", "RevokedAt": (NOW - timedelta(days=days)).isoformat()}
    return {"State": "disabled", "Tags": pairs(tags)}


@pytest.mark.parametrize(
    ("room", "removed"),
    [
        pytest.param({"images": OLD}, ["ami-1", "ami-2"], id="all but the newest three"),
        pytest.param({"images": OLD, "used": {"ami-1": "instance i-1"}}, ["ami-2"], id="used"),
        pytest.param({"images": OLD, "names": {LATEST: "ami-2"}}, ["ami-1"], id="latest"),
        pytest.param({"images": [image(number, 80) for number in range(9)]}, [], id="young"),
        pytest.param(
            {"images": [{**OLD[0], "LastLaunchedTime": "2026-11-20T00:00:00Z"}, *OLD[1:]]},
            ["ami-2"],
            id="launched lately",
        ),
        pytest.param({"images": [image(9, 200, **revoked(20)), *OLD[2:]]}, ["ami-9"], id="revoked, after its grace"),
        pytest.param({"images": [image(9, 200, **revoked(10)), *OLD[2:]]}, [], id="revoked, within its grace"),
        pytest.param(
            {"images": [*OLD[:3], *(image(n, 100, **revoked(90)) for n in (7, 8, 9))]},
            ["ami-7", "ami-8", "ami-9"],
            id="revoked ones are not the newest",
        ),
        pytest.param(
            {"images": [*OLD[2:], *(image(n, 300, Architecture="arm64") for n in (7, 8))]},
            [],
            id="another architecture",
        ),
        pytest.param({"snapshots": [snapshot(1, 3)]}, ["snap-1"], id="a snapshot without an image"),
        pytest.param({"images": OLD[2:], "snapshots": [snapshot(3, 200)]}, [], id="a snapshot with one"),
        pytest.param({"snapshots": [snapshot(1, 0.5, "pending")]}, [], id="a snapshot in the making"),
        pytest.param({"snapshots": [snapshot(1, 0.5, "error")]}, ["snap-1"], id="a snapshot given up"),
    ],
)
def test_what_goes(room: dict[str, Any], removed: list[str]) -> None:
    empty = Room(region=HOME, images=(), snapshots=(), used={}, names={})
    fields = {**vars(empty), **room}
    verdicts = gc.plan(Room(**{**fields, "images": tuple(fields["images"])}), Policy(), now=NOW)
    assert [verdict.id for verdict in verdicts if verdict.remove] == removed


def test_gc_removes_only_when_told_and_only_what_is_ours(
    cloud: StandIn, aws: Aws, disk: Path, there: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three old versions: one in a launch template by its parameter, one in an instance, one free; and another's image."""
    new = second(aws, disk)
    third = published(aws, write_disk(disk.parent, noise(3), version="0.3.0"), regions=REGIONS).images
    ec2 = aws.ec2(HOME)
    by_name = {"ImageId": "resolve:ssm:/trainshed/amd64/0.1.0/image_id", "InstanceType": "t3.small"}
    ec2.create_launch_template(LaunchTemplateName="theirs", LaunchTemplateData=by_name)
    ec2.run_instances(ImageId=new[HOME], MinCount=1, MaxCount=1, InstanceType="t3.small")
    root = {"SnapshotId": ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"][0]["SnapshotId"]}
    mapping = [{"DeviceName": "/dev/xvda", "Ebs": root}]
    theirs = ec2.register_image(Name="theirs", RootDeviceName="/dev/xvda", BlockDeviceMappings=mapping)["ImageId"]
    line = f"gc aws --in {HOME} --days 0 --keep 0 --grace 0"
    assert shed(f"{line} --json") == Exit.OK
    said = json.loads(capsys.readouterr().out)
    assert [verdict["id"] for verdict in said["verdicts"] if verdict["remove"]] == [third[HOME]]
    assert {verdict["id"]: verdict["why"] for verdict in said["verdicts"]}[there[HOME]] == "launch template theirs"
    assert not said["deleted"]
    assert len(ec2.describe_images(Owners=["self"])["Images"]) == 4
    assert shed(f"{line} --delete") == Exit.OK
    left = {image["ImageId"] for image in ec2.describe_images(Owners=["self"])["Images"]}
    assert left == {there[HOME], new[HOME], theirs}
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 2
    assert aws.client("ssm").get_parameters(Names=["/trainshed/amd64/0.3.0/image_id"])["InvalidParameters"]
    assert len(aws.ec2(OTHER).describe_images(Owners=["self"])["Images"]) == 3
