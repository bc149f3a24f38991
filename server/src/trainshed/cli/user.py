"""`trainshed user`: who has an account. It runs beside the server, on the machine with the data, with the rights of its owner."""

import argparse
import getpass
import json
import sys
from dataclasses import asdict

from trainshed.cli.common import HOST, Commands, Exit, Refusal, add_data_dir, services, table
from trainshed.domain.identity import Role
from trainshed.services.accounts.people import Ticket

ROLES = (Role.ADMIN, Role.USER, Role.VIEWER)


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    user = commands.add_parser("user", help="who has an account", allow_abbrev=False)
    actions = user.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, what: str, *, of_one: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(name, help=what, allow_abbrev=False)
        add_data_dir(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
        if of_one:
            parser.add_argument("username", metavar="NAME", help="the username, or the id of a user who is there")
        return parser

    action("list", "everybody", of_one=False).set_defaults(call=_list)
    made = action("add", "add a user with a password")
    made.set_defaults(call=_add)
    invited = action("invite", "add a user, and print a one-time token to choose a password with")
    invited.set_defaults(call=_invite)
    for parser in (made, invited):
        parser.add_argument("--name", default="", help="as people call them (default: the username)")
        parser.add_argument("--role", type=Role, choices=ROLES, default=Role.USER, help="(default: %(default)s)")
    changed = action("passwd", "give a user another password; web sessions end, access keys stay")
    changed.add_argument("--token", action="store_true", help="print a one-time token instead: the user chooses it")
    changed.set_defaults(call=_passwd)
    for parser in (made, changed):
        parser.add_argument(
            "--stdin",
            action="store_true",
            help="read the password from the first line of standard input, and do not ask",
        )
    ranked = action("role", "give a user another role")
    ranked.add_argument("role", type=Role, choices=ROLES)
    ranked.set_defaults(call=_role)
    action("disable", "let a user no longer in; keys and data stay").set_defaults(call=_disable)
    action("enable", "let a user in again").set_defaults(call=_enable)
    action("delete", "remove an account and its access keys; tasks and models stay").set_defaults(call=_delete)


def _list(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        people = [asdict(person) for person in opened.people.everybody(HOST)]
    shown = ("username", "name", "role", "source", "disabled", "has_password", "last_login", "id")
    print(json.dumps(people, indent=2) if options.json else table([{f: one[f] for f in shown} for one in people]))
    return Exit.OK


def _add(options: argparse.Namespace) -> Exit:
    password = _password(options)
    with services(options.data_dir) as opened:
        user = opened.people.create(HOST, options.username, name=options.name, role=options.role, password=password)
    print(json.dumps({"id": user}) if options.json else user)
    return Exit.OK


def _invite(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        ticket = opened.people.invite(HOST, options.username, name=options.name, role=options.role)
    return print_ticket(ticket, as_json=options.json)


def _passwd(options: argparse.Namespace) -> Exit:
    if options.token:
        with services(options.data_dir) as opened:
            ticket = opened.people.ticket(HOST, options.username)
        return print_ticket(ticket, as_json=options.json)
    password = _password(options)
    with services(options.data_dir) as opened:
        opened.people.set_password(HOST, options.username, password)
    return _done(options)


def _role(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        opened.people.set_role(HOST, options.username, options.role)
    return _done(options)


def _disable(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        opened.people.disable(HOST, options.username)
    return _done(options)


def _enable(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        opened.people.enable(HOST, options.username)
    return _done(options)


def _delete(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        opened.people.delete(HOST, options.username)
    return _done(options)


def _done(options: argparse.Namespace) -> Exit:
    if options.json:
        print(json.dumps({"user": options.username}))
    return Exit.OK


def _password(options: argparse.Namespace) -> str:
    """Asked for twice, or a line of standard input. Never an argument: everybody on the machine can read those."""
    if options.stdin:
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise Refusal(Exit.USAGE, "the two passwords differ", "try again")
    return password


def print_ticket(ticket: Ticket, *, as_json: bool) -> Exit:
    """Say the one-time token, this once."""
    print(json.dumps(asdict(ticket)) if as_json else f"{ticket.token}\ngood until {ticket.expires}, for one use")
    return Exit.OK
