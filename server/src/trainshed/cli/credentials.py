"""`trainshed credentials`: access keys for clients."""

import argparse
import json

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, add_data_dir, configured, services, snippet


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    credentials = commands.add_parser("credentials", help="access keys for clients", allow_abbrev=False)
    actions = credentials.add_subparsers(metavar="ACTION", required=True)
    create = actions.add_parser(
        "create", help="make an access key for the administrator and print it", allow_abbrev=False
    )
    add_data_dir(create)
    create.add_argument("--label", default="", help="what it is for")
    create.add_argument(
        "--host", default="", help="name of this server in the printed addresses, unless these are configured"
    )
    create.add_argument("--json", action="store_true", help="print JSON instead of a section of clearml.conf")
    create.add_argument(
        "--root",
        action="store_true",
        help="for the user root, who makes and deletes users, instead of the administrator",
    )
    create.set_defaults(call=_create)


def _create(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        accounts = opened.accounts
        user, first = (accounts.ensure_root(), None) if options.root else accounts.ensure_admin()
        pair = first or accounts.create_credentials(user, label=options.label)
    if options.json:
        print(json.dumps({"access_key": pair.access_key, "secret_key": pair.secret_key}))
    else:
        print(snippet(pair, bootstrap.advertised(configured(options)).urls(options.host)), end="")
    return Exit.OK
