"""Let `latest` lead to a version, in every region that has it, once a machine launched from it has passed its checks.

shed check ssh HOST --json > report.json
shed promote aws 0.1.0 --tested report.json
"""

import argparse
import json
from pathlib import Path

from trainshed_provision.commands.aws import common
from trainshed_provision.errors import Exit
from trainshed_provision.publish.aws.promote import promote


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed promote aws`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    common.add_version(parser)
    parser.add_argument(
        "--tested",
        type=Path,
        required=True,
        metavar="FILE",
        help="what `shed check ssh --json` said of a machine of it",
    )
    common.add_names(parser)
    common.add_dry_run(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> Exit:
    """Check, promote, and say where `latest` leads."""
    aws = common.clients()
    seen = common.find(aws, options)
    steps = promote(
        aws,
        seen,
        prefix=options.prefix,
        architecture=options.architecture,
        report=options.tested,
        dry_run=options.dry_run,
    )
    if options.json:
        images = {region: here.id for region, here in seen.items()}
        said = [{"region": step.region, "text": step.text} for step in steps]
        print(json.dumps({"version": options.version, "latest": images, "steps": said, "dry_run": options.dry_run}))
    else:
        would = "would " if options.dry_run else ""
        for step in steps:
            print(f"{would}{step.text} ({step.region})")
        print(f"latest {(would and 'would be') or 'is'} {options.version} in {', '.join(seen)}")
    return Exit.OK
