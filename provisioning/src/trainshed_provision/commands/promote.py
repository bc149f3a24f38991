"""Make a published image the newest that people get, after it was launched and passed its checks."""

import argparse

from trainshed_provision.commands import clouds

HELP = "make a published image the one that people get"
CLOUDS: dict[str, str] = {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


promote = clouds.run
