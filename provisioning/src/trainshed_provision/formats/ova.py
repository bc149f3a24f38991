"""A streamOptimized VMDK as an appliance: OVF 1.1 descriptor, manifest and disk in one tar, for VMware and VirtualBox.

The machine it describes has hardware that both know and Debian's cloud kernel has drivers for: IDE disks, and VMware's vmxnet3,
which VirtualBox replaces by an e1000 without a driver (docs/images.md says the one command after the import). Beside the
system disk it has a blank one, on which the server keeps its data. It boots by BIOS and UEFI alike; the choice noted in the
descriptor is UEFI, of which VirtualBox takes no notice.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.formats import disk, vmdk

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")  # goes into XML, file names and a machine's name as it is
LARGEST = 8**11  # bytes of a member, by USTAR, which the OVF specification (DSP0243) asks for
MACHINE = 13  # VMware's hardware version: ESXi 6.5, the first with SHA-256 in manifests and Secure Boot
CPUS, MEMORY_MIB, DATA_BYTES = 2, 4096, 32 << 30
STREAM = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
DEBIAN_64 = 96  # of CIM's operating systems
MANIFEST_LINE = re.compile(r"SHA256\((?P<file>[^)]+)\)= (?P<digest>[0-9a-f]{64})")
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"

DESCRIPTOR = """\
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="{cim}/CIM_ResourceAllocationSettingData"
  xmlns:vssd="{cim}/CIM_VirtualSystemSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
  <References>
    <File ovf:id="system-file" ovf:href="{file}" ovf:size="{file_bytes}"/>
  </References>
  <DiskSection>
    <Info>The system, and a blank disk for the data</Info>
    <Disk ovf:diskId="system" ovf:fileRef="system-file" ovf:capacity="{capacity}" ovf:format="{stream}"/>
    <Disk ovf:diskId="data" ovf:capacity="{data_bytes}" ovf:format="{stream}"/>
  </DiskSection>
  <NetworkSection>
    <Info>One network, with DHCP</Info>
    <Network ovf:name="VM Network">
      <Description>Where clients reach the server</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>Trainshed</Info>
    <Name>{name}</Name>
    <AnnotationSection>
      <Info>What to know first</Info>
      <Annotation>Boots by BIOS, UEFI and UEFI with Secure Boot. The second disk holds the data: keep it.</Annotation>
    </AnnotationSection>
    <OperatingSystemSection ovf:id="{system}" vmw:osType="debian10_64Guest">
      <Info>Debian, 64 bit</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>The least hardware it runs well on</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-{machine}</vssd:VirtualSystemType>
      </System>
{items}
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""
# Fields of an item are in the order of the alphabet, as the schema wants them.
ITEMS: tuple[dict[str, str | int], ...] = (
    {
        "AllocationUnits": "hertz * 10^6",
        "Description": "Number of virtual CPUs",
        "ElementName": f"{CPUS} virtual CPUs",
        "InstanceID": 1,
        "ResourceType": 3,
        "VirtualQuantity": CPUS,
    },
    {
        "AllocationUnits": "byte * 2^20",
        "Description": "Memory size",
        "ElementName": f"{MEMORY_MIB} MB of memory",
        "InstanceID": 2,
        "ResourceType": 4,
        "VirtualQuantity": MEMORY_MIB,
    },
    {
        "Address": 0,
        "Description": "IDE controller",
        "ElementName": "IDE 0",
        "InstanceID": 3,
        "ResourceType": 5,
    },
    {
        "AddressOnParent": 0,
        "ElementName": "System disk",
        "HostResource": "ovf:/disk/system",
        "InstanceID": 4,
        "Parent": 3,
        "ResourceType": 17,
    },
    {
        "AddressOnParent": 1,
        "ElementName": "Data disk",
        "HostResource": "ovf:/disk/data",
        "InstanceID": 5,
        "Parent": 3,
        "ResourceType": 17,
    },
    {
        "AddressOnParent": 7,
        "AutomaticAllocation": "true",
        "Connection": "VM Network",
        "ElementName": "Ethernet 1",
        "InstanceID": 6,
        "ResourceSubType": "VmxNet3",
        "ResourceType": 10,
    },
)


