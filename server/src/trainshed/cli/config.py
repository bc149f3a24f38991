"""`trainshed config`: what the configuration says, and whether it makes sense."""

import argparse
import json
import os
import sys
from collections.abc import Iterator

from trainshed.cli.common import Commands, Exit
from trainshed.services.accounts.passwords import of_fixed
from trainshed.services.accounts.people import check_names
from trainshed.settings import Settings
from trainshed.settings.loading import Finding, Level, load


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    config = commands.add_parser("config", help="check and show the configuration", allow_abbrev=False)
    actions = config.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser("check", help="say what is wrong with it; exit code 2 for errors", allow_abbrev=False)
    check.add_argument("--strict", action="store_true", help="exit code 2 for warnings too")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.set_defaults(call=_check)
    show = actions.add_parser(
        "show",
        help="print each key and its value, secrets masked; exit code 2 when there are errors",
        allow_abbrev=False,
    )
    show.add_argument("--origin", action="store_true", help="and where the value comes from")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(call=_show)


def _check(options: argparse.Namespace) -> Exit:
    loaded = load(os.environ)
    findings = [*loaded.findings, *(_of_users(loaded.settings) if loaded.settings else ())]
    if options.json:
        print(json.dumps([finding.__dict__ for finding in findings]))
    for finding in () if options.json else findings:
        print(f"{finding.level:7}  {finding}")
    if not (options.json or findings):
        print("nothing is wrong")
    bad = (Level.ERROR, Level.WARNING) if options.strict else (Level.ERROR,)
    return Exit.USAGE if any(finding.level in bad for finding in findings) else Exit.OK


def _of_users(settings: Settings) -> Iterator[Finding]:
    """What is wrong with users who are right one by one."""
    try:
        check_names(settings.accounts.fixed_users)
        of_fixed(settings.accounts.fixed_users)
    except ValueError as error:
        yield Finding(Level.ERROR, "", "", str(error))


def _show(options: argparse.Namespace) -> Exit:
    loaded = load(os.environ)
    shown = loaded.shown
    for finding in loaded.findings:
        if finding.level is Level.ERROR:
            print(f"trainshed: {finding}", file=sys.stderr)
    if options.json:
        print(json.dumps({key: one.__dict__ if options.origin else one.value for key, one in shown.items()}))
    for key, one in () if options.json else shown.items():
        origin = f"  # {one.origin}" if options.origin else ""
        print(f"{key} = {json.dumps(one.value)}{origin}")
    return Exit.OK if loaded.settings else Exit.USAGE
