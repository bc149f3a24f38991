"""When EC2 stops listing an image to others. Whoever has its id can launch it still."""

from datetime import datetime, timedelta

from trainshed_provision.publish.aws.client import Aws, told


def deprecate(aws: Aws, region: str, image: str, *, at: datetime) -> None:
    """Deprecate it at this time, which must lie ahead."""
    with told(region):
        aws.ec2(region).enable_image_deprecation(ImageId=image, DeprecateAt=at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def in_days(days: int, now: datetime) -> datetime:
    """So many days from now."""
    return now + timedelta(days=days)
