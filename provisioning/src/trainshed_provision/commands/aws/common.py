"""Options and output that the verbs for AWS share."""

import argparse
import sys


def add_names(parser: argparse.ArgumentParser) -> None:
    """How names begin."""
    parser.add_argument("--prefix", default="/trainshed", help="of the SSM parameters (%(default)s)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """For programs."""
    parser.add_argument("--json", action="store_true", help="print one JSON object; progress goes to stderr")


def teller(line: str) -> None:
    """Say what goes on."""
    print(f"shed: {line}", file=sys.stderr, flush=True)
