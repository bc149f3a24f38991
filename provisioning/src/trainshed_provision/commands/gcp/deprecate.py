"""Move images through DEPRECATED, OBSOLETE and DELETED as their announced dates pass: Google changes no state by itself.

Without --apply it says what it would do. Made to be run every day. The newest image of a family is never touched, and no image
moves by more than one state in a run. `shed gc gcp` removes what is DELETED.
"""

import argparse

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit
from trainshed_provision.publish.gcp import deprecate, images, steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed deprecate gcp`."""
    parser.add_argument("--apply", action="store_true", help="do it")
    common.add_ages(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Plan, and with --apply do it."""
    client = common.client(options)
    planned = deprecate.plan(images.ours(client), now=common.now(), ages=common.ages(options))
    common.follow(
        planned, dry_run=not options.apply, carry_out=lambda: steps.carry_out(client, planned, tell=common.tell)
    )
    outcome = {"steps": [step.text for step in planned], "dry_run": not options.apply}
    common.report(
        options, [f"{len(planned)} changes" + ("" if options.apply else ", none made: --apply makes them")], outcome
    )
    return Exit.OK
