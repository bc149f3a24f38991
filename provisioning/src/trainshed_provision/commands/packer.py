"""Make an image from a base of your own, with Packer: the same roles, over ssh.

    shed packer docker build --var base_image=our/debian:13
    shed packer aws validate --var region=eu-central-1
    shed packer aws build --var region=eu-central-1 --var source_ami=ami-0123456789abcdef0

inspect shows the variables of a template; docs/packer.md has them with words. validate asks nobody outside. build starts a
machine or container, applies the roles, asks the rules of an image, and makes one; it costs what the machine costs. Credentials
come from the environment, never from a variable.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainshed_provision.assertions import Result
from trainshed_provision.bake import context
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.packer import failures, output, prepare, program
from trainshed_provision.packer.output import Line

HELP = "make an image from a base of your own, with Packer"
TITLES = {
    "aws": "an AMI",
    "gcp": "a Compute Engine image",
    "docker": "a container image in the local Docker",
    "qemu": "a disk image (qcow2)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed packer`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    targets = parser.add_subparsers(dest="target", metavar="TARGET", required=True)
    for target, title in TITLES.items():
        sub = targets.add_parser(target, help=title, description=__doc__, allow_abbrev=False)
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        sub.add_argument("action", choices=["validate", "inspect", "build"])
        sub.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a variable of the template")
        sub.add_argument(
            "--var-file", action="append", default=[], metavar="FILE", help="a file of them (.pkrvars.hcl, .json)"
        )
        sub.add_argument(
            "--packer", default="", metavar="PROGRAM", help="which Packer (ours in build/tools, else the machine's)"
        )
        sub.add_argument("--dry-run", action="store_true", help="of build: only see whether it could begin")
        sub.add_argument("--json", action="store_true", help="print the result as JSON; progress goes to stderr")
    rules = targets.add_parser(
        "rules", help="ask a builder the rules of an image; the playbook does it", allow_abbrev=False
    )
    rules.add_argument("--waive", default="", metavar="IDS", help="rules not to ask, as B04,H03")
    rules.add_argument("--container", default="", metavar="NAME", help="a container of Docker's")
    rules.add_argument("--host", default="", help="a machine, by ssh")
    rules.add_argument("--port", type=int, default=22, help="its port of ssh (%(default)s)")
    rules.add_argument("--user", default="root", help="its login (%(default)s)")
    rules.add_argument("--key", type=Path, default=Path(), help="the file of its private key")
    rules.add_argument("--json", action="store_true", help="print the results as one JSON list")


def packer(options: argparse.Namespace) -> Exit:
    """Carry the action out on the target."""
    if options.target == "rules":
        return _rules(options)
    checkout = context.checkout()
    for pair in options.var:
        if "=" not in pair:
            raise ShedError(f"'{pair}' is no variable", hint="write --var NAME=VALUE", code=Exit.USAGE)
    tool = program.find(checkout, options.packer)
    program.check_age(tool, options.target)
    return {"validate": _validate, "inspect": _inspect, "build": _build}[options.action](options, checkout, tool)


def _validate(options: argparse.Namespace, checkout: Path, tool: Path) -> Exit:
    _run(options, checkout, tool, "validate")
    print(json.dumps({"target": options.target, "valid": True}) if options.json else "the template is valid")
    return Exit.OK


def _inspect(options: argparse.Namespace, checkout: Path, tool: Path) -> Exit:
    found = output.inspected(_run(options, checkout, tool, "inspect").lines)
    if options.json:
        print(json.dumps({"target": options.target, **found}, indent=2))
        return Exit.OK
    width = max(map(len, found["variables"]), default=0)
    for name, value in found["variables"].items():
        print(f"{name:{width}}  {' '.join(value.split())}")
    print(f"builds: {', '.join(found['builds'])}")
    return Exit.OK


def _build(options: argparse.Namespace, checkout: Path, tool: Path) -> Exit:
    start = time.monotonic()
    tell = _Progress(start)
    _run(options, checkout, tool, "validate")
    if options.dry_run:
        print(
            json.dumps({"target": options.target, "valid": True}) if options.json else "a build could begin; none was"
        )
        return Exit.OK
    tell("build the server's wheel, fetch the locked ones it needs")
    prepare.wheels(checkout)
    prepare.clear(checkout, options.target)
    ended = _run(options, checkout, tool, "build", heard=tell.heard)
    made = prepare.finish(checkout, options.target, output.artifacts(ended.lines))
    if options.target == "aws":
        # boto3 takes a second to import, and only this asks for it.
        from trainshed_provision.packer import amis

        tell("let machines of the image take metadata by IMDSv2 alone")
        amis.require_imdsv2(made)
    result = {
        "target": options.target,
        "artifacts": made,
        "manifest": str(prepare.folder(checkout, options.target) / "manifest.json"),
        "seconds": round(time.monotonic() - start, 1),
    }
    if options.json:
        print(json.dumps(result, indent=2))
    for made in () if options.json else result["artifacts"]:
        print(f"{made['build'] or options.target}: {made['id'] or ' '.join(made['files'])}")
    return Exit.OK


def _run(
    options: argparse.Namespace, checkout: Path, tool: Path, action: str, *, heard: Any = lambda line: None
) -> program.Ended:
    """One run of the program on the target's template. Raises ShedError for what it complains of."""
    here = prepare.folder(checkout, options.target)
    log = here / f"{action}.log"
    argv = _argv(options, checkout, tool, action)
    ended = program.run(argv, env={"PACKER_CACHE_DIR": str(here / "cache")}, log=log, heard=heard)
    if ended.code:
        raise failures.explained(
            ended.complaint or log.read_text()[-4000:], target=options.target, log=str(log), output=ended.text
        )
    return ended


