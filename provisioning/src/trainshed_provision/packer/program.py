"""The program itself: where it is, how new, and one run of it, that cleans up when it is interrupted."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.packer import output
from trainshed_provision.packer.output import Line

# The first Packer that knows all of a template: IMDSv2 of a builder came late.
OLDEST = {"aws": (1, 9, 0), "gcp": (1, 9, 0), "docker": (1, 6, 0), "qemu": (1, 6, 0)}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A run. lines: all that it said; code: how it ended."""

    lines: tuple[Line, ...]
    code: int

    @property
    def complaint(self) -> str:
        """What it says went wrong; its warnings come by the same way."""
        said = [part for line in self.lines if line.is_error for part in _BEGINNING.split(line.said)]
        return "\n".join(part for part in said if part.strip() and not _WARNING.match(part))

    @property
    def text(self) -> str:
        """All that people are told."""
        return "\n".join(line.said for line in self.lines)


def find(checkout: Path, given: str = "") -> Path:
    """The program: the one that is named, ours (images/packer/install), or the machine's. Raises MISSING."""
    ours = checkout / "build" / "tools" / "packer"
    found = shutil.which(given) if given else (str(ours) if ours.exists() else shutil.which("packer"))
    if found is None:
        raise ShedError(
            f"not installed: {given or 'packer'}",
            hint="run images/packer/install, which builds it, or: sudo apt-get install packer (1.6, for docker and qemu alone)",
            code=Exit.MISSING,
        )
    return Path(found)


def check_age(program: Path, target: str) -> tuple[int, ...]:
    """Its version. Raises MISSING when it is too old for the target's template."""
    lines = process.run([program, "-machine-readable", "version"], env=_QUIET).decode().splitlines()
    found = output.version(line for line in map(output.parse, lines) if line)
    if found < OLDEST[target]:
        wanted, got = (".".join(map(str, numbers)) for numbers in (OLDEST[target], found))
        raise ShedError(
            f"{program} is {got or 'of no known version'}, and the template of {target} needs {wanted} or newer",
            hint="run images/packer/install, which builds one",
            code=Exit.MISSING,
        )
    return found


def run(
    argv: Sequence[str | Path], *, env: Mapping[str, str], log: Path, heard: Callable[[Line], None] = lambda line: None
) -> Ended:
    """Run argv, a machine-readable Packer; give each of its lines on as it comes, and keep them in the log as text.

    Interrupted, it is told so, once, and waited for: it removes the machines, keys and disks that it has made. A second
    interruption reaches it, too, and it ends at once.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    with log.open("w") as written, _started(argv, env, written) as child, _told_of_interruptions(child) as interrupted:
        for raw in child.stdout or ():
            if line := output.parse(raw):
                lines.append(line)
                heard(line)
                if line.said:
                    print(line.said, file=written, flush=True)
        code = child.wait()
    if interrupted:
        raise KeyboardInterrupt
    return Ended(lines=tuple(lines), code=code)


def _started(argv: Sequence[str | Path], env: Mapping[str, str], complaints: IO[str]) -> subprocess.Popen[str]:
    # A session of its own: the terminal would tell it of Ctrl-C a second time, which makes it end without cleaning up.
    return subprocess.Popen(  # noqa: S603 - argv list
        [str(word) for word in argv],
        env={**os.environ, **_QUIET, **env},
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=_interruptible,
    )


def _interruptible() -> None:
    """What a shell starts in its background ignores SIGINT, which is how Packer is told to clean up."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def _told_of_interruptions(child: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on as SIGINT, to the child and what it started. Yields those that came."""
    came: list[int] = []

    def told(number: int, frame: FrameType | None) -> None:
        came.append(number)
        os.killpg(child.pid, signal.SIGINT)

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_BEGINNING = re.compile(r"^(?=Warning: |Error: )", re.MULTILINE)  # of one of several in a line
_WARNING = re.compile(r"(==> [^:]+: )?Warning: ")

# No question to its makers for a newer version, no colours.
_QUIET = {"CHECKPOINT_DISABLE": "1", "PACKER_NO_COLOR": "1"}
