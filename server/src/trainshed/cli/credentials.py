"""`trainshed credentials`: access keys for clients."""

import argparse
import json

from trainshed import bootstrap
from trainshed.cli.common import HOST, Commands, Exit, add_data_dir, configured, services, snippet, table
from trainshed.services import Services


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
    create.add_argument("--user", metavar="NAME", help="for this user, by username or id")
    create.set_defaults(call=_create)
    shown = actions.add_parser("list", help="the access keys of a user, without their secrets", allow_abbrev=False)
    revoke = actions.add_parser("revoke", help="end an access key and the tokens it gave", allow_abbrev=False)
    for action in (shown, revoke):
        add_data_dir(action)
        action.add_argument("--user", metavar="NAME", help="whose (default: the administrator)")
    shown.add_argument("--json", action="store_true", help="print JSON")
    shown.set_defaults(call=_list)
    revoke.add_argument("access_key", metavar="KEY")
    revoke.set_defaults(call=_revoke)


def _create(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        accounts = opened.accounts
        if options.root:
            user, first = accounts.ensure_root(), None
        elif options.user:
            user, first = opened.people.person(HOST, options.user).id, None
        else:
            user, first = accounts.ensure_admin()
        pair = first or accounts.create_credentials(user, label=options.label)
    if options.json:
        print(json.dumps({"access_key": pair.access_key, "secret_key": pair.secret_key}))
    else:
        print(snippet(pair, bootstrap.advertised(configured(options)).urls(options.host)), end="")
    return Exit.OK


def _list(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        keys = opened.accounts.credentials(_whose(opened, options.user))
    fields = ("label", "created", "last_used", "last_used_from")
    found = [{"access_key": key["id"], **{name: key.get(name, "") for name in fields}} for key in keys]
    print(json.dumps(found, indent=2) if options.json else table(found))
    return Exit.OK


def _revoke(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        opened.accounts.revoke_credentials(_whose(opened, options.user), options.access_key)
    return Exit.OK


def _whose(opened: Services, user: str | None) -> str:
    return opened.people.person(HOST, user).id if user else opened.accounts.ensure_admin()[0]
