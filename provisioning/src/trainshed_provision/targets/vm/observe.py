"""What is there now, in the words of the plan."""

import shutil
from pathlib import Path

from trainshed_provision.plan import Observed, Part
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets.vm import disks
from trainshed_provision.targets.vm.engine import Engine
from trainshed_provision.targets.vm.folder import Folder
from trainshed_provision.targets.vm.image import Image

FILES: dict[Part, str] = {
    "key": "id_ed25519",
    "seed": "seed.iso",
    "firmware": "uefi-variables.fd",
    "data": "data.raw",
}


def observe(spec: VmSpec, folder: Folder, *, engine: Engine, image: Image | None = None) -> Observed:
    """Look at the machine's folder, process, ports and disks. Changes nothing.

    spec: as it is to be. image: that it is to have; None to take any system disk for a whole one.
    """
    recorded = folder.recorded_spec()
    running = engine.running(folder)
    return Observed(
        recorded=recorded,
        foreign=recorded is None and folder.path.exists() and any(folder.path.iterdir()),
        running=running,
        healthy=running and all(engine.healthy(spec).values()),
        parts=_parts(folder, image),
        taken=frozenset() if running else engine.taken(spec.ports),
        data_bytes=_size(folder / "data.raw"),
        data_content="" if running else _content(spec, folder),
        free_bytes=shutil.disk_usage(_existing(folder.path)).free,
    )


def _parts(folder: Folder, image: Image | None) -> frozenset[Part]:
    parts: set[Part] = {part for part, name in FILES.items() if (folder / name).exists()}
    systems = [folder.system(image.sha256)] if image else list(folder.path.glob("system-*.qcow2"))
    if any(path.exists() for path in systems):
        parts.add("system")
    return frozenset(parts)


def _content(spec: VmSpec, folder: Folder) -> str:
    data = folder.data(spec)
    return disks.content(data) if spec.data_disk or data.exists() else ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
