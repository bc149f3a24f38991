"""`trainshed maintenance`: turn everybody away for a while, without a restart."""

import argparse
import json
from pathlib import Path

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, Refusal, add_data_dir, store

_ACTIONS = {
    "on": "answer 503 to everything but the health of the server; clients wait and come back",
    "off": "serve again",
    "status": "say whether it is on",
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    maintenance = commands.add_parser("maintenance", help="turn everybody away for a while", allow_abbrev=False)
    actions = maintenance.add_subparsers(metavar="ACTION", required=True)
    for action, text in _ACTIONS.items():
        verb = actions.add_parser(action, help=text, allow_abbrev=False)
        add_data_dir(verb)
        verb.set_defaults(call=_maintenance, action=action)
        if action == "on":
            verb.add_argument("--reason", default="", metavar="TEXT", help="what people are told")
        if action == "status":
            verb.add_argument("--json", action="store_true", help="print JSON")


def _maintenance(options: argparse.Namespace) -> Exit:
    folder: Path = options.data_dir
    if not folder.is_dir():
        raise Refusal(Exit.MISSING, f"no server has run in {folder}", "name its --data-dir")
    switch = bootstrap.maintenance(folder)
    with store(folder):
        if options.action == "on":
            switch.on(options.reason)
        elif options.action == "off":
            switch.off()
        word = switch.word()
    if options.action == "status":
        text = "off" if word is None else f"on: {word}".rstrip(": ")
        print(json.dumps({"on": word is not None, "reason": word or ""}) if options.json else text)
    return Exit.OK
