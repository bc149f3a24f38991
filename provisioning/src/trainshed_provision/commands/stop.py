"""Shut a machine down in good order; its disks stay. `shed launch` starts it again."""

import argparse
import json
import sys

from trainshed_provision.errors import Exit
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root

HELP = "shut a machine down; its data stay"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed stop`."""
    parser.add_argument("target", choices=["vm"], help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=VmSpec().name, help="of the machine (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def stop(options: argparse.Namespace) -> Exit:
    """Shut down, and say so."""
    folder = Folder(state_root(), options.name)
    steps = vm.stop(folder, engine=Local(), tell=lambda step: print(f"shed: {step.text}", file=sys.stderr))
    if options.json:
        print(json.dumps({"name": options.name, "steps": [s.do for s in steps]}))
    else:
        print(f"'{options.name}' " + ("is stopped" if steps else "was not running"))
    return Exit.OK
