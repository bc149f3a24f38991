"""What the commands share: exit codes, refusals, the configuration, the data folder, the use cases over it."""

import argparse
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeAlias

from trainshed import bootstrap
from trainshed.domain.errors import ApiError, StoreError, StoreFull
from trainshed.domain.identity import ROOT, Identity, Role
from trainshed.services import Services
from trainshed.services.accounts import KeyPair
from trainshed.services.addresses import Urls
from trainshed.services.retention import FOREVER, Keep
from trainshed.settings import Settings
from trainshed.settings.keys import BY_PATH
from trainshed.settings.loading import Finding, Level, default_of, load

log = logging.getLogger(__name__)

# Who is root on the host, or has the data, may do everything.
HOST = Identity(user=ROOT, role=Role.ROOT)
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class Exit(IntEnum):
    """Exit codes by kind, the same as those of `shed`."""

    OK = 0
    USAGE = 2
    MISSING = 3
    CORRUPT = 5
    CONFLICT = 6
    NO_SPACE = 7
    UNHEALTHY = 9


class Refusal(Exception):
    """Ends the command with a code, what is wrong, and what to do next."""

    def __init__(self, code: Exit, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add --data-dir; without it main() puts what the configuration says."""
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where everything is kept (default: what the configuration says)"
    )


def add_setting(parser: argparse.ArgumentParser, flag: str, path: str, metavar: str, **options: Any) -> None:
    """Add a flag that stands above every other source of this key. options: further ones of argparse."""
    key = BY_PATH[path]

    def read(text: str) -> tuple[str, str]:
        try:
            key.form.read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {key.form.words}") from error
        return flag, text

    default = default_of(key)
    said = ",".join(default) if isinstance(default, list) else default
    parser.add_argument(
        flag,
        dest=path,
        metavar=metavar,
        **{"type": read, "default": argparse.SUPPRESS, "help": f"{key.doc} Default: {said or 'none'}", **options},
    )


def configured(options: argparse.Namespace | None = None) -> Settings:
    """What files, variables and the flags of add_setting say; errors are refused."""
    return configuration(options)[0]


def tell(findings: Iterable[Finding]) -> None:
    """Log what may be a mistake."""
    for finding in findings:
        log.log(logging.WARNING if finding.level is Level.WARNING else logging.INFO, "%s", finding)


def configuration(options: argparse.Namespace | None = None) -> tuple[Settings, tuple[Finding, ...]]:
    """As configured, with what is worth telling people."""
    flags = {}
    for path, given in vars(options).items() if options else ():
        if path in BY_PATH:  # a flag that may be repeated gives a list
            flags[path] = given if isinstance(given, tuple) else (given[0][0], [value for _, value in given])
    loaded = load(os.environ, flags)
    if loaded.settings is None:
        wrong = [str(finding) for finding in loaded.findings if finding.level is Level.ERROR]
        raise Refusal(
            Exit.USAGE,
            f"the configuration has {'an error' if len(wrong) == 1 else f'{len(wrong)} errors'}: {'; '.join(wrong)}",
            "correct it: `trainshed config check` looks at it again",
        )
    return loaded.settings, loaded.findings


@contextmanager
def understood() -> Iterator[None]:
    """Refuse users and keys of the configuration that cannot be meant."""
    try:
        yield
    except ValueError as error:
        raise Refusal(
            Exit.USAGE,
            f"the configuration has an error: {error}",
            "correct it: `trainshed config show --origin` says where it stands",
        ) from error


@contextmanager
def allowed() -> Iterator[None]:
    """Refuse what a use case refuses."""
    try:
        yield
    except ApiError as error:
        raise Refusal(
            Exit.USAGE,
            error.message,
            "`trainshed user list` and `trainshed credentials list` show who and what there is",
        ) from error


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
    except PermissionError as error:
        raise _of_another(folder, Path(error.filename or folder)) from error
    except OSError as error:
        raise Refusal(
            Exit.MISSING, f"cannot use {folder}: {error.strerror}", "make it writable, or choose another --data-dir"
        ) from error


def _of_another(folder: Path, place: Path) -> Refusal:
    """What to do about a place that this user may not write to."""
    there = next(path for path in (place, *place.parents) if os.path.lexists(path))
    user, owner = os.geteuid(), there.lstat().st_uid
    return Refusal(
        Exit.MISSING,
        f"cannot use {folder}: {there} is of user {owner}, and this runs as user {user}",
        f"sudo chown -R {user} {there} (in a container: what is mounted there), or run this as user {owner}",
    )


@contextmanager
def services(folder: Path, keep: Keep = FOREVER) -> Iterator[Services]:
    """The use cases over the data of a server, beside which this may run."""
    ran_in(folder)
    settings = replace(configured(), data_dir=folder, keep=keep)  # perhaps only root can read it
    with store(folder), allowed():
        become_owner(folder)
        engines = bootstrap.open_engines(settings)
        with understood():
            opened = bootstrap.configured_services(settings, engines)
        yield opened
        engines.close()


def ran_in(folder: Path) -> None:
    """Refuse a folder that is no server's."""
    if not (folder / "documents.db").exists():
        raise Refusal(Exit.MISSING, f"no server has run in {folder}", "name its --data-dir")


def become_owner(folder: Path) -> None:
    """Go on as the user of the data: files that root makes beside a database could not be written by the server afterwards."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows with the same fields, for people."""
    if not rows:
        return "none"
    shown = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in shown)


def _cell(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value) or "-"


def snippet(pair: KeyPair, urls: Urls) -> str:
    """A section of clearml.conf with the key."""
    return (
        "# For ~/clearml.conf on the machine of the client.\n"
        "api {\n"
        f'    web_server: "{urls.web}"\n'
        f'    api_server: "{urls.api}"\n'
        f'    files_server: "{urls.files}"\n'
        "    credentials {\n"
        f'        "access_key" = "{pair.access_key}"\n'
        f'        "secret_key" = "{pair.secret_key}"\n'
        "    }\n"
        "}\n"
    )
