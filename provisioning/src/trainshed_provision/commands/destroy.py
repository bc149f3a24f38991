"""Stop a machine and remove it. Its data disk stays, unless --data is named; a disk given by --data-disk always stays."""

import argparse
import json
import sys

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root

HELP = "remove a machine, and with --data its data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed destroy`."""
    parser.add_argument("target", choices=["vm"], help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=VmSpec().name, help="of the machine (%(default)s)")
    parser.add_argument("--data", action="store_true", help="remove its data disk too: there is no way back")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="say what would be removed, and remove nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def destroy(options: argparse.Namespace) -> Exit:
    """Ask, remove, and say what stays."""
    folder = Folder(state_root(), options.name)

    def go(*, dry_run: bool) -> tuple[str, ...]:
        steps = vm.destroy(folder, engine=Local(), data=options.data, dry_run=dry_run, tell=lambda step: None)
        return tuple(step.text for step in steps)

    planned = go(dry_run=True)
    for text in planned:
        print(f"shed: {'would ' if options.dry_run else ''}{text} ({folder.path})", file=sys.stderr)
    if planned and not options.dry_run:
        if not options.yes:
            _ask(options.name)
        go(dry_run=False)
    kept = str(folder / "data.raw") if (folder / "data.raw").exists() else None
    if options.json:
        print(json.dumps({"name": options.name, "steps": planned, "dry_run": options.dry_run, "kept": kept}))
    elif not options.dry_run:
        print(f"'{options.name}' " + ("is removed" if planned else "was not there"))
        if kept:
            print(f"its data disk stays: {kept} (a later launch uses it; shed destroy vm --data removes it)")
    return Exit.OK


def _ask(name: str) -> None:
    hint = "repeat with --yes"
    if not sys.stdin.isatty():
        raise ShedError(f"'{name}' is not removed without a yes", hint=hint, code=Exit.USAGE)
    if input(f"remove '{name}'? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ShedError("nothing was removed", hint=hint, code=Exit.USAGE)
