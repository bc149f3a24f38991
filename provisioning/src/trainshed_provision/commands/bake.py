"""Bake an image from this checkout into build/images. Unchanged inputs are not baked again."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from trainshed_provision import process
from trainshed_provision.bake import context, manifest, vm
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.errors import Exit, ShedError

HELP = "bake an image from this checkout"
NEEDED_BYTES = 4 << 30  # tree 0.7 GB, base 0.4, packages 0.2, disk 1.0, image 0.2, and room


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed bake`."""
    parser.add_argument("target", choices=["vm"], help="what to bake")
    parser.add_argument("--force", action="store_true", help="bake even if nothing changed")
    parser.add_argument("--dry-run", action="store_true", help="print the stages and stop")
    parser.add_argument(
        "--json", action="store_true", help="print the image's manifest as JSON; progress goes to stderr"
    )


def bake(options: argparse.Namespace) -> int:
    """Bake unless the newest image has the same inputs; print what there is then."""
    root = context.checkout()
    if options.dry_run:
        _print_plan(as_json=options.json)
        return Exit.OK
    inputs = context.input_digest(root, week=context.week())
    image = None if options.force else manifest.newest(root / "build" / "images")
    tell = _teller(sys.stderr if options.json else sys.stdout)
    if image and image["inputs"] == inputs:
        tell("nothing changed since the newest image was baked (--force bakes anyway)")
    else:
        image = _bake(root, inputs, tell)
    _print_image(root / "build" / "images", image, as_json=options.json)
    return Exit.OK


def _bake(root: Path, inputs: str, tell: Callable[[str], None]) -> dict[str, Any]:
    preflight(root / "build")
    start = time.monotonic()
    commit, epoch = context.commit(root)
    with _terminable(), _owned_by_caller(root / "build"), workdir(root / "build") as work:
        (root / "build" / "bake.log").write_text("")
        run = context.Bake(
            checkout=root,
            work=work,
            version=context.server_version(root),
            commit=commit,
            epoch=epoch,
            inputs=inputs,
        )
        image = vm.run(run, tell=tell)
    tell(f"{'total':9} {time.monotonic() - start:6.1f} s")
    return image


def preflight(build: Path) -> None:
    """Raise for what would end a bake half-way: rights, programs, room."""
    if os.geteuid() != 0:
        raise ShedError(
            "baking needs root: it makes a file system with other owners' files",
            hint=f"run: sudo {Path(sys.argv[0]).resolve()} {' '.join(sys.argv[1:])}",
            code=Exit.MISSING,
        )
    process.need(*vm.PROGRAMS)
    build.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(build).free
    if free < NEEDED_BYTES:
        raise ShedError(
            f"baking needs {NEEDED_BYTES >> 20} MB free in {build}, and there are {free >> 20}",
            hint="free some, for example by removing build/cache",
            code=Exit.NO_SPACE,
        )


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a bake the way Ctrl-C does, by way of every clean-up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _owned_by_caller(build: Path) -> Iterator[None]:
    """After a bake under sudo, give what was written to the person who called it."""
    try:
        yield
    finally:
        if "SUDO_UID" in os.environ:
            uid, gid = int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
            for path in (build, *build.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)


def _teller(stream: Any) -> Callable[[str], None]:
    return lambda line: print(line, file=stream, flush=True)


def _print_plan(*, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"stage": stage.name, "does": stage.title} for stage in vm.STAGES], indent=2))
    else:
        for stage in vm.STAGES:
            print(f"{stage.name:9} {stage.title}")


def _print_image(images: Path, image: dict[str, Any], *, as_json: bool) -> None:
    path = images / image["file"]
    if as_json:
        print(json.dumps({"path": str(path), **image}, indent=2))
    else:
        print(f"{path}  {image['bytes'] / 1e6:.0f} MB, version {image['version']}, tree {image['tree_digest'][:12]}")
