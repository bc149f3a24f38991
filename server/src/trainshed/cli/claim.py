"""`trainshed claim`: a one-time token that makes whoever has it the administrator of a new server."""

import argparse
import json

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, Refusal, add_data_dir, services
from trainshed.cli.user import print_ticket
from trainshed.services.accounts import Claim


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    claim = commands.add_parser("claim", help="a one-time token to become the administrator with", allow_abbrev=False)
    add_data_dir(claim)
    claim.add_argument("--json", action="store_true", help="print JSON")
    claim.set_defaults(call=_claim)


def _claim(options: argparse.Namespace) -> Exit:
    with services(options.data_dir) as opened:
        if opened.people.claim() is Claim.DONE:
            raise Refusal(
                Exit.CONFLICT, "this server is claimed", "`trainshed user passwd NAME` gives somebody another password"
            )
        offered = bootstrap.claim_file(options.data_dir)
        token = offered.read_text().strip() if offered.exists() else ""
        if opened.people.is_good(token):  # of two first starts at once only one's is
            print(json.dumps({"token": token}) if options.json else token)
            return Exit.OK
        opened.accounts.ensure_admin()
        ticket = bootstrap.offer_claim(options.data_dir, opened.people)
    return print_ticket(ticket, as_json=options.json)
