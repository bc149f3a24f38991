"""Say whether a machine runs and is well: its addresses, the health of each service, its image and its disks."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from trainshed_provision.errors import Exit
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets.vm.engine import Engine, Local
from trainshed_provision.targets.vm.folder import Folder, state_root

HELP = "say whether a machine runs and is well"
MIB = 1024**2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed status`."""
    parser.add_argument("target", choices=["vm"], nargs="?", default="vm", help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=VmSpec().name, help="of the machine (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def status(options: argparse.Namespace) -> Exit:
    """Print what is known; UNHEALTHY when it runs and a service does not answer."""
    known = describe(Folder(state_root(), options.name), engine=Local())
    print(json.dumps(known, indent=2) if options.json else _text(known))
    return Exit.OK if all(known.get("health", {}).values()) else Exit.UNHEALTHY


def describe(folder: Folder, *, engine: Engine) -> dict[str, Any]:
    """All that status knows: name, state and folder; of a machine that was launched also spec, image, disks and urls; of
    a running one also health and uptime in seconds."""
    spec, record = folder.recorded_spec(), folder.record()
    known: dict[str, Any] = {"name": folder.name, "state": "absent", "folder": str(folder.path)}
    if spec is None or record is None:
        return known
    data = folder.data(spec)
    known |= {
        "state": "stopped",
        "spec": spec.as_json(),
        "image": record["image"],
        "urls": spec.urls(),
        "ssh": folder.login(spec).argv(),
        "disks": {
            "system_used": sum(_used(path) for path in folder.path.glob("system-*.qcow2")),
            "data_used": _used(data),
            "data_size": data.stat().st_size if data.exists() else 0,
        },
    }
    if not known["disks"]["system_used"]:
        known["state"] = "absent"  # destroyed; only the data disk is left
    if engine.running(folder):
        health = engine.healthy(spec)
        uptime = round(time.time() - (folder / "qemu.pid").stat().st_mtime)
        known |= {"state": "running", "health": health, "uptime": uptime}
    return known


def _used(path: Path) -> int:
    """Bytes on the host's disk, which for a sparse file is less than its length."""
    return path.stat().st_blocks * 512 if path.exists() else 0


def _text(known: dict[str, Any]) -> str:
    lines = [f"{known['name']}: {known['state']}" + (f" for {known['uptime']} s" if "uptime" in known else "")]
    health = known.get("health", {})
    for service, url in known.get("urls", {}).items():
        said = {True: "healthy", False: "NO ANSWER", None: ""}[health.get(service)]
        lines.append(f"  {service:<6} {url}  {said}".rstrip())
    if image := known.get("image"):
        lines.append(f"  image  {image['version']}  tree {image['tree'][:16]}  {image['path']}")
    if disks := known.get("disks"):
        sizes = {name: f"{value / MIB:.0f} MiB" for name, value in disks.items()}
        lines.append(f"  disks  system {sizes['system_used']}, data {sizes['data_used']} of {sizes['data_size']}")
    lines.append(f"  files  {known['folder']}" if known["state"] != "absent" else "  launch it with: shed launch vm")
    return "\n".join(lines)
