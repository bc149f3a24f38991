"""SSM parameters: names that do not change and lead to image ids, usable as `resolve:ssm:NAME` in a launch."""

from botocore.exceptions import ClientError

from trainshed_provision.errors import ShedError
from trainshed_provision.publish.aws.client import AGAIN, Aws, code_of, told

IMAGE = "aws:ec2:image"  # AWS looks at the value: a name never leads to what is no image
AT_ONCE = 10  # names that one call may ask for
LOOKS, LOOK_SECONDS = 30, 2.0  # AWS looks after it has answered


def read(aws: Aws, region: str, names: list[str]) -> dict[str, str]:
    """Values of those that are there."""
    found: dict[str, str] = {}
    for start in range(0, len(names), AT_ONCE):
        with told(region):
            page = aws.client("ssm", region).get_parameters(Names=names[start : start + AT_ONCE])["Parameters"]
        found |= {parameter["Name"]: parameter["Value"] for parameter in page}
    return found


def under(aws: Aws, region: str, prefix: str) -> dict[str, str]:
    """All parameters below the prefix."""
    with told(region):
        pages = aws.client("ssm", region).get_paginator("get_parameters_by_path").paginate(Path=prefix, Recursive=True)
        return {parameter["Name"]: parameter["Value"] for page in pages for parameter in page["Parameters"]}


def write(aws: Aws, region: str, name: str, image: str) -> None:
    """Let the name lead to the image, and wait until it does."""
    client = aws.client("ssm", region)
    with told(region):
        client.put_parameter(Name=name, Value=image, Type="String", DataType=IMAGE, Overwrite=True)
    for _ in range(LOOKS):
        if read(aws, region, [name]).get(name) == image:
            return
        aws.pause(LOOK_SECONDS)
    raise ShedError(f"{name} does not lead to {image} in {region}: AWS did not take it for an image", hint=AGAIN)


def before(aws: Aws, region: str, name: str) -> list[str]:
    """The values that it had, newest first, the present one not among them."""
    with told(region):
        try:
            pages = aws.client("ssm", region).get_paginator("get_parameter_history").paginate(Name=name)
            values = [entry["Value"] for page in pages for entry in page["Parameters"]]
        except ClientError as error:
            if code_of(error) == "ParameterNotFound":
                return []
            raise
    return [value for value in dict.fromkeys(reversed(values)) if value != values[-1]]


def remove(aws: Aws, region: str, name: str) -> None:
    """The name leads nowhere any more."""
    with told(region):
        aws.client("ssm", region).delete_parameters(Names=[name])
