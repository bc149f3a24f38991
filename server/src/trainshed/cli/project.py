"""`trainshed project`: one project, from one server to another."""

import argparse
import json
from collections import Counter
from pathlib import Path

from trainshed import bootstrap
from trainshed.cli.backup import refusals
from trainshed.cli.common import Commands, Exit, Refusal, add_data_dir, services
from trainshed.domain.errors import ApiError
from trainshed.domain.identity import FIRST_ADMIN
from trainshed.transport import version


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    project = commands.add_parser("project", help="take a project to another server", allow_abbrev=False)
    actions = project.add_subparsers(metavar="ACTION", required=True)
    export = actions.add_parser("export", help="write a project and all below it to a file", allow_abbrev=False)
    export.add_argument("name", metavar="NAME", help="of the project, with those above it: team/vision")
    export.add_argument("file", type=Path, metavar="FILE", help="a new file; it holds no secrets of the server")
    export.set_defaults(call=_export)
    load = actions.add_parser(
        "import",
        help="bring in what was exported; a second time changes nothing more",
        description="Bring in what was exported. Tasks and models keep their ids; those that changed here since are left alone. "
        "Links to files still lead to the other server: `trainshed relocate` changes them.",
        allow_abbrev=False,
    )
    load.add_argument("file", type=Path, metavar="FILE", help="made by `trainshed project export`")
    load.set_defaults(call=_import)
    for parser in (export, load):
        add_data_dir(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")


def _export(options: argparse.Namespace) -> Exit:
    place: Path = options.file.absolute()
    with refusals(place):
        if place.exists():
            raise FileExistsError
        vault = bootstrap.backup_archive_writer(place)
        with services(options.data_dir) as opened:
            try:
                with vault.writing():
                    counts = opened.project_copies.export(options.name, vault, product=version.product())
            except ApiError as error:
                raise Refusal(Exit.MISSING, str(error), "the name is case-sensitive and begins at the top") from error
    _say(options, counts)
    return Exit.OK


def _import(options: argparse.Namespace) -> Exit:
    with refusals(options.file):
        if not options.file.is_file():
            raise FileNotFoundError(2, "there is no such file")
        vault = bootstrap.backup_archive(options.file)
        with services(options.data_dir) as opened:
            try:
                counts = opened.project_copies.load(vault, user=FIRST_ADMIN)
            except ApiError as error:
                raise Refusal(Exit.CONFLICT, str(error), "what was brought in before is whole") from error
    _say(options, counts)
    return Exit.OK


def _say(options: argparse.Namespace, counts: Counter[str]) -> None:
    if options.json:
        print(json.dumps(dict(counts)))
    else:
        print(", ".join(f"{count} {what}" for what, count in counts.items() if count) or "everything is there already")
