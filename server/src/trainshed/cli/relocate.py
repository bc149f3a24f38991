"""`trainshed relocate`: stored links, when the file server gets another address."""

import argparse
import json
import re
from typing import Any

from trainshed.cli.common import Commands, Exit, Refusal, add_data_dir, services
from trainshed.services.relocation import Found

_ADDRESS = re.compile(r'[a-z][a-z0-9+.-]*://[^\s"\'<>\\]+\Z')  # nothing that would have to be quoted within a text
_KINDS = {
    "artifacts": "artifacts of tasks",
    "models": "models",
    "images": "debug images",
    "plots": "plots with images",
    "destinations": "where tasks and projects store by default",
    "reports": "reports",
    "deletions": "files that are to be deleted",
}
_ADDRESSES_SHOWN = 10


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    relocate = commands.add_parser(
        "relocate",
        help="make stored links to files lead to another address",
        description="Make stored links to files lead to another address. It may run beside the server, and be cut and run again. "
        "What a client reports under the same name in the same moment may be lost: `trainshed maintenance on` prevents it.",
        allow_abbrev=False,
    )
    add_data_dir(relocate)
    relocate.add_argument(
        "--from", dest="old", type=_address, required=True, metavar="URL", help="what the links begin with"
    )
    relocate.add_argument(
        "--to", dest="new", type=_address, required=True, metavar="URL", help="what they shall begin with"
    )
    relocate.add_argument("--dry-run", action="store_true", help="count the links and change nothing")
    relocate.add_argument("--json", action="store_true", help="print JSON")
    relocate.set_defaults(call=_relocate)


def _address(text: str) -> str:
    if not _ADDRESS.match(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no address, as http://old.example.com:8081")
    return text.rstrip("/")


def _relocate(options: argparse.Namespace) -> Exit:
    if options.old == options.new:
        raise Refusal(Exit.USAGE, "both addresses are the same", "say where the links shall lead with --to")
    with services(options.data_dir) as opened:
        found = opened.relocation.count(options.old, options.new)
        _show(found, options, "begin with")
        if options.dry_run or not found.links.total():
            return Exit.OK
        _show(opened.relocation.relocate(options.old, options.new), options, "were changed from")
    return Exit.OK


def _show(found: Found, options: argparse.Namespace, what: str) -> None:
    total = found.links.total()
    if options.json:
        said: dict[str, Any] = {"changed": what != "begin with", "links": dict(found.links), "total": total}
        print(json.dumps(said), flush=True)
        return
    print(f"{total} links {what} {options.old}", flush=True)
    for kind, text in _KINDS.items():
        if found.links[kind]:
            print(f"{found.links[kind]:9}  {text}")
    if not total and found.addresses:
        print("Links there are lead to:")
        for address, count in found.addresses.most_common(_ADDRESSES_SHOWN):
            print(f"{count:9}  {address}")
