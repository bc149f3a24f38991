"""AMIs as EC2 has them: every attribute is kept, copied and shown; what cannot be is refused; states take their time."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ebs.models import ebs_backends
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami, AmiBackend
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses import EC2Response
from moto.ec2.responses.amis import AmisResponse
from moto.ec2.utils import random_ami_id

from trainshed_provision.testing.aws.ebs import adopt
from trainshed_provision.testing.aws.faults import Refusal

NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
BOOT_MODES = ("legacy-bios", "uefi", "uefi-preferred")
LONGEST = {False: timedelta(days=3653), True: timedelta(days=730)}  # of a deprecation, by whether the image is public
COPIED = (
    "architecture", "virtualization_type", "root_device_name", "root_device_type", "boot_mode", "hypervisor",
    "ena_support", "imds_support", "tpm_support", "sriov_net_support", "description",
)  # fmt: skip
LOOKS_UNTIL_AVAILABLE = 2  # a new image is pending for so many calls of DescribeImages


def _error(code: str, message: str) -> Refusal:
    return Refusal(code, message)


def register_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    ask, backend = self._get_param, self.ec2_backend
    name, mode, tpm = ask("Name") or "", ask("BootMode"), ask("TpmSupport")
    if not NAME.fullmatch(name):
        raise _error("InvalidAMIName.Malformed", f"AMI name '{name}' is invalid.")
    if any(image.name == name for image in backend.amis.values()):
        raise _error("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by an AMI of this account.")
    if mode not in (None, *BOOT_MODES) or (tpm and (tpm != "v2.0" or mode != "uefi")):
        raise _error("InvalidParameterCombination", f"Boot mode {mode} with TPM support {tpm} cannot be.")
    mappings, root = ask("BlockDeviceMappings", []), ask("RootDeviceName")
    if root not in [mapping["DeviceName"] for mapping in mappings]:
        raise _error("InvalidBlockDeviceMapping", f"The root device {root} is not mapped.")
    for mapping in mappings:
        _check_snapshot(backend, mapping.get("Ebs") or {})
    image = _new(backend, name, tags=_tags(ask, "image"))
    image.architecture, image.virtualization_type = (
        ask("Architecture", "i386"),
        ask("VirtualizationType", "paravirtual"),
    )
    image.root_device_name, image.root_device_type, image.hypervisor = root, "ebs", "xen"
    image.boot_mode, image.ena_support, image.tpm_support = mode, ask("EnaSupport"), tpm
    image.imds_support, image.sriov_net_support = ask("ImdsSupport"), ask("SriovNetSupport")
    image.description, image.mappings = ask("Description", ""), mappings
    return ActionResult({"ImageId": image.id})


def _check_snapshot(backend: EC2Backend, ebs: dict[str, Any]) -> None:
    snapshot = backend.snapshots.get(ebs.get("SnapshotId", ""))
    if snapshot is None:
        raise _error("InvalidSnapshot.NotFound", f"The snapshot '{ebs.get('SnapshotId')}' does not exist.")
    if snapshot.status != "completed":
        raise _error("InvalidSnapshot", f"Snapshot {snapshot.id} is not completed.")
    if "VolumeSize" in ebs and ebs["VolumeSize"] < snapshot.volume_size:
        raise _error("InvalidBlockDeviceMapping", "The volume is smaller than its snapshot.")


def _tags(ask: Any, kind: str) -> dict[str, str]:
    given = ask("TagSpecifications", [])
    if [s for s in given if s["ResourceType"] not in ("image", "snapshot")]:
        raise _error("InvalidParameterValue", "Only images and snapshots can be tagged.")
    return {tag["Key"]: tag["Value"] for s in given if s["ResourceType"] == kind for tag in s["Tags"]}


def _new(backend: Any, name: str, *, tags: dict[str, str]) -> Any:
    image: Any = Ami(backend, random_ami_id(), name=name, region_name=f"{backend.region_name}a")
    backend.snapshots.pop(image.ebs_snapshot.id)  # moto makes an empty one of its own
    image.add_tags(tags)
    image.state, image.looks, image.deprecation_time = "pending", LOOKS_UNTIL_AVAILABLE, None
    backend.amis[image.id] = image
    return image


def copy_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    ask, backend = self._get_param, self.ec2_backend
    token, region = ask("ClientToken"), ask("SourceRegion")
    tokens: dict[str, str] = backend.__dict__.setdefault("copy_tokens", {})
    if token in tokens:
        return ActionResult({"ImageId": tokens[token]})
    home = ec2_backends[backend.account_id][region]
    source: Any = home.amis.get(ask("SourceImageId"))
    if source is None or source.state != "available":
        raise _error(
            "InvalidAMIID.NotFound", f"The image id '{ask('SourceImageId')}' does not exist, or is not available."
        )
    image = _new(backend, ask("Name"), tags=_tags(ask, "image"))
    for name in COPIED:
        setattr(image, name, getattr(source, name))
    image.description = ask("Description") or source.description
    image.mappings = [_copy_mapping(backend, home, m, _tags(ask, "snapshot")) for m in source.mappings]
    for mapping in image.mappings if ask("Encrypted") else ():
        mapping["Ebs"]["Encrypted"] = True
    tokens[token] = image.id
    return ActionResult({"ImageId": image.id})


def create_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    ask, backend = self._get_param, self.ec2_backend
    if any(image.name == ask("Name") for image in backend.amis.values()):
        raise _error("InvalidAMIName.Duplicate", f"AMI name {ask('Name')} is already in use by an AMI of this account.")
    instance: Any = backend.get_instance(ask("InstanceId"))
    source: Any = backend.amis[instance.image_id]
    image = _new(backend, ask("Name"), tags=_tags(ask, "image"))
    for name in COPIED:
        setattr(image, name, getattr(source, name))
    image.description = ask("Description") or ""
    disks = instance.block_device_mapping.items()
    image.mappings = [_of_volume(backend, name, disk.volume_id, _tags(ask, "snapshot")) for name, disk in disks]
    return ActionResult({"ImageId": image.id})


def _of_volume(backend: Any, name: str, volume: str, tags: dict[str, str]) -> dict[str, Any]:
    made = backend.create_snapshot(volume, "Created by CreateImage")
    made.add_tags(tags)
    adopt(backend.account_id, backend.region_name, made, source=None).status = "completed"
    kind, encrypted = backend.volumes[volume].volume_type, backend.volumes[volume].encrypted
    return {"DeviceName": name, "Ebs": {"SnapshotId": made.id, "VolumeType": kind, "Encrypted": bool(encrypted)}}


def _copy_mapping(backend: Any, home: Any, mapping: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    ebs = dict(mapping["Ebs"])
    made = backend.copy_snapshot(ebs["SnapshotId"], home.region_name, "Copied by CopyImage", None)
    made.add_tags(tags)
    source = ebs_backends[home.account_id][home.region_name].snapshots[ebs["SnapshotId"]]
    adopt(backend.account_id, backend.region_name, made, source=source).status = "completed"
    return {**mapping, "Ebs": {**ebs, "SnapshotId": made.id}}


def block_device_mappings(self: Any) -> list[dict[str, Any]]:
    defaults = {"VolumeType": "gp2", "DeleteOnTermination": True, "Encrypted": False}
    return [{**m, "Ebs": {**defaults, "VolumeSize": _size(self, m), **m["Ebs"]}} for m in self.mappings]


def _size(image: Any, mapping: dict[str, Any]) -> int:
    return int(image.ec2_backend.snapshots[mapping["Ebs"]["SnapshotId"]].volume_size)


def describe_images(self: AmisResponse) -> ActionResult:
    ask = self._get_param
    images: list[Any] = self.ec2_backend.describe_images(
        ami_ids=ask("ImageIds", []),
        filters=self._filters_from_querystring(),
        owners=ask("Owners", []),
        exec_users=ask("ExecutableUsers", []),
    )
    if "ImageIds" not in self.params and not ask("IncludeDisabled"):
        images = [image for image in images if image.state != "disabled"]
    for image in images:
        image.looks -= 1
        if image.state == "pending" and image.looks < 0:
            image.state = "available"
    return ActionResult({"Images": images})


def deregister_image(self: AmisResponse) -> ActionResult:
    self.error_on_dryrun()
    backend, image_id = self.ec2_backend, self._get_param("ImageId")
    image: Any = backend.amis.get(image_id)
    backend.deregister_image(image_id)
    results = []
    for mapping in image.mappings if self._get_param("DeleteAssociatedSnapshots") else ():
        snapshot_id = mapping["Ebs"]["SnapshotId"]
        try:
            backend.delete_snapshot(snapshot_id)
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "success"})
        except ServiceException:
            results.append({"SnapshotId": snapshot_id, "ReturnCode": "skipped"})
    return ActionResult({"Return": True, "DeleteSnapshotResults": results})


def disable_image(self: AmiBackend, ami_id: str) -> None:
    image = _image(self, ami_id)
    image.state, image.launch_permissions = "disabled", []


def _image(backend: Any, image_id: str) -> Any:
    if image_id not in backend.amis:
        raise _error("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return backend.amis[image_id]


def delete_snapshot(self: Any, snapshot_id: str) -> Any:
    users = [i.id for i in self.amis.values() if snapshot_id in [m["Ebs"]["SnapshotId"] for m in i.mappings]]
    if snapshot_id not in self.snapshots:
        raise _error("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    if users:
        raise _error("InvalidSnapshot.InUse", f"The snapshot {snapshot_id} is currently in use by {users[0]}")
    return self.snapshots.pop(snapshot_id)


def enable_image_deprecation(self: AmisResponse) -> ActionResult:
    image, at = _image(self.ec2_backend, self._get_param("ImageId")), self._get_param("DeprecateAt")
    when = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    if not datetime.now(UTC) < when <= datetime.now(UTC) + LONGEST[image.is_public]:
        raise _error("InvalidParameterValue", f"DeprecateAt {when} is in the past or too far ahead.")
    image.deprecation_time = when.replace(second=0, microsecond=0).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return ActionResult({"Return": True})


def modify_image_attribute(
    self: Any, ami_id: str, launch_permissions_to_add: Any, launch_permissions_to_remove: Any
) -> None:
    image = _image(self, ami_id)
    if image.state == "disabled":
        raise _error("InvalidAMIID.Unavailable", f"The image {ami_id} is disabled.")
    if {"Group": "all"} in launch_permissions_to_add and self.__dict__.get("walled", True):
        raise _error("OperationNotPermitted", "You can't publicly share this image: block public access is enabled.")
    _modify(self, ami_id, launch_permissions_to_add, launch_permissions_to_remove)


_modify = AmiBackend.modify_image_attribute


def _modify_support(self: AmisResponse) -> ActionResult:
    support = self._get_param("ImdsSupport", {}).get("Value")
    if support is None:
        answer: ActionResult = _modify_any(self)
        return answer
    if support != "v2.0":
        raise _error("InvalidParameterValue", f"Value ({support}) for parameter ImdsSupport is invalid.")
    _image(self.ec2_backend, self._get_param("ImageId")).imds_support = support
    return ActionResult({"Return": True})


_modify_any = AmisResponse.modify_image_attribute
_modify_support.__name__ = "modify_image_attribute"


def get_image_block_public_access_state(self: AmisResponse) -> ActionResult:
    walled = self.ec2_backend.__dict__.get("walled", True)  # as in every account since 2023
    return ActionResult({"ImageBlockPublicAccessState": "block-new-sharing" if walled else "unblocked"})


def disable_image_block_public_access(self: AmisResponse) -> ActionResult:
    self.ec2_backend.__dict__["walled"] = False
    return ActionResult({"ImageBlockPublicAccessState": "unblocked"})


OVERRIDES: tuple[tuple[type, Any], ...] = (
    (AmisResponse, register_image),
    (AmisResponse, copy_image),
    (AmisResponse, create_image),
    (AmisResponse, describe_images),
    (AmisResponse, deregister_image),
    (AmiBackend, disable_image),
    (EBSBackend, delete_snapshot),
    (EC2Response, enable_image_deprecation),
    (AmiBackend, modify_image_attribute),
    (AmisResponse, _modify_support),
    (EC2Response, get_image_block_public_access_state),
    (EC2Response, disable_image_block_public_access),
)
PROPERTIES: tuple[tuple[type, Any], ...] = ((Ami, block_device_mappings),)
