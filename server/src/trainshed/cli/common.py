"""What the commands share: exit codes, refusals, the data folder, the use cases over it."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

from trainshed import bootstrap
from trainshed.domain.errors import StoreError, StoreFull
from trainshed.services import Services
from trainshed.services.accounts import KeyPair
from trainshed.services.retention import FOREVER, Keep
from trainshed.settings import Settings

DEFAULT_PORTS = {"web": 8080, "api": 8008, "files": 8081}
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Exit(IntEnum):
    """Exit codes by kind, the same as those of `shed`."""

    OK = 0
    USAGE = 2
    MISSING = 3
    CORRUPT = 5
    CONFLICT = 6
    NO_SPACE = 7


class Refusal(Exception):
    """Ends the command with a code, what is wrong, and what to do next."""

    def __init__(self, code: Exit, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add --data-dir."""
    share = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    default = Path(os.environ.get("TRAINSHED_DATA_DIR") or share / "trainshed")
    parser.add_argument(
        "--data-dir", type=Path, default=default, metavar="DIR", help="where everything is kept (default: %(default)s)"
    )


@contextmanager
def store(folder: Path) -> Iterator[None]:
    """Refuse in words that help what the store in the folder cannot do."""
    try:
        yield
    except StoreFull as error:
        raise Refusal(
            Exit.NO_SPACE, f"no space is left for {folder}", "free some, or choose another --data-dir"
        ) from error
    except StoreError as error:
        raise Refusal(
            Exit.CORRUPT,
            f"the store in {folder} cannot be opened: {error}",
            "restore a backup, or choose another --data-dir",
        ) from error
    except OSError as error:
        raise Refusal(
            Exit.MISSING, f"cannot use {folder}: {error.strerror}", "make it writable, or choose another --data-dir"
        ) from error


@contextmanager
def services(folder: Path, keep: Keep = FOREVER) -> Iterator[Services]:
    """The use cases over the data of a server, beside which this may run."""
    if not (folder / "documents.db").exists():
        raise Refusal(Exit.MISSING, f"no server has run in {folder}", "name its --data-dir")
    with store(folder):
        _become_owner(folder)
        engines = bootstrap.open_engines(Settings(data_dir=folder, ports={}))
        yield bootstrap.build_services(engines, token_secret=bootstrap.secret(folder, "token"), keep=keep)
        engines.close()


def _become_owner(folder: Path) -> None:
    # Files that root makes beside the database could not be written by the server afterwards.
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def snippet(pair: KeyPair, host: str, ports: dict[str, int]) -> str:
    """A section of clearml.conf with the key. ports: of the listeners, where they are not the default ones."""
    urls = {**DEFAULT_PORTS, **ports}
    return (
        "# For ~/clearml.conf on the machine of the client.\n"
        "api {\n"
        f'    web_server: "http://{host}:{urls["web"]}"\n'
        f'    api_server: "http://{host}:{urls["api"]}"\n'
        f'    files_server: "http://{host}:{urls["files"]}"\n'
        "    credentials {\n"
        f'        "access_key" = "{pair.access_key}"\n'
        f'        "secret_key" = "{pair.secret_key}"\n'
        "    }\n"
        "}\n"
    )
