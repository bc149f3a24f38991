"""Move old published images through their states as their announced dates pass. Made to be run every day."""

import argparse

from trainshed_provision.commands import clouds

HELP = "move old published images through their states"
CLOUDS = {
    "gcp": "trainshed_provision.commands.gcp.deprecate",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cloud, then its own options."""
    clouds.add_clouds(parser, CLOUDS)


deprecate = clouds.run
