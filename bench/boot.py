"""How long the appliance boots, and how much of it is ours.

    sudo .venv/bin/python bench/boot.py [--runs N] [--json]

Boots the newest baked image and, in the same run and turn by turn, a bare image: the same base root with the same kernel and
boot loader, without our roles. Each is a first boot. Seconds begin when GRUB hands over to the kernel; GRUB's own reading of
kernel and initrd is in them. "booted" is the login prompt on the console, "healthy" the first good answer of all services.
Ours is what the appliance takes longer than the bare image takes until it has booted; below zero, it serves before the bare image
would have booted. The last row is what is promised: at most 1.5 times what the bare image takes until sshd answers.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from trainshed_provision import plan
from trainshed_provision.architecture import AMD64
from trainshed_provision.bake import context, disk, layer, packages, rootfs
from trainshed_provision.bake.context import Bake
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.formats import qcow2
from trainshed_provision.spec import GIB, SERVICES, Ports, VmSpec
from trainshed_provision.targets.vm import boot, health, image, qemu
from trainshed_provision.targets.vm.apply import Job, apply
from trainshed_provision.targets.vm.boot import Stage
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder
from trainshed_provision.targets.vm.image import Image

TIMEOUT = 300.0
PORTS = Ports(web=38080, api=38008, files=38081, ssh=32222)
KERNEL, SSH, BOOTED = "kernel", "ssh", "booted"
LOGIN = b"login: "

Run = dict[str, float]  # name of a row to seconds


def main() -> None:
    """Boot both, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="boots of each image (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    root = context.checkout()
    ours = image.find(None, baked=root / "build" / "images")
    with tempfile.TemporaryDirectory(prefix="bench-boot-") as name:
        bare = bare_image(root, Path(name) / "bare.qcow2")
        runs = [measure(ours, bare, Path(name)) for _ in range(options.runs)]
    figures = {row: round(statistics.median(run[row] for run in runs), 2) for row in runs[0]}
    if options.json:
        print(json.dumps({"runs": options.runs, "seconds": figures}))
        return
    print(f"seconds from the start of the kernel, median of {options.runs}")
    for row, seconds in figures.items():
        print(f"{row:28}{seconds:8.2f}")


def measure(ours: Image, bare: Image, state: Path) -> Run:
    """One boot of each."""
    plain = first_boot(bare, state, until={SSH, BOOTED})
    full = first_boot(ours, state, until={SSH, BOOTED, *SERVICES})
    healthy = max(full[name] for name in SERVICES)
    return {
        "bare, sshd": plain[SSH],
        "bare, booted": plain[BOOTED],
        "appliance, sshd": full[SSH],
        "appliance, booted": full[BOOTED],
        **{f"appliance, {name} healthy": full[name] for name in SERVICES},
        "appliance, all healthy": healthy,
        "ours, of booted": full[BOOTED] - plain[BOOTED],
        "ours, of healthy": healthy - plain[BOOTED],
        "times, healthy to bare sshd": healthy / plain[SSH],
    }


def first_boot(taken: Image, state: Path, *, until: set[str]) -> Run:
    """Boot a new machine, note when each stage is reached, throw the machine away. Seconds from the kernel's start."""
    folder, spec = Folder(state, "bench"), VmSpec(name="bench", ports=PORTS, data_gib=1)
    seen: Run = {}

    def note(stage: Stage) -> None:
        seen[stage.name] = stage.seconds

    *make, start, _wait = plan.launch(spec, plan.Observed(free_bytes=100 * GIB))
    job = Job(spec=spec, folder=folder, engine=Local(), image=taken)
    try:
        apply((*make, start), job, tell=lambda step: None)
        boot.watch(
            probes(folder),
            until={KERNEL, *until},
            alive=lambda: qemu.pid(folder) is not None,
            last_words=lambda: boot.serial_tail(folder),
            timeout=TIMEOUT,
            report=note,
        )
    finally:
        qemu.kill(folder)
        folder.remove()
    return {name: seconds - seen[KERNEL] for name, seconds in seen.items()}


def probes(folder: Folder) -> dict[str, Callable[[], bool]]:
    """What to ask while it boots."""

    def service(name: str) -> Callable[[], bool]:
        return lambda: health.answers_200(getattr(PORTS, name), health.PATHS[name])

    return {
        KERNEL: lambda: boot.kernel_started(folder),
        SSH: lambda: health.ssh_answers(PORTS.ssh),
        BOOTED: lambda: LOGIN in (folder / "serial.log").read_bytes(),
        **{name: service(name) for name in SERVICES},
    }


def bare_image(root: Path, path: Path) -> Image:
    """The base root on a disk, as the bake makes one, with nothing of ours in it."""
    commit, epoch = context.commit(root)
    with workdir(root / "build") as work:
        bake = Bake(checkout=root, work=work, version="bare", commit=commit, epoch=epoch, inputs="")
        locked = packages.provide(bake, tell=print)
        rootfs.unpack(bake, rootfs.base(bake, locked))
        layer.install(bake, locked)
        layer.add(bake)
        fstab = bake.tree / "etc/fstab"
        fstab.write_text("".join(line for line in fstab.open() if "trainshed-data" not in line))
        qcow2.write(disk.write(bake), path, epoch=epoch, name="bare")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Image(path=path, sha256=digest, version="bare", architecture=AMD64.name, tree="")


if __name__ == "__main__":
    main()
