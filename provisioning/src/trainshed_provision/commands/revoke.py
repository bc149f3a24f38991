"""Withdraw a published image: nobody launches it any more, and the names lead to the one before."""

import argparse

from trainshed_provision.commands import clouds

HELP = "withdraw a published image"
CLOUDS = {
    "aws": "trainshed_provision.commands.aws.revoke",
    "gcp": "trainshed_provision.commands.gcp.revoke",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


revoke = clouds.run
