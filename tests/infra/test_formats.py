"""The disk formats boot as they are imported: each on hardware of its kind, by another firmware, and keeps the rules there."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.infra.appliance import BOOT_SECONDS, IMAGES, Appliance, free_ports

from trainshed_provision import plan, process
from trainshed_provision.architecture import AMD64
from trainshed_provision.formats import gce, ova, qcow2, vhd, vmdk
from trainshed_provision.spec import GIB, Ports, VmSpec
from trainshed_provision.targets.vm import boot, qemu
from trainshed_provision.targets.vm.apply import Job, apply
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder

pytestmark = pytest.mark.image

# Not a part of the gate before they have passed as a whole: docs/formats.md says what was tried.
boots = pytest.mark.skipif(not os.environ.get("TRAINSHED_FORMATS"), reason="asked for by `make test-formats`")

OVMF = Path("/usr/share/OVMF")
GROWN = 8 * GIB
CHECKS = {"qcow2": qcow2, "vmdk": vmdk, "ova": ova, "vhd": vhd, "gcp.tar.gz": gce}
# The variable and the kernel's answer to it.
SECURE_BOOT = "od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*; sudo cat /sys/kernel/security/lockdown"


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A machine: QEMU's devices for its disks and its network, and files of OVMF, none for a BIOS."""

    machine: str
    system: str
    data: str
    network: str
    code: str = ""
    variables: str = ""

    def argv(self, folder: Folder, spec: VmSpec, *, disk: Path, form: str) -> list[str]:
        """The command line. The image is only read: what the machine writes is in a file that QEMU forgets."""
        forwards = [f"hostfwd=tcp:127.0.0.1:{getattr(spec.ports, n)}-:{port}" for n, port in qemu.GUEST_PORTS.items()]
        flash: list[str] = []
        if self.code:
            shutil.copyfile(OVMF / self.variables, folder / "uefi-variables.fd")
            flash = [
                *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF / self.code}"),
                *("-drive", f"if=pflash,unit=1,format=raw,file={folder / 'uefi-variables.fd'}"),
            ]
        return [
            *(qemu.program(spec), "-machine", self.machine, "-accel", "tcg,thread=multi"),
            *("-cpu", AMD64.cpu),
            *("-smp", "2", "-m", str(spec.memory_mib), "-display", "none", "-daemonize"),
            *("-serial", f"file:{folder / 'serial.log'}", "-qmp", "unix:monitor.sock,server=on,wait=off"),
            *("-pidfile", str(folder / "qemu.pid")),
            *("-drive", f"if=none,id=system,file={disk},format={form},snapshot=on"),
            *("-drive", f"if=none,id=data,file={folder.data(spec)},format=raw"),
            *("-drive", f"if=none,id=seed,file={folder / 'seed.iso'},format=raw,readonly=on"),
            *("-device", f"{self.system},drive=system,bootindex=0", "-device", f"{self.data},drive=data"),
            *("-device", "virtio-blk-pci,drive=seed"),
            *("-netdev", ",".join(["user,id=net", *forwards]), "-device", f"{self.network},netdev=net"),
            *("-device", "virtio-rng-pci", *flash),
        ]


# As the OVA describes it.
VMWARE = Hardware(
    machine="pc",
    system="ide-hd,bus=ide.0,unit=0",
    data="ide-hd,bus=ide.0,unit=1",
    network="vmxnet3,romfile=",
    code="OVMF_CODE_4M.fd",
    variables="OVMF_VARS_4M.fd",
)
# QEMU has no Hyper-V to offer: SATA instead, which VirtualBox and Proxmox know too.
SATA = Hardware(machine="q35", system="ide-hd,bus=ide.0", data="ide-hd,bus=ide.1", network="virtio-net-pci,romfile=")
# As newer machines of both clouds have it, and as a Shielded VM starts.
CLOUD = Hardware(
    machine="q35,smm=on",
    system="nvme,serial=system",
    data="nvme,serial=data",
    network="virtio-net-pci,romfile=",
    code="OVMF_CODE_4M.ms.fd",
    variables="OVMF_VARS_4M.ms.fd",
)


