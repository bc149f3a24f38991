"""Remove old images, with their snapshots and names, and what cut publications left. Without --delete it only says what it would.

An image stays while it is young, among the newest, `latest`, or used: by an instance, a launch template or configuration, or
launched lately by anybody. Nothing without the tag ManagedBy=trainshed is touched.
"""

import argparse
import json
from dataclasses import asdict

from trainshed_provision.commands.aws import common
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import gc, release
from trainshed_provision.publish.aws.client import now
from trainshed_provision.publish.aws.gc import Policy
from trainshed_provision.publish.aws.observe import check_regions, everywhere


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed gc aws`."""
    default = Policy()
    parser.add_argument("--delete", action="store_true", help="remove; without it, only say what would be")
    parser.add_argument("--days", type=int, default=default.days, help="a younger image stays (%(default)s)")
    parser.add_argument("--keep", type=int, default=default.keep, help="so many newest stay (%(default)s)")
    parser.add_argument(
        "--grace", type=int, default=default.grace, help="days after a launch or a revocation (%(default)s)"
    )
    common.add_regions(parser)
    common.add_names(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> Exit:
    """Say what becomes of everything; remove what nobody needs, if that was asked."""
    if min(options.days, options.keep, options.grace) < 0:
        raise ShedError("--days, --keep and --grace are not below 0", hint="see: shed gc aws --help", code=Exit.USAGE)
    aws = common.clients()
    check_regions(aws, options.regions)
    policy = Policy(days=options.days, keep=options.keep, grace=options.grace)
    rooms = everywhere(
        aws, options.regions or release.enabled(aws), lambda region: gc.look(aws, region, prefix=options.prefix)
    )
    verdicts = [verdict for room in rooms.values() for verdict in gc.plan(room, policy, now=now())]
    going = [verdict for verdict in verdicts if verdict.remove]
    if options.delete:
        for verdict in going:
            common.teller(f"remove {verdict.id} ({verdict.region})")
            gc.remove(aws, verdict)
    gib = sum(verdict.gib for verdict in going)
    if options.json:
        print(json.dumps({"deleted": options.delete, "gib": gib, "verdicts": [asdict(v) for v in verdicts]}, indent=2))
    else:
        print("\n".join(verdict.line() for verdict in verdicts) or "there is nothing of ours")
        said = "removed" if options.delete else "would remove (shed gc aws --delete does)"
        print(f"{said}: {len(going)} of {len(verdicts)}, {gib} GiB")
    return Exit.OK
