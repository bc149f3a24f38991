"""`trainshed retention`, and the options that say how long what is kept."""

import argparse
import json

from trainshed.cli.common import Commands, Exit, add_data_dir, add_setting, configured, services


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    retention = commands.add_parser(
        "retention", help="show what the server would remove now; removes nothing", allow_abbrev=False
    )
    add_data_dir(retention)
    add_keep(retention)
    retention.add_argument("--json", action="store_true", help="print JSON")
    retention.set_defaults(call=_retention)


def add_keep(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long what is kept."""
    for name in ("logs", "images", "plots", "trash"):
        add_setting(parser, f"--keep-{name}", f"trainshed.keep.{name}", "DAYS")


def _retention(options: argparse.Namespace) -> Exit:
    with services(options.data_dir, configured(options).keep) as opened:
        removals = [removal._asdict() for removal in opened.retention.preview()]
    if options.json:
        print(json.dumps(removals))
    for removal in () if options.json else removals:
        print("{kind:6}  {events:9}  {since}  {task}  {name}".format(**removal))
    return Exit.OK
