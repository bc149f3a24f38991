"""The appliance under QEMU on this host: find out what is there, plan, carry the plan out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trainshed_provision import plan
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.plan import Step
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets.vm import image as images
from trainshed_provision.targets.vm.apply import Job, apply
from trainshed_provision.targets.vm.boot import Report
from trainshed_provision.targets.vm.engine import Engine
from trainshed_provision.targets.vm.folder import Folder
from trainshed_provision.targets.vm.observe import observe

Tell = Callable[[Step], None]


def launch(
    spec: VmSpec,
    folder: Folder,
    *,
    engine: Engine,
    image_path: Path | None,
    baked: Path,
    timeout: float,
    dry_run: bool,
    tell: Tell,
    report: Report,
) -> tuple[Step, ...]:
    """Bring the machine up, or tell what that would take (dry_run); return the steps. Safe to repeat.

    image_path: None for the newest image in the folder baked. timeout: seconds until it must be healthy. A launch that fails
    or is interrupted leaves nothing of its own behind but the serial log.
    """
    with folder.locked():
        if engine.running(folder):
            image = None
        else:
            image = images.find(image_path, baked=baked)
            images.verify(image)
            spec = spec.on(image.architecture)
        steps = plan.launch(spec, observe(spec, folder, engine=engine, image=image))
        if not dry_run:
            job = Job(spec=spec, folder=folder, engine=engine, image=image, timeout=timeout, report=report)
            apply(steps, job, tell=tell)
        return steps


def stop(folder: Folder, *, engine: Engine, tell: Tell) -> tuple[Step, ...]:
    """Shut the machine down; return the steps, none when it did not run."""
    with folder.locked():
        spec = known(folder)
        steps = plan.stop(observe(spec, folder, engine=engine))
        apply(steps, Job(spec=spec, folder=folder, engine=engine), tell=tell)
        return steps


def destroy(folder: Folder, *, engine: Engine, data: bool, dry_run: bool, tell: Tell) -> tuple[Step, ...]:
    """Remove the machine, with `data` its data disk too; return the steps."""
    with folder.locked():
        spec = folder.recorded_spec() or VmSpec(name=folder.name)
        steps = plan.destroy(spec, observe(spec, folder, engine=engine), data=data)
        if not dry_run:
            apply(steps, Job(spec=spec, folder=folder, engine=engine), tell=tell)
        return steps


def known(folder: Folder) -> VmSpec:
    """The settings of a machine that was launched. Raises ShedError(NOT_FOUND) when there is none."""
    spec = folder.recorded_spec()
    if spec is None:
        raise ShedError(
            f"no machine '{folder.name}' in {folder.root}",
            hint=f"make one with: shed launch vm --name {folder.name}",
            code=Exit.NOT_FOUND,
        )
    return spec


def running(folder: Folder, *, engine: Engine) -> VmSpec:
    """The settings of a machine that runs. Raises ShedError(NOT_FOUND) when it does not."""
    spec = known(folder)
    if not engine.running(folder):
        raise ShedError(
            f"machine '{folder.name}' is stopped",
            hint=f"start it with: shed launch vm --name {folder.name}",
            code=Exit.NOT_FOUND,
        )
    return spec


def wanted(asked: VmSpec, named: frozenset[str], folder: Folder) -> VmSpec:
    """The settings to launch with: those named on the command line, else those of the last launch, else the defaults."""
    before = folder.recorded_spec()
    if before is None:
        return asked
    ports = {name: getattr(asked.ports, name) for name in ("web", "api", "files", "ssh") if f"{name}_port" in named}
    fields = {name: getattr(asked, name) for name in named if not name.endswith("_port")}
    return replace(before, **fields, ports=replace(before.ports, **ports))
