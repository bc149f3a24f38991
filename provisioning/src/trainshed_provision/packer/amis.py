"""What Packer's builder leaves to do on an AMI: its machines take metadata by IMDSv2 alone."""

from collections.abc import Iterable, Iterator
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from trainshed_provision.errors import Exit, ShedError


def of(artifacts: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Region and id of each image: the id of an artifact is "region:ami,region:ami"."""
    for artifact in artifacts:
        for pair in artifact["id"].split(","):
            region, _, ami = pair.partition(":")
            if ami.startswith("ami-"):
                yield region, ami


def require_imdsv2(artifacts: Iterable[dict[str, Any]]) -> None:
    """Of each image. Asking twice does no harm. Raises ShedError(FAILED), which names the image that lacks it."""
    for region, ami in of(artifacts):
        try:
            ec2 = boto3.client("ec2", region_name=region)
            ec2.modify_image_attribute(ImageId=ami, ImdsSupport={"Value": "v2.0"})
        except (BotoCoreError, ClientError) as error:
            raise ShedError(
                f"{ami} in {region} was made, and does not ask for IMDSv2: {error}",
                hint=f"aws ec2 modify-image-attribute --region {region} --image-id {ami} --imds-support v2.0",
                code=Exit.FAILED,
            ) from error