def _argv(options: argparse.Namespace, checkout: Path, tool: Path, action: str) -> Sequence[str | Path]:
    given = [f"-var-file={prepare.write(checkout, options.target)}"]
    given += [f"-var-file={file}" for file in options.var_file]
    given += [word for pair in options.var for word in ("-var", pair)]
    return [tool, "-machine-readable", action, *given, checkout / prepare.TARGETS[options.target]]


class _Progress:
    """A line on stderr for each step of Packer's and each task of Ansible's, with the seconds since the start."""

    def __init__(self, start: float) -> None:
        self._start = start

    def __call__(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:6.1f} s  {text}", file=sys.stderr, flush=True)

    def heard(self, line: Line) -> None:
        text = line.said.partition(": ")[2] or line.said
        if line.kind == "ui" and line.data[0] == "say":
            self(text.strip())
        elif text.lstrip().startswith("TASK ["):
            self("  " + text.strip().removeprefix("TASK [").partition("]")[0])


def _rules(options: argparse.Namespace) -> Exit:
    # Testinfra takes half a second to import, and only this asks for it.
    from trainshed_provision.packer import rules

    if bool(options.container) == bool(options.host):
        raise ShedError("which builder is meant?", hint="give --container or --host", code=Exit.USAGE)
    waived = {rule for rule in options.waive.split(",") if rule}
    if options.container:
        results = rules.of_container(options.container)
    else:
        results = rules.of_machine(host=options.host, port=options.port, user=options.user, key=options.key)
    return _tell([result for result in results if result.rule not in waived], as_json=options.json)


def _tell(results: list[Result], *, as_json: bool) -> Exit:
    failed = [result for result in results if not result.ok]
    if as_json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    for result in () if as_json else failed:
        print(result.line())
    if failed:
        raise ShedError(
            f"{len(failed)} of {len(results)} image rules do not hold: {' '.join(result.rule for result in failed)}",
            hint="docs/images.md lists the rules",
            code=Exit.UNHEALTHY,
        )
    if not as_json:
        print(f"{len(results)} rules hold")
    return Exit.OK
