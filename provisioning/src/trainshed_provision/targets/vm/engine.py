"""What runs machines, as launch, stop and status see it; tests have one that needs no emulator."""

from pathlib import Path
from typing import Protocol

from trainshed_provision.spec import Ports, VmSpec
from trainshed_provision.targets.vm import boot, health, qemu
from trainshed_provision.targets.vm.boot import Report
from trainshed_provision.targets.vm.folder import Folder


class Engine(Protocol):
    """Machines on this host, each known by its folder. Methods raise ShedError when what runs them refuses."""

    def taken(self, ports: Ports) -> frozenset[str]:
        """Names of the ports that cannot be had."""

    def start(self, spec: VmSpec, folder: Folder, *, system: Path) -> None:
        """Start one in the background."""

    def wait(self, spec: VmSpec, folder: Folder, *, timeout: float, report: Report) -> None:
        """Return when all its services are healthy; report the stages on the way."""

    def running(self, folder: Folder) -> bool:
        """Whether it runs, healthy or not."""

    def healthy(self, spec: VmSpec) -> dict[str, bool]:
        """Service name to whether it answers."""

    def power_down(self, folder: Folder) -> None:
        """Ask it to shut down; returns at once."""

    def resize_data(self, folder: Folder, *, size: int) -> None:
        """Make its data disk size bytes long while it runs."""

    def kill(self, folder: Folder) -> None:
        """End it now. Nothing to end is no error."""


class Local:
    """QEMU on this host."""

    taken = staticmethod(health.taken)
    start = staticmethod(qemu.start)
    wait = staticmethod(boot.wait)
    healthy = staticmethod(health.services)
    power_down = staticmethod(qemu.power_down)
    resize_data = staticmethod(qemu.resize_data)
    kill = staticmethod(qemu.kill)

    def running(self, folder: Folder) -> bool:
        """Whether the process is there."""
        return qemu.pid(folder) is not None
