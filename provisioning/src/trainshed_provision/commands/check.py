"""Ask a running machine every rule of an image that can be asked from inside, and each service from outside.

The rules and their ids are those that the bake asks of the offline tree. Exit code 9 when one does not hold.
"""

import argparse
import json

import testinfra  # type: ignore[import-untyped]  # it ships no types

from trainshed_provision import assertions, ssh
from trainshed_provision.assertions import Result
from trainshed_provision.errors import Exit
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root
from trainshed_provision.targets.vm.health import PATHS

HELP = "ask a running machine the rules of an image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed check`."""
    parser.add_argument("target", choices=["vm"], help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=VmSpec().name, help="of the machine (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the results as one JSON list")


def check(options: argparse.Namespace) -> Exit:
    """Print a line per rule."""
    folder, engine = Folder(state_root(), options.name), Local()
    spec = vm.running(folder, engine=engine)
    results = [*_from_outside(spec, engine.healthy(spec)), *_from_inside(spec, folder)]
    failed = [result for result in results if not result.ok]
    if options.json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    else:
        print("\n".join(result.line() for result in results))
        print(f"{len(results) - len(failed)} of {len(results)} hold")
    return Exit.UNHEALTHY if failed else Exit.OK


def _from_outside(spec: VmSpec, answers: dict[str, bool]) -> list[Result]:
    """`health-<service>`: it answers through the forwarded port."""
    return [
        Result(
            rule=f"health-{name}",
            title=f"{name} answers",
            where="Q",
            ok=ok,
            file=spec.urls()[name] + PATHS[name],
            found="200" if ok else "no answer",
            wanted="200",
        )
        for name, ok in answers.items()
    ]


def _from_inside(spec: VmSpec, folder: Folder) -> list[Result]:
    """Over paramiko, for the ssh program needs seconds for each command under emulation, and with our own client, which
    knows the machine's key."""
    host = testinfra.get_host("paramiko://machine", sudo=True)
    with ssh.session(folder.login(spec)) as client:
        host.backend.client = client
        return assertions.run(host, where="Q")
