"""Who may launch an image: accounts, organisations and their units, or everybody."""

from typing import Any

from trainshed_provision.publish.aws.client import Aws, told
from trainshed_provision.publish.aws.spec import ACCOUNT


def walled(aws: Aws, region: str) -> bool:
    """Whether the account blocks public images in this region, as new accounts do."""
    with told(region):
        return str(aws.ec2(region).get_image_block_public_access_state()["ImageBlockPublicAccessState"]) != "unblocked"


def encrypts(aws: Aws, region: str) -> bool:
    """Whether the account encrypts every new snapshot in this region, which then only its own machines can read."""
    with told(region):
        return bool(aws.ec2(region).get_ebs_encryption_by_default()["EbsEncryptionByDefault"])


def who(aws: Aws, region: str, image: str) -> frozenset[str]:
    """Accounts, ARNs and "all", beside the account itself."""
    with told(region):
        found = aws.ec2(region).describe_image_attribute(ImageId=image, Attribute="launchPermission")[
            "LaunchPermissions"
        ]
    return frozenset(value for permission in found for value in permission.values())


def add(aws: Aws, region: str, image: str, whom: frozenset[str]) -> None:
    """Let them launch it. Those who may already still may."""
    with told(region):
        aws.ec2(region).modify_image_attribute(
            ImageId=image, LaunchPermission={"Add": [_permission(one) for one in sorted(whom)]}
        )


def _permission(one: str) -> dict[str, Any]:
    if one == "all":
        return {"Group": "all"}
    if ACCOUNT.fullmatch(one):
        return {"UserId": one}
    return {"OrganizationalUnitArn" if ":ou/" in one else "OrganizationArn": one}
