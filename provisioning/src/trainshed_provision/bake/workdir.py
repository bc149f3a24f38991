"""The folder of one bake: gone when the bake ends, however it ends."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def workdir(build: Path) -> Iterator[Path]:
    """A fresh build/work.<pid>, removed at the end; first remove those of bakes that were killed."""
    build.mkdir(parents=True, exist_ok=True)
    for stale in build.glob("work.*"):
        if not _alive(stale.name):
            # A program that the killed bake had started may be writing there still; what it leaves, the next bake removes.
            shutil.rmtree(stale, ignore_errors=True)
    work = build / f"work.{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work)


def _alive(name: str) -> bool:
    match = re.fullmatch(r"work\.(\d+)", name)
    # Our own number on a folder that is already there is a dead namesake's.
    return match is not None and int(match[1]) != os.getpid() and Path("/proc", match[1]).exists()
