"""`shed`: parses and calls. One table of commands, one place where errors become exit codes."""

import argparse
import importlib
import logging
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

from trainshed_provision.errors import Exit, ShedError

# verb -> module. Imported only when asked for, so that `shed --help` answers at once.
COMMANDS = {
    "bake": "trainshed_provision.commands.bake",
    "prove": "trainshed_provision.commands.prove",
    "launch": "trainshed_provision.commands.launch",
    "status": "trainshed_provision.commands.status",
    "check": "trainshed_provision.commands.check",
    "stop": "trainshed_provision.commands.stop",
    "credentials": "trainshed_provision.commands.credentials",
    "destroy": "trainshed_provision.commands.destroy",
    "publish": "trainshed_provision.commands.publish",
    "validate": "trainshed_provision.commands.validate",
    "promote": "trainshed_provision.commands.promote",
    "revoke": "trainshed_provision.commands.revoke",
    "deprecate": "trainshed_provision.commands.deprecate",
    "gc": "trainshed_provision.commands.gc",
    "changes": "trainshed_provision.commands.changes",
    "sign": "trainshed_provision.commands.sign",
    "verify": "trainshed_provision.commands.verify",
    "index": "trainshed_provision.commands.index",
    "packer": "trainshed_provision.commands.packer",
}

EPILOG = "exit codes: " + ", ".join(f"{int(e)} {e.name.lower().replace('_', ' ')}" for e in Exit)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is the kind of line every other error is."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to read more; no screen of usage."""
        self.exit(Exit.USAGE, f"shed: {message}\n      see: {self.prog} --help\n")


def main(argv: list[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    parser = Parser(
        prog="shed", description="Bake, launch and check Trainshed images.", epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show every external command")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for verb in [verb for verb in COMMANDS if verb in words] or COMMANDS:
        module = importlib.import_module(COMMANDS[verb])
        sub = verbs.add_parser(verb, help=module.HELP, description=module.__doc__, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(call=getattr(module, verb))
    options = parser.parse_args(words)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(message)s")
    try:
        return int(options.call(options))
    except ShedError as error:
        print(f"shed: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"      {error.hint}", file=sys.stderr)
        return int(error.code)
    except KeyboardInterrupt:
        print("shed: interrupted", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except Exception:  # noqa: BLE001 - the process edge: a bug becomes a log that can be sent to us
        return _crash()


def _crash() -> int:
    handle, name = tempfile.mkstemp(prefix="shed-crash-", suffix=".log")
    with os.fdopen(handle, "w") as log:
        log.write(f"shed {' '.join(sys.argv[1:])}\npython {sys.version}\n\n{traceback.format_exc()}")
    print(f"shed: this is a bug; what happened is in {Path(name)}", file=sys.stderr)
    return int(Exit.CRASH)
