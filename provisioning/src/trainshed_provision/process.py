"""The one way to run an external program: an argument list, never a shell; a failure carries the output."""

import logging
import os
import shlex
import shutil
import subprocess
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from trainshed_provision.errors import Exit, ShedError

log = logging.getLogger(__name__)

# Which Debian/Ubuntu package brings a program, for the hint when it is not there.
PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-system-aarch64": "qemu-system-arm",
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "blkid": "util-linux",
    "xorriso": "xorriso",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "zstd": "zstd",
}

OUTPUT_LINES_SHOWN = 20  # of a failed program: enough for a stack of apt errors, short enough to read


def need(*programs: str) -> None:
    """Raise MISSING, naming the packages, unless each program is on PATH."""
    missing = [p for p in programs if shutil.which(p) is None]
    if missing:
        packages = " ".join(sorted({PACKAGE_OF.get(p, p) for p in missing}))
        raise ShedError(
            f"not installed: {', '.join(missing)}",
            hint=f"install with: sudo apt-get install {packages}   (or run ./bootstrap once)",
            code=Exit.MISSING,
        )


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    log_to: Path | None = None,
    accept: Container[int] = (0,),
) -> bytes:
    """Run argv and return its standard output.

    env is added to the present environment. With log_to both output streams are appended to that file instead, and the
    return value is empty. accept: exit codes that are answers. Any other raises ShedError(FAILED) with the exact command
    and the last lines of output.
    """
    command = [str(a) for a in argv]
    log.debug("run: %s", shlex.join(command))
    environment = {**os.environ, **(env or {})}
    if log_to is not None:
        log_to.parent.mkdir(parents=True, exist_ok=True)
        with log_to.open("ab") as out:
            done = subprocess.run(command, cwd=cwd, env=environment, input=stdin, stdout=out, stderr=out, check=False)  # noqa: S603 - argv list
        tail = log_to.read_bytes()[-8192:] if done.returncode not in accept else b""
    else:
        done = subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, check=False)  # noqa: S603 - argv list
        tail = done.stdout + done.stderr
    if done.returncode not in accept:
        lines = tail.decode(errors="replace").strip().splitlines()[-OUTPUT_LINES_SHOWN:]
        detail = "".join(f"\n    {line}" for line in lines)
        raise ShedError(
            f"`{shlex.join(command)}` failed with exit code {done.returncode}{detail}",
            hint=f"the whole output is in {log_to}" if log_to else "",
            code=Exit.FAILED,
        )
    return done.stdout or b""
