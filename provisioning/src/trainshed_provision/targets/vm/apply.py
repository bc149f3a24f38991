"""Carrying out a plan, one small function per step; what a failed launch has made is unmade again."""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from trainshed_provision import ssh
from trainshed_provision.errors import ShedError
from trainshed_provision.plan import Do, Step
from trainshed_provision.spec import GIB, VmSpec
from trainshed_provision.targets.vm import disks, qemu, seed
from trainshed_provision.targets.vm.boot import Report
from trainshed_provision.targets.vm.engine import Engine
from trainshed_provision.targets.vm.folder import Folder
from trainshed_provision.targets.vm.image import Image

STOP_SECONDS = 90.0  # a shutdown takes 10-20 s under emulation
ASK_AGAIN_SECONDS = 10.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the steps work on. image: needed by a launch. timeout: seconds a launch may take."""

    spec: VmSpec
    folder: Folder
    engine: Engine
    image: Image | None = None
    timeout: float = 0.0
    report: Report = lambda stage: None


def apply(steps: tuple[Step, ...], job: Job, *, tell: Callable[[Step], None]) -> None:
    """Carry out the steps in order. When one fails or is interrupted, undo those of this run and raise on."""
    with ExitStack() as undo:
        for step in steps:
            tell(step)
            STEPS[step.do](job, undo)
        undo.pop_all()


def _make_folder(job: Job, undo: ExitStack) -> None:
    undo.callback(shutil.rmtree, job.folder.path, ignore_errors=True)
    _record(job, undo)


def _record(job: Job, undo: ExitStack) -> None:
    image = job.image.as_json() if job.image else (job.folder.record() or {}).get("image", {})
    job.folder.write_record(job.spec, image=image)


def _make_key(job: Job, undo: ExitStack) -> None:
    ssh.make_key(job.folder / "id_ed25519", comment=f"shed {job.spec.name}")


def _make_seed(job: Job, undo: ExitStack) -> None:
    public_key = (job.folder / "id_ed25519.pub").read_text()
    seed.write(job.folder / "seed.iso", job.spec, public_key=public_key)


def _make_system(job: Job, undo: ExitStack) -> None:
    for old in job.folder.path.glob("system-*"):
        old.unlink()
    (job.folder / "known_hosts").unlink(missing_ok=True)  # a new system makes new host keys
    image = _image(job)
    disks.make_overlay(job.folder.system(image.sha256), over=image.path)
    _record(job, undo)


def _make_firmware(job: Job, undo: ExitStack) -> None:
    shutil.copyfile(qemu.firmware(job.spec).variables, job.folder / "uefi-variables.fd")


def _make_data(job: Job, undo: ExitStack) -> None:
    disks.make_blank(job.folder.data(job.spec), size=job.spec.data_gib * GIB)


def _grow_data(job: Job, undo: ExitStack) -> None:
    size = job.spec.data_gib * GIB
    if job.engine.running(job.folder):
        job.engine.resize_data(job.folder, size=size)
    else:
        disks.grow(job.folder.data(job.spec), size=size)


def _start(job: Job, undo: ExitStack) -> None:
    undo.callback(job.engine.kill, job.folder)
    job.engine.start(job.spec, job.folder, system=job.folder.system(_image(job).sha256))


def _wait(job: Job, undo: ExitStack) -> None:
    try:
        job.engine.wait(job.spec, job.folder, timeout=job.timeout, report=job.report)
    except ShedError as error:
        _keep_serial_log(job.folder)
        where = f"the serial log is kept in {job.folder.failed_log}"
        raise ShedError(
            error.message, hint=f"{error.hint}; {where}" if error.hint else where, code=error.code
        ) from error


def _stop(job: Job, undo: ExitStack) -> None:
    """Ask until it hears (a machine that still boots does not), and pull the plug when it never does."""
    late = time.monotonic() + STOP_SECONDS
    while time.monotonic() < late:
        with suppress(ShedError):  # a QEMU that does not answer is killed below
            job.engine.power_down(job.folder)
        again = time.monotonic() + ASK_AGAIN_SECONDS
        while time.monotonic() < again:
            if not job.engine.running(job.folder):
                return
            time.sleep(POLL_SECONDS)
    job.engine.kill(job.folder)


def _remove_machine(job: Job, undo: ExitStack) -> None:
    job.folder.remove(keep=job.folder / "data.raw")


def _remove_data(job: Job, undo: ExitStack) -> None:
    job.folder.remove()


def _keep_serial_log(folder: Folder) -> None:
    if (folder / "serial.log").exists():
        shutil.copyfile(folder / "serial.log", folder.failed_log)


def _image(job: Job) -> Image:
    assert job.image is not None, "a launch has an image"
    return job.image


STEPS: dict[Do, Callable[[Job, ExitStack], None]] = {
    "make folder": _make_folder,
    "make key": _make_key,
    "make seed": _make_seed,
    "make system": _make_system,
    "make firmware": _make_firmware,
    "make data": _make_data,
    "grow data": _grow_data,
    "record": _record,
    "start": _start,
    "wait": _wait,
    "stop": _stop,
    "remove machine": _remove_machine,
    "remove data": _remove_data,
}
