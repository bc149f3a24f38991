"""From a completed snapshot to an image."""

from botocore.exceptions import ClientError

from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.errors import ShedError
from trainshed_provision.publish.aws.client import Aws, code_of, told
from trainshed_provision.publish.aws.observe import image_named
from trainshed_provision.publish.aws.spec import ROOT_DEVICE, PublishSpec, pairs


def register(spec: PublishSpec, aws: Aws, *, region: str, snapshot: str) -> str:
    """Register the image over the snapshot; return its id, that of an earlier run too: a name is given once."""
    root = {"SnapshotId": snapshot, "VolumeSize": spec.gib, "VolumeType": "gp3", "DeleteOnTermination": True}
    asked = {
        "Name": spec.name,
        "Description": f"Trainshed {spec.version}, an experiment server",
        "Architecture": ARCHITECTURES[spec.architecture].ec2,
        "VirtualizationType": "hvm",
        "RootDeviceName": ROOT_DEVICE,
        "BlockDeviceMappings": [{"DeviceName": ROOT_DEVICE, "Ebs": root}],
        "BootMode": spec.boot_mode,
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "ImdsSupport": "v2.0",
        "TagSpecifications": [{"ResourceType": "image", "Tags": pairs(spec.tags)}],
    }
    if spec.tpm:
        asked["TpmSupport"] = "v2.0"
    with told(region):
        try:
            return str(aws.ec2(region).register_image(**asked)["ImageId"])
        except ClientError as error:
            if code_of(error) != "InvalidAMIName.Duplicate":
                raise
    image = image_named(aws, region, spec.name)
    if image is None:
        raise ShedError(f"the name {spec.name} is taken in {region} by an image that we cannot see", hint="try again")
    return str(image["ImageId"])