@pytest.fixture(scope="module")
def files(manifest: dict[str, Any]) -> dict[str, Path]:
    """The images by the ending of their names."""
    return {ending: IMAGES / facts["file"] for ending, facts in manifest["files"].items()}


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone afterwards: pytest would keep a gigabyte of each of the last runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@contextmanager
def booted(state: Path, hardware: Hardware, *, disk: Path, form: str) -> Iterator[Appliance]:
    """A healthy machine of that hardware."""
    machine = Appliance(name="format", state=state, ports=free_ports())
    ports = Ports(**{option[2:].partition("-")[0]: int(option.partition("=")[2]) for option in machine.ports})
    folder, spec = Folder(state, machine.name), VmSpec(name=machine.name, ports=ports, data_gib=1)
    wanted = {"make folder", "make key", "make seed", "make data", "record"}
    steps = plan.launch(spec, plan.Observed(free_bytes=100 * GIB))
    made = tuple(step for step in steps if step.do in wanted)
    apply(made, Job(spec=spec, folder=folder, engine=Local()), tell=lambda step: None)
    try:
        process.run(hardware.argv(folder, spec, disk=disk, form=form), cwd=folder.path)
        boot.wait(spec, folder, timeout=BOOT_SECONDS, report=print)
        yield machine
    finally:
        print(boot.serial_tail(folder))
        qemu.kill(folder)
        shutil.rmtree(state)


def broken_rules(machine: Appliance) -> list[dict[str, Any]]:
    """What `shed check` finds wrong inside the machine and from outside."""
    results = json.loads(machine.shed("check", "--json", ok=(0, 9)))
    assert len(results) > 10
    return [result for result in results if not result["ok"]]


@pytest.mark.parametrize("ending", CHECKS)
def test_each_file_keeps_the_rules_of_its_format(files: dict[str, Path], ending: str) -> None:
    CHECKS[ending].check(files[ending])


@boots
def test_the_disk_of_the_appliance_boots_by_uefi_on_the_hardware_it_describes(
    files: dict[str, Path], scratch: Path
) -> None:
    with tarfile.open(files["ova"]) as tar:
        member = tar.getmembers()[2]
        content = tar.extractfile(member)
        assert content
        disk = scratch / "disk.vmdk"
        with disk.open("wb") as file:
            shutil.copyfileobj(content, file)
    with booted(scratch / "state", VMWARE, disk=disk, form="vmdk") as machine:
        assert broken_rules(machine) == []
        assert "vmxnet3" in machine.inside("basename $(readlink /sys/class/net/e*/device/driver)")
        assert machine.inside("ls -d /sys/firmware/efi").strip() == "/sys/firmware/efi"


@boots
def test_the_vhd_boots_by_bios_from_sata(files: dict[str, Path], scratch: Path) -> None:
    with booted(scratch / "state", SATA, disk=files["vhd"], form="vpc") as machine:
        assert broken_rules(machine) == []
        assert "ahci" in machine.inside("readlink -f /sys/block/sda/device/../../../../driver")
        assert machine.inside("ls /sys/firmware/efi 2>/dev/null") == ""


@boots
def test_the_archive_boots_as_on_a_cloud(files: dict[str, Path], scratch: Path) -> None:
    """By UEFI with Secure Boot, from NVMe, and the root grows into a larger disk."""
    process.run(["tar", "--extract", "--gzip", "--file", files["gcp.tar.gz"], "--directory", scratch])
    os.truncate(scratch / gce.MEMBER, GROWN)
    with booted(scratch / "state", CLOUD, disk=scratch / gce.MEMBER, form="raw") as machine:
        assert broken_rules(machine) == []
        assert int(machine.inside("df --block-size=1 --output=size / | tail -1")) > 0.95 * (GROWN - GIB)
        assert machine.inside(SECURE_BOOT).split() == ["1", "none", "[integrity]", "confidentiality"]
