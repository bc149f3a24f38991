"""`trainshed files`: the files of deleted tasks."""

import argparse
import json

from trainshed.cli.common import Commands, Exit, add_data_dir, services

_ACTIONS = {
    "pending": "list those that the server is about to delete",
    "failed": "list those that could not be deleted, with the reason",
    "retry": "have the server try the failed ones again",
    "forget": "strike the failed ones off the list; the files stay where they are",
}
_SHOWN = ("owners", "user", "created", "due", "attempts")


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    files = commands.add_parser("files", help="files of deleted tasks that are still to be deleted", allow_abbrev=False)
    actions = files.add_subparsers(metavar="ACTION", required=True)
    for action, text in _ACTIONS.items():
        verb = actions.add_parser(action, help=text, allow_abbrev=False)
        add_data_dir(verb)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(call=_files, action=action)


def _files(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        files = opened.file_deletion
        if options.action in ("retry", "forget"):
            files.retry() if options.action == "retry" else files.forget()
            return Exit.OK
        listed = [
            {"url": file["url"], "reason": file["reason"], **{name: found[name] for name in _SHOWN}}
            for found in files.listed(options.action)
            for file in found["files"]
        ]
    if options.json:
        print(json.dumps(listed))
    for file in () if options.json else listed:
        print("{url}  {reason}".format(**file).rstrip())
    return Exit.OK
