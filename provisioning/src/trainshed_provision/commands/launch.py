"""Boot the appliance on this machine under QEMU and wait until it is healthy.

Launching again is safe: a running machine is left alone, a stopped one starts with the same data, and options that are left
out keep their last values. Nothing needs root. The image is never written to.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

from trainshed_provision.bake import context
from trainshed_provision.errors import Exit
from trainshed_provision.spec import Ports, VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm.boot import Stage
from trainshed_provision.targets.vm.engine import Local
from trainshed_provision.targets.vm.folder import Folder, state_root

HELP = "boot the appliance here and wait until it is healthy"
DEFAULT = VmSpec()
TIMEOUT_SECONDS = 300  # a boot takes 30-60 s under emulation, and hosts differ
LABELS = {
    "kernel": "kernel started",
    "ssh": "ssh answers",
    "web": "web healthy",
    "api": "api healthy",
    "files": "files healthy",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed launch`."""
    parser.add_argument("target", choices=["vm"], help="vm: a virtual machine on this host")
    parser.add_argument("--name", default=DEFAULT.name, help="of the machine, also its host name (%(default)s)")
    parser.add_argument("--image", type=Path, metavar="PATH", help="qcow2 to boot (the newest that was baked here)")
    for name in ("web", "api", "files", "ssh"):
        port = getattr(DEFAULT.ports, name)
        parser.add_argument(
            f"--{name}-port", type=int, metavar="N", help=f"port on 127.0.0.1 that leads to {name} ({port})"
        )
    parser.add_argument("--cpus", type=int, metavar="N", help=f"({DEFAULT.cpus})")
    parser.add_argument(
        "--memory", type=int, metavar="MIB", dest="memory_mib", help=f"RAM in MiB ({DEFAULT.memory_mib})"
    )
    parser.add_argument(
        "--data-size", type=int, metavar="GIB", dest="data_gib",
        help=f"data disk in GiB ({DEFAULT.data_gib}); a larger value than before grows it, also while it runs",
    )  # fmt: skip
    parser.add_argument(
        "--data-disk", metavar="PATH",
        help="a raw disk of your own for the data: blank, or with a file system labelled trainshed-data",
    )  # fmt: skip
    parser.add_argument("--uefi", action="store_const", const="uefi", dest="firmware", help="boot by UEFI, not BIOS")
    parser.add_argument(
        "--accel", choices=["tcg", "kvm"], help="tcg: emulation, works everywhere; kvm: fast, needs /dev/kvm (tcg)"
    )
    parser.add_argument(
        "--timeout", type=float, default=TIMEOUT_SECONDS, metavar="S", help="seconds until healthy (%(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object; progress goes to standard error")


def launch(options: argparse.Namespace) -> Exit:
    """Bring a machine up."""
    folder = Folder(state_root(), options.name)
    spec = _spec(options, folder)
    stages: list[Stage] = []

    def report(stage: Stage) -> None:
        stages.append(stage)
        print(f"  {stage.seconds:6.1f} s  {LABELS[stage.name]}", file=sys.stderr)

    steps = vm.launch(
        spec,
        folder,
        engine=Local(),
        image_path=options.image,
        baked=context.checkout() / "build" / "images",
        timeout=options.timeout,
        dry_run=options.dry_run,
        tell=lambda step: print(f"shed: {step.text}", file=sys.stderr),
        report=report,
    )
    if options.json:
        answer = {"name": spec.name, "urls": spec.urls(), "ssh": folder.login(spec).argv()}
        done = {
            "steps": [s.do for s in steps],
            "dry_run": options.dry_run,
            "seconds": {s.name: s.seconds for s in stages},
        }
        print(json.dumps({**answer, **done}, indent=2))
    elif options.dry_run:
        print(
            "\n".join(f"would {step.text}" for step in steps) or f"nothing to do: '{spec.name}' is running and healthy"
        )
    else:
        print(_how_to_use(spec, folder, news=bool(steps)))
    return Exit.OK


def _spec(options: argparse.Namespace, folder: Folder) -> VmSpec:
    names = ("cpus", "memory_mib", "data_gib", "data_disk", "firmware", "accel")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if "data_disk" in given:
        given["data_disk"] = str(Path(given["data_disk"]).absolute())
    ports = {n: v for n in ("web", "api", "files", "ssh") if (v := getattr(options, f"{n}_port")) is not None}
    asked = VmSpec(name=options.name, ports=Ports(**ports), **given)
    return vm.wanted(asked, frozenset([*given, *(f"{n}_port" for n in ports)]), folder)


def _how_to_use(spec: VmSpec, folder: Folder, *, news: bool) -> str:
    urls = spec.urls()
    login = shlex.join(folder.login(spec).argv())
    name = "" if spec.name == DEFAULT.name else f" --name {spec.name}"
    return f"""\
Trainshed '{spec.name}' {"is up" if news else "is already running, and healthy"}.

  web    {urls["web"]}
  api    {urls["api"]}
  files  {urls["files"]}

First credentials, as a configuration for the clearml client:

  shed credentials vm{name} > ~/clearml.conf

  or by hand: {login} sudo trainshed credentials create

Log in:     {login}
Look at it: shed status vm{name}    shed check vm{name}
Stop it:    shed stop vm{name}      (launching again keeps the data)"""
