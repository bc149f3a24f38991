"""Options and output that the verbs for AWS share."""

import argparse
import sys
from pathlib import Path

from trainshed_provision.architecture import AMD64, ARCHITECTURES
from trainshed_provision.commands.sign import add_key
from trainshed_provision.papers import signatures
from trainshed_provision.papers.signatures import SecretKey
from trainshed_provision.publish.aws import release
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.release import Seen

WORKERS = 32


def add_version(parser: argparse.ArgumentParser) -> None:
    """Which image, and where."""
    parser.add_argument("version", metavar="VERSION", help="that was published, e.g. 0.1.0")
    parser.add_argument("--architecture", choices=list(ARCHITECTURES), default=AMD64.name, help="(%(default)s)")
    add_regions(parser)


def add_regions(parser: argparse.ArgumentParser) -> None:
    """Where."""
    parser.add_argument(
        "--in", action="append", default=[], dest="regions", metavar="REGION", help="there alone (all enabled regions)"
    )


def add_audience(parser: argparse.ArgumentParser) -> None:
    """Who may launch it."""
    parser.add_argument("--account", action="append", default=[], help="that may launch it; again for more")
    parser.add_argument("--arn", action="append", default=[], help="of an organisation or unit that may launch it")
    parser.add_argument("--public", action="store_true", help="everybody may launch it")


def add_names(parser: argparse.ArgumentParser) -> None:
    """How names begin."""
    parser.add_argument("--prefix", default="/trainshed", help="of the SSM parameters (%(default)s)")


def add_index(parser: argparse.ArgumentParser) -> None:
    """The signed index to write it down in."""
    parser.add_argument(
        "--index", type=Path, metavar="FILE", help="write it into this signed index too (docs/index.md)"
    )
    add_key(parser)


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Only look."""
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def add_json(parser: argparse.ArgumentParser) -> None:
    """For programs."""
    parser.add_argument("--json", action="store_true", help="print JSON; progress goes to stderr")


def clients() -> Aws:
    """Of the region of boto3's chain, from which all others are asked."""
    return Aws(workers=WORKERS)


def find(aws: Aws, options: argparse.Namespace) -> dict[str, Seen]:
    """The version that the options name, by region."""
    return release.find(
        aws,
        options.version,
        architecture=options.architecture,
        prefix=options.prefix,
        regions=tuple(options.regions),
    )


def secret(options: argparse.Namespace) -> SecretKey | None:
    """The key to sign the index with, read before anything is done; None without an index."""
    return signatures.load_secret(options.key) if options.index else None


def teller(line: str) -> None:
    """Say what goes on."""
    print(f"shed: {line}", file=sys.stderr, flush=True)
