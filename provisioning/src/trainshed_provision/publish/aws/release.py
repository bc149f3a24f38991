"""One published version as it is now: its image in each region, and all that belongs to it."""

from dataclasses import dataclass
from typing import Any

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import share, ssm
from trainshed_provision.publish.aws.client import Aws, told
from trainshed_provision.publish.aws.observe import check_regions, everywhere, our_images, tags_of
from trainshed_provision.publish.aws.spec import parameter

LATEST = "latest"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A version in one region. image: as EC2 describes it. twins: other images of the same version. shared: who may launch
    it, snapshot_shared: who may read its snapshot. named, latest: where the two parameters lead; before: where `latest` led,
    newest first, as far as those images are there and good."""

    region: str
    image: dict[str, Any]
    twins: tuple[str, ...]
    snapshot: dict[str, Any]
    shared: frozenset[str]
    snapshot_shared: frozenset[str]
    named: str
    latest: str
    before: tuple[str, ...]

    @property
    def id(self) -> str:
        """Of the image."""
        return str(self.image["ImageId"])

    @property
    def tags(self) -> dict[str, str]:
        """Of the image."""
        return tags_of(self.image)


def find(aws: Aws, version: str, *, architecture: str, prefix: str, regions: tuple[str, ...] = ()) -> dict[str, Seen]:
    """The version by region, where it is; regions: () for all that the account has enabled. NOT_FOUND when it is nowhere."""
    if regions:
        check_regions(aws, regions)
    asked = everywhere(aws, regions or enabled(aws), lambda region: _seen(aws, region, version, architecture, prefix))
    seen = {region: found for region, found in asked.items() if found is not None}
    if not seen:
        raise ShedError(
            f"version {version} for {architecture} is not published in {', '.join(asked)}",
            hint="publish it with: shed publish aws",
            code=Exit.NOT_FOUND,
        )
    return seen


def enabled(aws: Aws) -> tuple[str, ...]:
    """The regions that this account has enabled."""
    with told(aws.region):
        found = aws.ec2().describe_regions()["Regions"]
    return tuple(sorted(r["RegionName"] for r in found if r.get("OptInStatus") != "not-opted-in"))


def _seen(aws: Aws, region: str, version: str, architecture: str, prefix: str) -> Seen | None:
    images = {image["ImageId"]: image for image in our_images(aws, region)}
    wanted = {"Version": version, "Architecture": architecture}
    mine = [image for image in images.values() if wanted.items() <= tags_of(image).items()]
    if not mine:
        return None
    names = {which: parameter(prefix, architecture, which) for which in (version, LATEST)}
    values = ssm.read(aws, region, list(names.values()))
    named, latest = values.get(names[version], ""), values.get(names[LATEST], "")
    image = next((image for image in mine if image["ImageId"] == named), mine[-1])
    snapshot = image["BlockDeviceMappings"][0]["Ebs"].get("SnapshotId", "") if image["BlockDeviceMappings"] else ""
    past = ssm.before(aws, region, names[LATEST]) if latest == image["ImageId"] else []
    return Seen(
        region=region,
        image=image,
        twins=tuple(other["ImageId"] for other in mine if other is not image),
        snapshot=_snapshot(aws, region, snapshot),
        shared=share.who(aws, region, image["ImageId"]),
        snapshot_shared=_readers(aws, region, snapshot),
        named=named,
        latest=latest,
        before=tuple(value for value in past if value in images and good(images[value])),
    )


def good(image: dict[str, Any]) -> bool:
    """Whether it can be launched and was not revoked."""
    return image["State"] == "available" and "Revoked" not in tags_of(image)


def _snapshot(aws: Aws, region: str, snapshot: str) -> dict[str, Any]:
    if not snapshot:
        return {}
    with told(region):
        return dict(aws.ec2(region).describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0])


def _readers(aws: Aws, region: str, snapshot: str) -> frozenset[str]:
    if not snapshot:
        return frozenset()
    with told(region):
        found = aws.ec2(region).describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
    return frozenset(value for permission in found["CreateVolumePermissions"] for value in permission.values())
