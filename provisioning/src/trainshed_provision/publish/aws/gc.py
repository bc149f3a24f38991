"""What nobody needs any more: old images, and what cut runs left. Nothing without our tag is looked at twice."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from trainshed_provision.publish.aws import ssm
from trainshed_provision.publish.aws.client import Aws, code_of, told
from trainshed_provision.publish.aws.observe import our_images, our_snapshots, tags_of
from trainshed_provision.publish.aws.revoke import deregister

GIVEN_UP_DAYS = 2  # a pending snapshot is given up by AWS within hours


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is old. days: a younger image stays; keep: so many of the newest of each architecture stay, whatever their age.
    grace: days for a revoked image, and since somebody launched one."""

    days: int = 90
    keep: int = 3
    grace: int = 14


@dataclass(frozen=True, kw_only=True)
class Room:
    """One region. used: why an image is needed, by its id; names: parameters and the images they lead to."""

    region: str
    images: tuple[dict[str, Any], ...]
    snapshots: tuple[dict[str, Any], ...]
    used: dict[str, str]
    names: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of one image or snapshot. why: in a few words. names: parameters that go with it. gib: what it takes."""

    region: str
    id: str
    name: str
    remove: bool
    why: str
    gib: int
    names: tuple[str, ...] = ()

    def line(self) -> str:
        """For a person."""
        word = "remove" if self.remove else "keep"
        return f"{word:<6}  {self.region:<14} {self.id:<24} {self.gib:>4} GiB  {self.name}: {self.why}"


def plan(room: Room, policy: Policy, *, now: datetime) -> list[Verdict]:
    """A verdict on each image, then on each snapshot that no image has."""
    newest: dict[str, list[str]] = {}
    for image in reversed(room.images):
        if _good(image):
            newest.setdefault(str(image.get("Architecture")), []).append(image["ImageId"])
    kept = {image for group in newest.values() for image in group[: policy.keep]}
    verdicts = [_image(room, image, policy, kept=kept, now=now) for image in room.images]
    held = {_ebs(m).get("SnapshotId") for image in room.images for m in image.get("BlockDeviceMappings", [])}
    lonely = [snapshot for snapshot in room.snapshots if snapshot["SnapshotId"] not in held]
    return verdicts + [_snapshot(room.region, snapshot, now) for snapshot in lonely]


def lonely(aws: Aws, region: str) -> tuple[str, ...]:
    """Our completed snapshots that none of our images has."""
    held = {_ebs(m).get("SnapshotId") for i in our_images(aws, region) for m in i.get("BlockDeviceMappings", [])}
    found = our_snapshots(aws, region)
    return tuple(s["SnapshotId"] for s in found if s["State"] == "completed" and s["SnapshotId"] not in held)


def _image(room: Room, image: dict[str, Any], policy: Policy, *, kept: set[str], now: datetime) -> Verdict:
    image_id, age = image["ImageId"], now - _time(image["CreationDate"])
    names = tuple(name for name, value in room.names.items() if value == image_id)
    launched = image.get("LastLaunchedTime")
    bad = not _good(image)
    reasons = {
        room.used.get(image_id, ""): image_id in room.used,
        "latest": any(name.endswith("/latest/image_id") for name in names),
        f"launched within {policy.grace} days": bool(launched) and now - _time(launched) < timedelta(days=policy.grace),
        f"one of the {policy.keep} newest": image_id in kept,
        f"revoked or failed within {policy.grace} days": bad and now - _bad_since(image) < timedelta(days=policy.grace),
        f"younger than {policy.days} days": not bad and age < timedelta(days=policy.days),
    }
    stays = [why for why, holds in reasons.items() if holds]
    state = "" if image["State"] == "available" else f", {image['State']}"
    return Verdict(
        region=room.region,
        id=image_id,
        name=str(image.get("Name", "")),
        remove=not stays,
        why=", ".join(stays) or f"{age.days} days old{state}",
        gib=sum(int(_ebs(m).get("VolumeSize", 0)) for m in image.get("BlockDeviceMappings", [])),
        names=() if stays else names,
    )


def _snapshot(region: str, snapshot: dict[str, Any], now: datetime) -> Verdict:
    age = now - _time(snapshot["StartTime"])
    young = age < timedelta(days=GIVEN_UP_DAYS) and snapshot["State"] != "error"
    return Verdict(
        region=region,
        id=snapshot["SnapshotId"],
        name=tags_of(snapshot).get("Name", ""),
        remove=not young,
        why=f"without an image, {snapshot['State']}, {'may be in the making' if young else f'{age.days} days old'}",
        gib=int(snapshot["VolumeSize"]),
    )


def look(aws: Aws, region: str, *, prefix: str) -> Room:
    """What a region has. Launch templates of every version, groups and instances say which images are used."""
    names = ssm.under(aws, region, prefix)
    return Room(
        region=region,
        images=tuple(our_images(aws, region)),
        snapshots=tuple(our_snapshots(aws, region)),
        used=_used(aws, region, names),
        names=names,
    )


def _used(aws: Aws, region: str, names: dict[str, str]) -> dict[str, str]:
    used: dict[str, str] = {}
    ec2 = aws.ec2(region)
    with told(region):
        for page in ec2.get_paginator("describe_launch_templates").paginate():
            for template in page["LaunchTemplates"]:
                versions = ec2.get_paginator("describe_launch_template_versions").paginate(
                    LaunchTemplateId=template["LaunchTemplateId"]
                )
                for version in (v for found in versions for v in found["LaunchTemplateVersions"]):
                    image = _resolved(version["LaunchTemplateData"].get("ImageId", ""), names)
                    used[image] = f"launch template {template['LaunchTemplateName']}"
        for page in aws.client("autoscaling", region).get_paginator("describe_launch_configurations").paginate():
            for configuration in page["LaunchConfigurations"]:
                used[configuration["ImageId"]] = f"launch configuration {configuration['LaunchConfigurationName']}"
        for page in ec2.get_paginator("describe_instances").paginate():
            for instance in (i for r in page["Reservations"] for i in r["Instances"]):
                if instance["State"]["Name"] != "terminated":
                    used[instance["ImageId"]] = f"instance {instance['InstanceId']}"
    return used


def _resolved(image: str, names: dict[str, str]) -> str:
    """The image that a template means: `resolve:ssm:NAME` leads to one."""
    match = re.fullmatch(r"resolve:ssm:([^:]+)(:.*)?", image)
    return names.get(match.group(1), "") if match else image


def remove(aws: Aws, verdict: Verdict) -> None:
    """Remove what the verdict is about: its names first. What is gone already is as good."""
    for name in verdict.names:
        ssm.remove(aws, verdict.region, name)
    if verdict.id.startswith("ami-"):
        deregister(aws, verdict.region, verdict.id)
        return
    with told(verdict.region):
        try:
            aws.ec2(verdict.region).delete_snapshot(SnapshotId=verdict.id)
        except ClientError as error:
            if code_of(error) not in ("InvalidSnapshot.NotFound", "InvalidSnapshot.InUse"):
                raise


def _good(image: dict[str, Any]) -> bool:
    return image["State"] == "available" and "Revoked" not in tags_of(image)


def _bad_since(image: dict[str, Any]) -> datetime:
    return _time(tags_of(image).get("RevokedAt") or image["CreationDate"])


def _ebs(mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(mapping.get("Ebs", {}))


def _time(value: Any) -> datetime:
    when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return when if when.tzinfo else when.replace(tzinfo=UTC)
