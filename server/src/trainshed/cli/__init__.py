"""`trainshed`: parses and calls."""

import argparse
import logging
import sys

from trainshed.cli import (
    backup,
    claim,
    config,
    credentials,
    doctor,
    files,
    maintenance,
    project,
    relocate,
    retention,
    serve,
    user,
)
from trainshed.cli.common import Exit, Refusal, configured
from trainshed.transport import version

__all__ = ["Exit", "main"]

# In the order of --help.
_COMMANDS = (serve, maintenance, config, doctor, backup, retention, files, project, relocate, claim, user, credentials)


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        if getattr(options, "data_dir", options) is None:
            options.data_dir = configured(options).data_dir
        return int(options.call(options))
    except Refusal as refusal:
        print(f"trainshed: {refusal}\n           {refusal.hint}", file=sys.stderr)
        return int(refusal.code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trainshed",
        description="An experiment server that speaks the ClearML REST API to the unmodified client.",
        epilog="exit codes: " + ", ".join(f"{int(e)} {e.name.lower().replace('_', ' ')}" for e in Exit),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trainshed {version.product()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add(commands)
    return parser
