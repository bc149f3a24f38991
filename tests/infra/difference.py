"""Where two bakes of one commit differ, said by path; by diffoscope, in depth, where that is installed."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from trainshed_provision.bake import ext4, tree

MOST = 40  # lines of a report
DIFFOSCOPE_SECONDS = 600


def report(first: Path, second: Path) -> str:
    """What is different in two files: root tars or raw disks."""
    if shutil.which("diffoscope"):
        argv: list[str | Path] = [
            "diffoscope",
            "--no-progress",
            "--max-text-report-size=20000",
            "--text=-",
            first,
            second,
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=DIFFOSCOPE_SECONDS, check=False)
        return str(done.stdout or done.stderr)
    lines = _by_path(first, second) or _members(first, second) or [f"from byte {_first_byte(first, second)} on"]
    more = [f"... and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return "\n".join([*lines[:MOST], *more])


def _by_path(first: Path, second: Path) -> list[str]:
    """The lines of the two listings that are in one alone."""
    one, two = (set(tree.listing(_files(path)).splitlines()) for path in (first, second))
    marked = [(line.partition("\t")[2], f"- {line}") for line in one - two]
    marked += [(line.partition("\t")[2], f"+ {line}") for line in two - one]
    return [text for _, text in sorted(marked)]


def _files(path: Path) -> tree.Files:
    if not tarfile.is_tarfile(path):
        return ext4.of_disk(path)
    with path.open("rb") as file:
        return tree.of_tar(file)


def _members(first: Path, second: Path) -> list[str]:
    """For tars whose files are the same: times and the order."""
    if not tarfile.is_tarfile(first):
        return []
    with tarfile.open(first) as one, tarfile.open(second) as two:
        pairs = zip(one, two, strict=False)
        return [f"{a.name}: {a.mtime} {b.name}: {b.mtime}" for a, b in pairs if (a.name, a.mtime) != (b.name, b.mtime)]


def _first_byte(first: Path, second: Path) -> int:
    place = 0
    with first.open("rb") as one, second.open("rb") as two:
        while (a := one.read(1 << 20)) == (b := two.read(1 << 20)) and a:
            place += len(a)
    return place + next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
