"""Remove what costs money for nothing: images marked DELETED, images that failed, archives and parts that were left over.

Without --delete it says what it would remove. Only what carries the label managed-by=trainshed is looked at.
"""

import argparse
from datetime import timedelta

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit
from trainshed_provision.publish.gcp import collect, costs, images, steps
from trainshed_provision.publish.gcp.bucket import Bucket
from trainshed_provision.publish.gcp.publish import TEMPORARY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed gc gcp`."""
    parser.add_argument("--delete", action="store_true", help="remove it")
    parser.add_argument("--bucket", help="look for left-over archives there too")
    parser.add_argument(
        "--grace",
        type=int,
        default=7,
        metavar="DAYS",
        help="how long after its date an image stays, and how old what is left over has to be (%(default)s)",
    )
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Plan, and with --delete do it."""
    client = common.client(options)
    bucket = Bucket(name=options.bucket.removeprefix("gs://").rstrip("/"), client=client) if options.bucket else None
    ours, objects = images.ours(client), bucket.below(TEMPORARY) if bucket else []
    planned = collect.plan(ours, objects, grace=timedelta(days=max(0, options.grace)), now=common.now())
    common.follow(
        planned,
        dry_run=not options.delete,
        carry_out=lambda: steps.carry_out(client, planned, tell=common.tell, bucket=bucket),
    )
    gone = {step.on for step in planned if step.do == "delete"}
    freed = sum(image.archive_bytes for image in ours if image.name in gone)
    left_over = sum(step.stored.size for step in planned if step.stored)
    dollars = costs.monthly(image=freed, archive=left_over)
    outcome = {
        "steps": [step.text for step in planned],
        "dry_run": not options.delete,
        "dollars_a_month": round(dollars, 4),
    }
    removed = "removed" if options.delete else "to remove (--delete does it)"
    common.report(options, [f"{len(planned)} {removed}, about ${dollars:.2f} a month"], outcome)
    return Exit.OK
