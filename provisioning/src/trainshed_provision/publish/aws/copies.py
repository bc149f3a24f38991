"""The same image in other regions, and the wait until an image can be launched."""

import hashlib
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from trainshed_provision.errors import ShedError
from trainshed_provision.publish.aws.client import AGAIN, QUOTA, Aws, code_of, told
from trainshed_provision.publish.aws.spec import PublishSpec, pairs

POLL_SECONDS = 10.0
WAIT_SECONDS = 7200.0  # a copy of a few GiB takes minutes; a busy region an hour
QUOTA_SECONDS = 1800.0  # 20 snapshot copies at a time into one region: others finish
UNSEEN_SECONDS = 60.0  # an id that EC2 has just given may not be known everywhere yet
ATTEMPTS = 3

Report = Callable[[str], None]


def copy(spec: PublishSpec, aws: Aws, *, region: str, image: str, report: Report) -> str:
    """Copy the home region's image; return the id of a copy that is available. A copy that fails is removed and made again."""
    for attempt in range(ATTEMPTS):
        made = _copy(spec, aws, region=region, image=image, attempt=attempt, report=report)
        if wait(aws, region, made, report=report) == "available":
            return made
        with told(region):
            _remove(aws, region, made)
    raise ShedError(f"the copy to {region} failed {ATTEMPTS} times", hint=AGAIN)


def token(*words: object) -> str:
    """A client token: the same for the same words, in this run and in the next."""
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:64]


def wait(aws: Aws, region: str, image: str, *, report: Report) -> str:
    """Wait until the image is available, and say how far it is; "available", "failed" or "" when there is none."""
    spent = 0.0
    while True:
        found = _look(aws, region, image)
        state = str(found["State"]) if found else ""
        if state in ("available", "failed", "error", "invalid") or (not state and spent >= UNSEEN_SECONDS):
            return state
        if spent >= WAIT_SECONDS:
            raise ShedError(f"{image} in {region} is not available after {spent / 60:.0f} minutes", hint=AGAIN)
        report(f"{region}: {image} is {state or 'not seen yet'}{_far(aws, region, found, spent)}")
        aws.pause(POLL_SECONDS)
        spent += POLL_SECONDS


def _copy(spec: PublishSpec, aws: Aws, *, region: str, image: str, attempt: int, report: Report) -> str:
    tags = pairs(spec.tags)
    spent = 0.0
    while True:
        with told(region):
            try:
                made = aws.ec2(region).copy_image(
                    Name=spec.name,
                    SourceImageId=image,
                    SourceRegion=spec.home,
                    ClientToken=token(spec.name, region, image, attempt),
                    TagSpecifications=[{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")],
                )
                return str(made["ImageId"])
            except ClientError as error:
                if code_of(error) not in QUOTA or spent >= QUOTA_SECONDS:
                    raise
                report(f"{region}: {code_of(error)}; others are being copied there, waiting")
        aws.pause(POLL_SECONDS)
        spent += POLL_SECONDS


def _look(aws: Aws, region: str, image: str) -> dict[str, Any] | None:
    with told(region):
        try:
            found: list[dict[str, Any]] = aws.ec2(region).describe_images(ImageIds=[image])["Images"]
        except ClientError as error:
            if code_of(error) in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                return None
            raise
    return found[0] if found else None


def _far(aws: Aws, region: str, image: dict[str, Any] | None, spent: float) -> str:
    """How far the copy of its snapshot is, and how long that leaves."""
    ids = [
        m["Ebs"]["SnapshotId"]
        for m in (image or {}).get("BlockDeviceMappings", [])
        if m.get("Ebs", {}).get("SnapshotId")
    ]
    if not ids:
        return ""
    with told(region):
        share = int(
            aws.ec2(region).describe_snapshots(SnapshotIds=ids)["Snapshots"][0].get("Progress", "").rstrip("%") or 0
        )
    return f", {share} %" + (f", about {spent * (100 - share) / share:.0f} s left" if 0 < share < 100 else "")


def _remove(aws: Aws, region: str, image: str) -> None:
    try:
        aws.ec2(region).deregister_image(ImageId=image, DeleteAssociatedSnapshots=True)
    except ClientError as error:
        if code_of(error) not in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
            raise
