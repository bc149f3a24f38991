"""Withdraw a version in every region: `latest` leads to the one before, the version's own name goes, nobody can launch it.

It is disabled and stays as a mark, so that it is not published again; `shed gc aws` removes it after a while, --deregister at
once. Machines that run stay as they are.
"""

import argparse
import json
from datetime import UTC, datetime

from trainshed_provision.commands.aws import common
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import index
from trainshed_provision.publish.aws import revoke


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed revoke aws`."""
    common.add_version(parser)
    parser.add_argument("--reason", required=True, help="one line, for whoever finds that it is gone")
    parser.add_argument("--replacement", default="", metavar="VERSION", help="for the index: what to take instead")
    parser.add_argument("--deregister", action="store_true", help="remove image and snapshot now; there is no way back")
    common.add_index(parser)
    common.add_names(parser)
    common.add_dry_run(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> Exit:
    """Withdraw it, in the index first: that is what people are asked to look at."""
    reason = options.reason.strip()
    if not reason:
        raise ShedError("the reason is empty", hint='say why: --reason "..."', code=Exit.USAGE)
    aws, key = common.clients(), common.secret(options)
    steps = revoke.plan(
        common.find(aws, options),
        prefix=options.prefix,
        version=options.version,
        architecture=options.architecture,
        deregister=options.deregister,
    )
    if not options.dry_run:
        if key is not None:
            said = {"reason": reason, "replacement": options.replacement, "now": datetime.now(UTC)}
            index.edit(options.index, lambda old: index.revoke(old, options.version, **said), key=key)
        revoke.apply(aws, steps, reason=reason)
    if options.json:
        told = [{"do": step.do, "region": step.region, "text": step.text} for step in steps]
        print(json.dumps({"version": options.version, "steps": told, "dry_run": options.dry_run}))
    else:
        would = "would " if options.dry_run else ""
        print("\n".join(f"{would}{step.text} ({step.region})" for step in steps) or "was revoked already")
    return Exit.OK
