"""Compare what is published with what it should be. Exit code 9 when it is not."""

import argparse

from trainshed_provision.commands import clouds

HELP = "compare what is published with what it should be"
CLOUDS = {
    "aws": "trainshed_provision.commands.aws.validate",
    "gcp": "trainshed_provision.commands.gcp.validate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


validate = clouds.run