def write(source: Path, target: Path, *, epoch: int, name: str) -> None:
    """Write the VMDK `source` as `target`. epoch: seconds, the time of the members. name: of the machine and the files.

    Raises ShedError: USAGE for a name that cannot be one, CORRUPT when the source is no VMDK or too large for the format.
    """
    if not NAME.fullmatch(name):
        raise ShedError(f"'{name}' is no name for an appliance", hint="use letters, digits, '.', '_'", code=Exit.USAGE)
    with source.open("rb") as file, disk.whole(target) as partial:
        size, capacity = source.stat().st_size, vmdk.capacity(file, start=0)
        if not capacity or size >= LARGEST:
            raise ShedError(f"{source} is no VMDK of less than 8 GiB", code=Exit.CORRUPT)
        disk_file = f"{name}-disk1.vmdk"
        text = describe(name=name, file=disk_file, file_bytes=size, capacity=capacity).encode()
        lines = {f"{name}.ovf": hashlib.sha256(text).hexdigest(), disk_file: _digest(file, 0, size)}
        manifest = "".join(f"SHA256({member})= {digest}\n" for member, digest in lines.items()).encode()
        members: dict[str, tuple[BinaryIO, int]] = {
            f"{name}.ovf": (io.BytesIO(text), len(text)),
            f"{name}.mf": (io.BytesIO(manifest), len(manifest)),
            disk_file: (file, size),
        }
        file.seek(0)
        with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as tar:
            for member, (content, length) in members.items():
                entry = tarfile.TarInfo(member)
                entry.size, entry.mtime = length, epoch
                tar.addfile(entry, content)


def describe(*, name: str, file: str, file_bytes: int, capacity: int) -> str:
    """The OVF descriptor."""
    return DESCRIPTOR.format(
        cim=CIM,
        name=name,
        file=file,
        file_bytes=file_bytes,
        capacity=capacity,
        data_bytes=DATA_BYTES,
        stream=STREAM,
        system=DEBIAN_64,
        machine=MACHINE,
        items="\n".join(_item(fields) for fields in ITEMS),
    )


def _item(fields: dict[str, str | int]) -> str:
    rows = "".join(f"        <rasd:{field}>{value}</rasd:{field}>\n" for field, value in fields.items())
    return f"      <Item>\n{rows}      </Item>"


def _digest(file: BinaryIO, start: int, size: int) -> str:
    """sha256 of so many bytes of the file."""
    digest = hashlib.sha256()
    file.seek(start)
    while piece := file.read(min(disk.MIB, size)):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


def check(path: Path) -> None:
    """Raise ShedError(CORRUPT) unless it is an appliance as importers want it: order, digests, sizes, and the disk itself."""
    disk.refuse(path, _problems(path))


def _problems(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            if file.read(512)[257:265] != b"ustar\x0000":
                yield "no USTAR archive"
                return
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                members = tar.getmembers()
            yield from _problems_of_members(file, members)
    except (tarfile.TarError, expat.ExpatError, UnicodeDecodeError) as error:
        yield f"cannot be read: {error}"


def _problems_of_members(file: BinaryIO, members: list[tarfile.TarInfo]) -> Iterator[str]:
    names = [member.name for member in members]
    # The descriptor first, so that it can be read from a stream; then the manifest; then the files in their order.
    if [name.rpartition(".")[2] for name in names] != ["ovf", "mf", "vmdk"]:
        yield f"holds {', '.join(names) or 'nothing'}, not a descriptor, a manifest and a VMDK in this order"
        return
    descriptor, manifest, system = members
    stated = dict(MANIFEST_LINE.findall(_read(file, manifest).decode()))
    for member in (descriptor, system):
        if stated.get(member.name) != _digest(file, member.offset_data, member.size):
            yield f"{member.name} is not what the manifest says"
    found = _described(_read(file, descriptor))
    if found.files != {system.name: system.size}:
        yield f"the descriptor names {found.files}, and there is {system.name} of {system.size} bytes"
    capacity = vmdk.capacity(file, start=system.offset_data)
    if found.capacity != capacity:
        yield f"the descriptor says a disk of {found.capacity} bytes, and it has {capacity}"
    for problem in vmdk.problems(file, start=system.offset_data, size=system.size):
        yield f"{system.name}: {problem}"


def _read(file: BinaryIO, member: tarfile.TarInfo) -> bytes:
    file.seek(member.offset_data)
    return file.read(member.size)


@dataclass
class _Described:
    """What a descriptor says. files: size by name; capacity: of the disk that has a file."""

    files: dict[str, int]
    capacity: int = 0


def _described(text: bytes) -> _Described:
    found = _Described(files={})

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag == "File":
            found.files[attributes.get("ovf:href", "")] = int(attributes.get("ovf:size", "0"))
        if tag == "Disk" and "ovf:fileRef" in attributes:
            found.capacity = int(attributes.get("ovf:capacity", "0"))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse(text, True)
    return found
