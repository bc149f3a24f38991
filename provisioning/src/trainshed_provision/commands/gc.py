"""Remove old images and half-made ones. Says what it would remove, and removes only with --delete."""

import argparse

from trainshed_provision.commands import clouds

HELP = "remove published images that nobody needs"
CLOUDS = {
    "aws": "trainshed_provision.commands.aws.gc",
    "gcp": "trainshed_provision.commands.gcp.gc",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


gc = clouds.run
