"""`trainshed retention`, and the options that say how long what is kept."""

import argparse
import json

from trainshed.cli.common import Commands, Exit, add_data_dir, services
from trainshed.services.retention import Keep


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
    """Add the options that keep() reads."""
    for name, what in {
        "logs": "console logs of finished tasks",
        "images": "debug images of finished tasks, with their files",
        "plots": "plots of finished tasks",
        "trash": "tasks in the trash",
    }.items():
        parser.add_argument(
            f"--keep-{name}", type=_days, metavar="DAYS", help=f"remove {what} after so many days (default: never)"
        )


def keep(options: argparse.Namespace) -> Keep:
    """What the options say."""
    return Keep(logs=options.keep_logs, images=options.keep_images, plots=options.keep_plots, trash=options.keep_trash)


def _retention(options: argparse.Namespace) -> Exit:
    with services(options.data_dir, keep(options)) as opened:
        removals = [removal._asdict() for removal in opened.retention.preview()]
    if options.json:
        print(json.dumps(removals))
    for removal in () if options.json else removals:
        print("{kind:6}  {events:9}  {since}  {task}  {name}".format(**removal))
    return Exit.OK


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days: 1 or more")
    return int(text)
