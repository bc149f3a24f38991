"""Watching a machine come up: stages from its serial console and its ports, each with its second."""

import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import SERVICES, VmSpec
from trainshed_provision.targets.vm import health, qemu
from trainshed_provision.targets.vm.folder import Folder

KERNEL, SSH = "kernel", "ssh"
KERNEL_LINE = b"Booting `"  # GRUB's last words; the kernel itself is quiet
ESCAPES = re.compile(r"\x1b(\[[0-9;?!]*[a-zA-Z]|\][0-9]*)|[^\n\x20-\x7e]")  # of a terminal: no use in a message
POLL_SECONDS = 0.25
TAIL_LINES = 5


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A thing reached: kernel, ssh or a service; seconds since the wait began, at QEMU's start."""

    name: str
    seconds: float


Report = Callable[[Stage], None]


def wait(spec: VmSpec, folder: Folder, *, timeout: float, report: Report) -> None:
    """Report each stage as it is reached; return when all services are healthy and ssh lets people in for credentials.

    Raises ShedError: UNHEALTHY after timeout seconds, FAILED when the machine ends before.
    """
    watch(
        _probes(spec, folder),
        until={SSH, *SERVICES},
        alive=lambda: qemu.pid(folder) is not None,
        last_words=lambda: serial_tail(folder),
        timeout=timeout,
        report=report,
    )


def watch(
    probes: Mapping[str, Callable[[], bool]],
    *,
    until: set[str],
    alive: Callable[[], bool],
    last_words: Callable[[], str],
    timeout: float,
    report: Report,
) -> None:
    """Ask each probe again and again, in a thread of its own, until those named in `until` have held."""
    reached: queue.Queue[Stage] = queue.Queue()
    over = threading.Event()
    started = time.monotonic()

    def ask(name: str, probe: Callable[[], bool]) -> None:
        while not over.is_set():
            if probe():
                reached.put(Stage(name=name, seconds=time.monotonic() - started))
                return
            over.wait(POLL_SECONDS)

    for name, probe in probes.items():
        threading.Thread(target=ask, args=(name, probe), daemon=True).start()
    missing = set(until)
    try:
        while missing:
            try:
                stage = reached.get(timeout=POLL_SECONDS)
            except queue.Empty:
                if not alive():
                    raise ShedError(f"the machine ended before it was healthy; its last words:{last_words()}") from None
                if time.monotonic() - started > timeout:
                    raise _late(missing, last_words()) from None
                continue
            missing.discard(stage.name)
            report(stage)
    finally:
        over.set()


def serial(folder: Folder) -> str:
    """What the machine has said on its serial console since it started, as a person reads it."""
    return ESCAPES.sub("", _serial(folder).decode(errors="replace"))


def serial_tail(folder: Folder) -> str:
    """The last lines of the serial console, one per line, indented."""
    lines = [line.strip() for line in serial(folder).splitlines() if line.strip()]
    return "".join(f"\n        {line}" for line in lines[-TAIL_LINES:])


def kernel_started(folder: Folder) -> bool:
    """Whether the boot loader has handed over to a kernel."""
    return KERNEL_LINE in _serial(folder)


def _probes(spec: VmSpec, folder: Folder) -> dict[str, Callable[[], bool]]:
    def service(name: str) -> Callable[[], bool]:
        return lambda: health.answers_200(getattr(spec.ports, name), health.PATHS[name])

    return {
        KERNEL: lambda: kernel_started(folder),
        SSH: lambda: health.ssh_answers(spec.ports.ssh),
        **{name: service(name) for name in SERVICES},
    }


def _late(missing: set[str], last_words: str) -> ShedError:
    return ShedError(
        f"no answer in time from: {', '.join(sorted(missing))}; the machine's last words:{last_words}",
        hint="give it longer with --timeout SECONDS",
        code=Exit.UNHEALTHY,
    )


def _serial(folder: Folder) -> bytes:
    try:
        return (folder / "serial.log").read_bytes()
    except FileNotFoundError:
        return b""
