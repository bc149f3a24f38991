"""Bake images from this checkout into build/images, all from one root. What is there, of unchanged inputs, is not baked again."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, ARCHITECTURES, Architecture
from trainshed_provision.bake import context, foreign, manifest, packages, stages
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.errors import Exit, ShedError

HELP = "bake images from this checkout"
NEEDED_BYTES = 6 << 30  # tree 0.7 GB, base 0.3, root 0.4, packages 0.2, disk 1.0, files 2.0, and room


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed bake`."""
    files = "; ".join(
        f"{target}: {', '.join(endings)}" for target, endings in stages.TARGETS.items() if target != "all"
    )
    parser.add_argument("target", nargs="?", choices=[*stages.TARGETS], help=f"what to bake ({files})")
    parser.add_argument(
        "--architecture",
        choices=list(ARCHITECTURES),
        default=AMD64.name,
        help="of the processor that it runs on (%(default)s); another one's than this machine's is baked by emulation",
    )
    parser.add_argument("--force", action="store_true", help="bake even if nothing changed, the root anew too")
    parser.add_argument(
        "--locked",
        action="store_true",
        help="refuse to bake from other packages than the lock's, whatever the mirrors have",
    )
    parser.add_argument(
        "--update-lock",
        action="store_true",
        help="write the newest packages into images/packages.<architecture>.lock and stop",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the stages and stop")
    parser.add_argument(
        "--json", action="store_true", help="print the image's manifest as JSON; progress goes to stderr"
    )


def bake(options: argparse.Namespace) -> int:
    """Bake those files of the target that the newest image, of the same inputs, does not have; print what there is then."""
    root = context.checkout()
    architecture = ARCHITECTURES[options.architecture]
    if options.update_lock:
        return _update_lock(root, architecture)
    if options.target is None:
        raise ShedError("name what to bake", hint=f"one of: {' '.join(stages.TARGETS)}", code=Exit.USAGE)
    endings = stages.endings_of(options.target, architecture)
    if options.dry_run:
        _print_plan(stages.plan(endings, rooted=False), as_json=options.json)
        return Exit.OK
    inputs = context.input_digest(root, architecture)
    image = None if options.force else manifest.newest(root / "build" / "images", architecture)
    tell = _teller(sys.stderr if options.json else sys.stdout)
    if image and _is_baked(image, inputs, endings, strict=options.locked):
        tell("nothing changed since the newest image was baked (--force bakes anyway)")
    else:
        image = _bake(root, inputs, endings, image=image, options=options, tell=tell)
    _print_image(root / "build" / "images", image, endings, as_json=options.json)
    return Exit.OK


def _is_baked(image: dict[str, Any], inputs: str, endings: tuple[str, ...], *, strict: bool) -> bool:
    """Whether each of these files is there, of these inputs."""
    return image["inputs"] == inputs and set(endings) <= image["files"].keys() and (image["locked"] or not strict)


def _update_lock(root: Path, architecture: Architecture) -> int:
    _need_root("finding Debian's mirrors", why="mmdebstrap makes a root file system to name them")
    process.need("apt-get", "mmdebstrap")
    before = set(packages.parse(packages.committed(root, architecture)))
    with tempfile.TemporaryDirectory(prefix="shed-lock-") as home:
        after = packages.update_lock(root, Path(home), architecture)
    new = sorted(set(after) - before)
    for package in new:
        print(f"{package.name} {package.version}")
    print(f"{root / packages.lock_of(architecture)}: {len(after)} packages, {len(new)} of them new or newer")
    return Exit.OK


def _bake(
    root: Path,
    inputs: str,
    endings: tuple[str, ...],
    *,
    image: dict[str, Any] | None,
    options: argparse.Namespace,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    architecture = ARCHITECTURES[options.architecture]
    preflight(root / "build", architecture)
    start = time.monotonic()
    commit, epoch = context.commit(root)
    if image and (image["inputs"], image["commit"], image["commit_time"]) == (inputs, commit, epoch):
        endings = tuple(ending for ending in endings if ending not in image["files"])
    os.umask(0o022)  # or the modes of files would be the caller's habit
    with _terminable(), _owned_by_caller(root / "build"), workdir(root / "build") as work:
        (root / "build" / "bake.log").write_text("")
        run = context.Bake(
            checkout=root,
            work=work,
            version=context.server_version(root),
            commit=commit,
            epoch=epoch,
            inputs=inputs,
            strict=options.locked,
            architecture=architecture,
        )
        run.cache.mkdir(exist_ok=True)
        rooted = not options.force and run.is_rooted(packages.committed(root, architecture))
        last = manifest.newest(run.images, architecture) or {"seconds": {}}
        made = stages.run(run, stages.plan(endings, rooted=rooted), tell=tell, before=last["seconds"]).manifest
    tell(f"{'total':10} {time.monotonic() - start:6.1f} s")
    return made


def _need_root(what: str, *, why: str) -> None:
    if os.geteuid() != 0:
        raise ShedError(
            f"{what} needs root: {why}",
            hint=f"run: sudo {Path(sys.argv[0]).resolve()} {' '.join(sys.argv[1:])}",
            code=Exit.MISSING,
        )


def preflight(build: Path, architecture: Architecture) -> None:
    """Raise for what would end a bake half-way: rights, programs, a processor that does not run them, room."""
    _need_root("baking", why="it makes a file system with other owners' files")
    process.need(*stages.PROGRAMS)
    build.mkdir(parents=True, exist_ok=True)
    foreign.need(architecture, within=build)
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


def _print_plan(plan: tuple[stages.Stage, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"stage": stage.name, "does": stage.title} for stage in plan], indent=2))
    else:
        for stage in plan:
            print(f"{stage.name:10} {stage.title}")


def _print_image(images: Path, image: dict[str, Any], endings: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"folder": str(images), **image}, indent=2))
        return
    for file in (image["files"][ending] for ending in endings):
        print(f"{images / file['file']}  {(images / file['file']).stat().st_blocks * 512 / 1e6:.0f} MB")
    print(f"version {image['version']}, tree {image['tree_digest'][:12]}")
