"""What a person wants to run, as plain values: no machine is looked at here."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from trainshed_provision.architecture import AMD64, ARCHITECTURES
from trainshed_provision.errors import Exit, ShedError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")  # a host name and a folder name at once
SERVICES = ("web", "api", "files")
GIB = 1024**3

Firmware = Literal["bios", "uefi"]
Accelerator = Literal["tcg", "kvm"]


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Ports on 127.0.0.1 of this host that lead to the machine's services."""

    web: int = 8080
    api: int = 8008
    files: int = 8081
    ssh: int = 2222


@dataclass(frozen=True, kw_only=True)
class VmSpec:
    """One appliance on this host.

    memory_mib: MiB of RAM. data_gib: size of the data disk in GiB. data_disk: path of a raw disk of the user's own, or ""
    for one that we make and keep beside the machine. accel: tcg is software emulation, works everywhere; kvm is fast.
    architecture: of the image; not every one has a BIOS.
    Raises ShedError(USAGE) for values that no machine can have.
    """

    name: str = "trainshed"
    cpus: int = 2
    memory_mib: int = 2048
    data_gib: int = 8
    data_disk: str = ""
    ports: Ports = field(default_factory=Ports)
    firmware: Firmware = "bios"
    accel: Accelerator = "tcg"
    architecture: str = AMD64.name

    def __post_init__(self) -> None:
        """Refuse what would only fail later, inside QEMU, with a message nobody can read."""
        if not NAME.fullmatch(self.name):
            raise _usage(f"'{self.name}' is no name for a machine", "use small letters, digits and '-'")
        if min(self.cpus, self.memory_mib // 512, self.data_gib) < 1:
            raise _usage("a machine has at least 1 CPU, 512 MiB of memory and 1 GiB of data", "see shed launch --help")
        ports = asdict(self.ports)
        if not all(0 < port < 65536 for port in ports.values()):
            raise _usage(f"ports are 1 to 65535, not {sorted(ports.values())}", "see shed launch --help")
        if len(set(ports.values())) < len(ports):
            said = ", ".join(f"{name} {port}" for name, port in ports.items())
            raise _usage(f"two services on one port: {said}", "give each its own: --web-port, --api-port, ...")

    def on(self, architecture: str) -> "VmSpec":
        """The same for an image of that architecture, by UEFI where there is no other way."""
        firmware: Firmware = self.firmware if ARCHITECTURES[architecture].bios else "uefi"
        return replace(self, architecture=architecture, firmware=firmware)

    def urls(self) -> dict[str, str]:
        """Service name to the address a client on this host uses."""
        return {name: f"http://127.0.0.1:{getattr(self.ports, name)}" for name in SERVICES}

    def as_json(self) -> dict[str, Any]:
        """The fields by name, ready for json.dumps."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "VmSpec":
        """The reverse of as_json."""
        return cls(**{**fields, "ports": Ports(**fields["ports"])})


def _usage(message: str, hint: str) -> ShedError:
    return ShedError(message, hint=hint, code=Exit.USAGE)
