"""From what is wanted and what is there to the steps between: pure, so the same input gives the same plan."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import GIB, VmSpec

Part = Literal["key", "seed", "system", "firmware", "data"]
Do = Literal[
    "make folder", "make key", "make seed", "make system", "make firmware", "make data", "grow data", "record",
    "start", "wait", "stop", "remove machine", "remove data",
]  # fmt: skip

SYSTEM_BYTES = 1 * GIB  # what the overlay grows by in ordinary use: logs, updates
OURS = "trainshed-data"  # the label of a data file system that an appliance has made


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is there now, as far as a plan depends on it.

    recorded: what the last launch asked for, None when there was none. foreign: the folder is there and is not ours.
    parts: those that are whole; "system" only when it lies over the very image that is to be launched.
    taken: port names that something else holds. data_bytes: size of the data disk that we made, 0 when there is none.
    data_content: of the disk that is to be used: "" for blank, OURS for our own file system, else what a person would call
    it, e.g. "ext4 labelled 'backup'".
    free_bytes: on the disk that holds the state.
    """

    recorded: VmSpec | None = None
    foreign: bool = False
    running: bool = False
    healthy: bool = False
    parts: frozenset[Part] = frozenset()
    taken: frozenset[str] = frozenset()
    data_bytes: int = 0
    data_content: str = ""
    free_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do. text: for a person, in a dry run and in the progress."""

    do: Do
    text: str


def launch(spec: VmSpec, observed: Observed) -> tuple[Step, ...]:
    """Steps to a running, healthy machine; none when it is one. Raises ShedError for what must not be touched."""
    _refuse_foreign_folder(spec, observed)
    grow = _grow(spec, observed)
    if observed.running:
        _refuse_other_settings(spec, observed)
        return grow if observed.healthy else (*grow, _wait(spec))
    _refuse_taken_ports(spec, observed)
    _refuse_foreign_data(spec, observed)
    _refuse_full_disk(spec, observed)
    return (*_make(spec, observed), *grow, Step(do="start", text=_start_text(spec)), _wait(spec))


def stop(observed: Observed) -> tuple[Step, ...]:
    """Steps to a machine that does not run."""
    return (Step(do="stop", text="shut the machine down"),) if observed.running else ()


def destroy(spec: VmSpec, observed: Observed, *, data: bool) -> tuple[Step, ...]:
    """Steps to nothing left but the data disk; with data, to nothing at all. A disk of the user's own always stays."""
    _refuse_foreign_folder(spec, observed)
    if observed.recorded is None:
        return ()
    steps = stop(observed)
    ours = observed.data_bytes > 0
    if observed.parts - {"data"}:
        steps += (Step(do="remove machine", text="remove the system disk, keys and logs"),)
    if data or not ours:
        what = "remove the data disk with all that is on it" if ours else "remove the empty folder"
        steps += (Step(do="remove data", text=what),)
    return steps


def _make(spec: VmSpec, observed: Observed) -> tuple[Step, ...]:
    folder = (Step(do="make folder", text=f"make the folder of machine '{spec.name}'"),)
    wanted: dict[Part, Step] = {
        "key": Step(do="make key", text="make an ssh key pair for the login 'admin'"),
        "seed": Step(do="make seed", text="write the first-boot settings (cloud-init seed)"),
        "system": Step(do="make system", text="lay a system disk over the image, which itself is never written"),
    }
    if spec.firmware == "uefi":
        wanted["firmware"] = Step(do="make firmware", text="copy the UEFI variables")
    if not spec.data_disk:
        wanted["data"] = Step(do="make data", text=f"make a blank data disk of {spec.data_gib} GiB")
    before, parts = observed.recorded, observed.parts
    if before and before.architecture != spec.architecture:
        parts -= {"firmware"}  # it is of the other one
    steps = tuple(step for part, step in wanted.items() if part not in parts)
    if before is None:
        return folder + steps
    return (*steps, Step(do="record", text="record the settings")) if before != spec else steps


def _grow(spec: VmSpec, observed: Observed) -> tuple[Step, ...]:
    if spec.data_disk or not observed.data_bytes:
        return ()
    if spec.data_gib * GIB < observed.data_bytes:
        raise ShedError(
            f"the data disk has {observed.data_bytes / GIB:.0f} GiB and is never made smaller",
            hint=f"leave --data-size out, or give at least {observed.data_bytes / GIB:.0f}",
            code=Exit.CONFLICT,
        )
    if spec.data_gib * GIB == observed.data_bytes:
        return ()
    step = Step(do="grow data", text=f"grow the data disk to {spec.data_gib} GiB")
    return (step, Step(do="record", text="record the settings")) if observed.running else (step,)


def _wait(spec: VmSpec) -> Step:
    return Step(do="wait", text=f"wait until all services answer ({', '.join(spec.urls().values())})")


def _start_text(spec: VmSpec) -> str:
    return f"start QEMU ({spec.architecture}, {spec.firmware}, {spec.accel}, {spec.cpus} CPUs, {spec.memory_mib} MiB)"


def _refuse_foreign_folder(spec: VmSpec, observed: Observed) -> None:
    if observed.foreign:
        raise ShedError(
            f"the folder for machine '{spec.name}' holds files that shed did not make; nothing was touched",
            hint="choose another --name, or move those files away (shed status says where it is)",
            code=Exit.CONFLICT,
        )


def _refuse_other_settings(spec: VmSpec, observed: Observed) -> None:
    before = asdict(replace(observed.recorded or spec, data_gib=spec.data_gib))
    other = [name for name, value in asdict(spec).items() if before[name] != value]
    if other:
        raise ShedError(
            f"machine '{spec.name}' is running with other settings ({', '.join(other)})",
            hint=f"shed stop vm --name {spec.name}, then launch it again; its data stay",
            code=Exit.CONFLICT,
        )


def _refuse_taken_ports(spec: VmSpec, observed: Observed) -> None:
    if observed.taken:
        said = ", ".join(f"{getattr(spec.ports, name)} ({name})" for name in sorted(observed.taken))
        options = " ".join(f"--{name}-port N" for name in sorted(observed.taken))
        raise ShedError(
            f"in use by another program: port {said}", hint=f"choose another: {options}", code=Exit.CONFLICT
        )


def _refuse_foreign_data(spec: VmSpec, observed: Observed) -> None:
    if observed.data_content not in ("", OURS):
        raise ShedError(
            f"the data disk holds {observed.data_content}; it was not touched",
            hint=f"give a blank disk, or one with a file system labelled {OURS}",
            code=Exit.CONFLICT,
        )


def _refuse_full_disk(spec: VmSpec, observed: Observed) -> None:
    data = 0 if spec.data_disk else max(0, spec.data_gib * GIB - observed.data_bytes)
    needed = data + (0 if "system" in observed.parts else SYSTEM_BYTES)
    if observed.free_bytes < needed:
        raise ShedError(
            f"not enough free disk: {needed / GIB:.1f} GiB needed, {observed.free_bytes / GIB:.1f} GiB free",
            hint="free some, give a smaller --data-size, or set SHED_STATE_DIR to a folder on a larger disk",
            code=Exit.NO_SPACE,
        )
