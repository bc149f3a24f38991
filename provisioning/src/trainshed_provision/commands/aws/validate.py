"""Compare a published version with what it should be, in every region: rules W01 to W10 of docs/publishing-aws.md.

Give the same --account, --arn and --public as for its publication: somebody else who may launch it is a finding. Exit code 9
when a rule does not hold.
"""

import argparse

from trainshed_provision.commands import rules
from trainshed_provision.commands.aws import common
from trainshed_provision.errors import Exit
from trainshed_provision.publish.aws import gc, validate
from trainshed_provision.publish.aws.observe import everywhere
from trainshed_provision.publish.aws.validate import Expected


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed validate aws`."""
    common.add_version(parser)
    common.add_audience(parser)
    parser.add_argument("--never-deprecated", action="store_true", help="it was published with --deprecate-days 0")
    common.add_names(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> Exit:
    """Print a line per rule and region."""
    aws = common.clients()
    seen = common.find(aws, options)
    everybody = frozenset({"all"}) if options.public else frozenset()
    expected = Expected(
        shared=frozenset(options.account) | frozenset(options.arn) | everybody,
        lonely=everywhere(aws, seen, lambda region: gc.lonely(aws, region)),
        deprecated=not options.never_deprecated,
    )
    return rules.report(validate.results(seen, expected), as_json=options.json)
