"""Make a published image the newest that people get, after it was launched and passed its checks."""

import argparse

from trainshed_provision.commands import clouds

HELP = "make a published image the one that people get"
CLOUDS = {
    "aws": "trainshed_provision.commands.aws.promote",
    "gcp": "trainshed_provision.commands.gcp.promote",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


promote = clouds.run
