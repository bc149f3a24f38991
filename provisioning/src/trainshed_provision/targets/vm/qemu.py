"""QEMU in the background: its command line, its process, and its control socket."""

import json
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed_provision import process
from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets.vm.folder import Folder

GUEST_PORTS = {"web": 8080, "api": 8008, "files": 8081, "ssh": 22}
SOCKET_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What QEMU calls a machine. package: of the UEFI; variables: a template, each machine has its copy."""

    machine: str
    package: str
    code: Path
    variables: Path


HARDWARE = {
    "amd64": Hardware(
        machine="q35",
        package="ovmf",
        code=Path("/usr/share/OVMF/OVMF_CODE_4M.fd"),
        variables=Path("/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ),
    "arm64": Hardware(
        machine="virt,gic-version=max",  # a host's processor has not every generation of it
        package="qemu-efi-aarch64",
        code=Path("/usr/share/AAVMF/AAVMF_CODE.fd"),
        variables=Path("/usr/share/AAVMF/AAVMF_VARS.fd"),
    ),
}


def program(spec: VmSpec) -> str:
    """The QEMU for its processor."""
    return f"qemu-system-{ARCHITECTURES[spec.architecture].machine}"


def firmware(spec: VmSpec) -> Hardware:
    """Its hardware, when the files of the UEFI are there; else raise MISSING."""
    hardware = HARDWARE[spec.architecture]
    for file in (hardware.code, hardware.variables):
        if not file.is_file():
            raise ShedError(
                f"not installed: {file}",
                hint=f"install with: sudo apt-get install {hardware.package}",
                code=Exit.MISSING,
            )
    return hardware


def argv(spec: VmSpec, folder: Folder, *, system: Path) -> list[str]:
    """The command line of a machine over the system disk. The monitor socket is relative to the folder, see start()."""
    forwards = [f"hostfwd=tcp:127.0.0.1:{getattr(spec.ports, n)}-:{port}" for n, port in GUEST_PORTS.items()]
    return [
        program(spec),
        *("-name", f"trainshed-{spec.name}"),
        *("-machine", HARDWARE[spec.architecture].machine),
        *("-accel", f"{spec.accel},thread=multi" if spec.accel == "tcg" else spec.accel),
        *("-cpu", ARCHITECTURES[spec.architecture].cpu if spec.accel == "tcg" else "host"),
        *("-smp", str(spec.cpus)),
        *("-m", str(spec.memory_mib)),
        *("-display", "none"),
        *("-chardev", f"file,id=serial,path={_quoted(folder / 'serial.log')}", "-serial", "chardev:serial"),
        *("-qmp", "unix:monitor.sock,server=on,wait=off"),
        *("-pidfile", str(folder / "qemu.pid")),
        "-daemonize",
        *_drive("system", system, "qcow2,discard=unmap", serial="system"),
        *_drive("data", folder.data(spec), "raw,discard=unmap", serial="data"),
        *_drive("seed", folder / "seed.iso", "raw,readonly=on", serial="seed"),
        *("-netdev", ",".join(["user,id=net", *forwards]), "-device", "virtio-net-pci,netdev=net"),
        *("-device", "virtio-rng-pci"),
        *_firmware(spec, folder),
    ]


def start(spec: VmSpec, folder: Folder, *, system: Path) -> None:
    """Start the machine and return when QEMU runs in the background. Raises ShedError(FAILED) when it refuses.

    QEMU starts inside the folder because the path of a unix socket has at most 107 bytes.
    """
    process.need(program(spec))
    (folder / "monitor.sock").unlink(missing_ok=True)
    if (folder / "serial.log").exists():
        (folder / "serial.log").rename(folder / "serial.before.log")
    process.run(argv(spec, folder, system=system), cwd=folder.path)


def pid(folder: Folder) -> int | None:
    """The process of this machine, None when it does not run. A number that another program has now is not taken for it."""
    try:
        number = int((folder / "qemu.pid").read_text())
        words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return number if str(folder / "qemu.pid").encode() in words else None


def power_down(folder: Folder) -> None:
    """Press the power button; the machine shuts down in its own time."""
    ask(folder, "system_powerdown")


def resize_data(folder: Folder, *, size: int) -> None:
    """Make the data disk of a running machine size bytes long; the machine sees it at once."""
    ask(folder, "block_resize", device="data", size=size)


def kill(folder: Folder) -> None:
    """End the process at once, and return when it is gone."""
    number = pid(folder)
    if number is None:
        return
    os.kill(number, signal.SIGKILL)
    while pid(folder) is not None:
        time.sleep(0.05)


def ask(folder: Folder, name: str, **arguments: Any) -> None:
    """Give the machine's monitor a command of QMP. Raises ShedError when QEMU refuses it or does not answer."""
    directory = os.open(folder.path, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(SOCKET_SECONDS)
            monitor.connect(f"/proc/self/fd/{directory}/monitor.sock")  # short, however deep the folder is
            with monitor.makefile("rw") as lines:
                _exchange(lines, {"execute": "qmp_capabilities"})
                _exchange(lines, {"execute": name, "arguments": arguments})
    except OSError as error:
        raise ShedError(f"QEMU does not answer on {folder / 'monitor.sock'}: {error}") from error
    finally:
        os.close(directory)


def _exchange(lines: Any, request: dict[str, Any]) -> None:
    lines.write(json.dumps(request) + "\n")
    lines.flush()
    for line in lines:
        answer = json.loads(line)
        if "error" in answer:
            raise ShedError(f"QEMU refuses {request['execute']}: {answer['error']['desc']}")
        if "return" in answer:
            return
    raise ShedError(f"QEMU ended while it was asked for {request['execute']}")


def _drive(name: str, path: Path, form: str, *, serial: str) -> list[str]:
    node = f"if=none,id={name},file={_quoted(path)},format={form}"
    return ["-drive", node, "-device", f"virtio-blk-pci,drive={name},serial={serial}"]


def _firmware(spec: VmSpec, folder: Folder) -> list[str]:
    if spec.firmware == "bios":
        return []
    code, variables = HARDWARE[spec.architecture].code, _quoted(folder / "uefi-variables.fd")
    return [
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={variables}"),
    ]


def _quoted(path: Path) -> str:
    """A path inside a QEMU option, where a comma is written twice."""
    return str(path).replace(",", ",,")
