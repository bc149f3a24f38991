"""Bring a baked image to a cloud. What is there already is not done again; a publication that was cut goes on."""

import argparse

from trainshed_provision.commands import clouds

HELP = "bring a baked image to a cloud"
CLOUDS = {
    "aws": "trainshed_provision.commands.aws.publish",
    "gcp": "trainshed_provision.commands.gcp.publish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


publish = clouds.run
