"""What the account has of an image, asked of all regions at once."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from trainshed_provision.publish.aws import blocklog, share, ssm
from trainshed_provision.publish.aws.client import Aws, told, wrong_region
from trainshed_provision.publish.aws.plan import Observed, Place, Snapshot
from trainshed_provision.publish.aws.spec import MANAGED_BY, PublishSpec

T = TypeVar("T")


def observe(spec: PublishSpec, aws: Aws, *, logs: Path) -> Observed:
    """All that a plan depends on. logs: the folder of the block logs. Raises ShedError for a region that is none."""
    check_regions(aws, spec.regions)
    snapshots = our_snapshots(aws, spec.home)
    mine = [s for s in snapshots if tags_of(s).get("Name") == spec.name]
    logged = blocklog.snapshots(logs)
    return Observed(
        places=everywhere(aws, spec.regions, lambda region: _place(spec, aws, region)),
        snapshot=_best(mine),
        parent=_parent(spec, snapshots, logged),
        logged=logged,
    )


def check_regions(aws: Aws, regions: Iterable[str]) -> None:
    """Raise ShedError(USAGE) for a region that AWS does not have, or that this account has not enabled."""
    with told(aws.region):
        there = {r["RegionName"]: r["OptInStatus"] for r in aws.ec2().describe_regions(AllRegions=True)["Regions"]}
    for region in regions:
        if region not in there:
            near = difflib.get_close_matches(region, there, n=1)
            raise wrong_region(region, f"do you mean {near[0]}?" if near else f"there are {', '.join(sorted(there))}")
        if there[region] == "not-opted-in":
            raise wrong_region(region, "enable it in the account's settings, or leave it out")


def everywhere(aws: Aws, regions: Iterable[str], ask: Callable[[str], T]) -> dict[str, T]:
    """The answer of each region, asked at once; the first error is raised."""
    names = list(regions)
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return dict(zip(names, pool.map(ask, names), strict=True))


def image_named(aws: Aws, region: str, name: str) -> dict[str, Any] | None:
    """Our image of this name, deprecated and disabled ones too."""
    with told(region):
        found: list[dict[str, Any]] = aws.ec2(region).describe_images(
            Owners=["self"],
            Filters=[{"Name": "name", "Values": [name]}],
            IncludeDeprecated=True,
            IncludeDisabled=True,
        )["Images"]
    return min(found, key=lambda image: str(image["CreationDate"])) if found else None


def our_images(aws: Aws, region: str) -> list[dict[str, Any]]:
    """All images with our tag, oldest first."""
    with told(region):
        pages = (
            aws.ec2(region)
            .get_paginator("describe_images")
            .paginate(Owners=["self"], Filters=[OURS], IncludeDeprecated=True, IncludeDisabled=True)
        )
        return sorted((image for page in pages for image in page["Images"]), key=lambda image: image["CreationDate"])


def our_snapshots(aws: Aws, region: str) -> list[dict[str, Any]]:
    """All snapshots with our tag, oldest first."""
    with told(region):
        pages = aws.ec2(region).get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=[OURS])
        return sorted((s for page in pages for s in page["Snapshots"]), key=lambda snapshot: snapshot["StartTime"])


OURS = {"Name": "tag:ManagedBy", "Values": [MANAGED_BY]}


def tags_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """Tags as a dict."""
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


def _place(spec: PublishSpec, aws: Aws, region: str) -> Place:
    image = image_named(aws, region, spec.name)
    named = ssm.read(aws, region, [spec.parameter()]).get(spec.parameter(), "")
    if named and (image is None or named != image["ImageId"]) and not _exists(aws, region, named):
        named = ""  # somebody removed the image and left its name: the name is free
    walled = spec.public and share.walled(aws, region)
    if image is None:
        return Place(named=named, walled=walled, encrypts=bool(spec.shared) and share.encrypts(aws, region))
    return Place(
        image=image["ImageId"],
        state=image["State"],
        revoked=tags_of(image).get("Revoked", ""),
        shared=share.who(aws, region, image["ImageId"]),
        deprecation=image.get("DeprecationTime", ""),
        named=named,
        walled=walled,
    )


def _exists(aws: Aws, region: str, image: str) -> bool:
    with told(region):
        return bool(
            aws.ec2(region).describe_images(
                Filters=[{"Name": "image-id", "Values": [image]}], IncludeDeprecated=True, IncludeDisabled=True
            )["Images"]
        )


def _best(mine: list[dict[str, Any]]) -> Snapshot | None:
    """The one that is furthest: completed, else pending, else what is left of a failure."""
    order = ("completed", "pending", "error")
    for found in sorted(mine, key=lambda s: order.index(s["State"]) if s["State"] in order else len(order)):
        tags = tags_of(found)
        return Snapshot(
            id=found["SnapshotId"],
            state=found["State"],
            parent=tags.get("Parent", ""),
            skip_zeros="SkippedZeros" in tags,
        )
    return None


def _parent(spec: PublishSpec, snapshots: list[dict[str, Any]], logged: frozenset[str]) -> str:
    """The newest whole snapshot of an image of the same architecture whose blocks we know."""
    fit = [
        snapshot["SnapshotId"]
        for snapshot in snapshots
        if snapshot["SnapshotId"] in logged
        and snapshot["State"] == "completed"
        and snapshot["VolumeSize"] <= spec.gib
        and not snapshot.get("Encrypted")
        and tags_of(snapshot).get("Architecture") == spec.architecture
        and ("SkippedZeros" in tags_of(snapshot)) <= spec.skip_zeros  # its absent blocks would be absent here too
    ]
    return fit[-1] if fit else ""
