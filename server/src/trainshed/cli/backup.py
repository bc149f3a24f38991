"""`trainshed backup`, `verify` and `restore`."""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, Refusal, add_data_dir, become_owner, configured, ran_in
from trainshed.cli.progress import Progress, amount
from trainshed.domain.errors import NotFound, StoreError, StoreFull
from trainshed.ports.backups import Damaged, Vault
from trainshed.services import backup
from trainshed.settings import Settings
from trainshed.transport import version

_PLACE = "a folder that keeps many backups, or a file ending in .tar that keeps one"


def add(commands: Commands) -> None:
    """Add the commands to the parser."""
    make = commands.add_parser("backup", help="back everything up, beside a running server", allow_abbrev=False)
    make.add_argument("place", type=Path, metavar="PLACE", help=_PLACE)
    make.add_argument("--keep", type=_count, metavar="N", help="remove older backups of the folder than the last N")
    make.set_defaults(call=_backup)
    verify = commands.add_parser("verify", help="check that backups are whole", allow_abbrev=False)
    verify.add_argument("place", type=Path, metavar="PLACE", help=_PLACE)
    verify.add_argument("--backup", metavar="NAME", help="only this one")
    verify.set_defaults(call=_verify)
    restore = commands.add_parser("restore", help="fill a new data folder from a backup", allow_abbrev=False)
    restore.add_argument("place", type=Path, metavar="PLACE", help=_PLACE)
    restore.add_argument("--backup", metavar="NAME", help="instead of the latest one")
    restore.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    restore.add_argument(
        "--replace", action="store_true", help="set what the data folder holds aside, in a folder replaced-... of it"
    )
    restore.set_defaults(call=_restore)
    for parser in (make, restore):
        add_data_dir(parser)
    for parser in (make, verify, restore):
        parser.add_argument("--json", action="store_true", help="print JSON")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


@contextmanager
def refusals(place: Path) -> Iterator[None]:
    """Say in words that help what cannot be done with a place of backups."""
    try:
        yield
    except NotFound as error:
        raise Refusal(
            Exit.MISSING, f"{place}: {error}", "`trainshed verify PLACE` lists those that are there"
        ) from error
    except StoreFull as error:
        raise Refusal(Exit.NO_SPACE, f"{place}: {error}", "free some space, or choose another place") from error
    except backup.TooNew as error:
        raise Refusal(Exit.CORRUPT, f"{place}: {error}", "restore it with that release or a newer one") from error
    except Damaged as error:
        raise Refusal(Exit.CORRUPT, f"{place}: {error}", "use another backup; nothing was changed") from error
    except BlockingIOError as error:
        raise Refusal(Exit.CONFLICT, f"another backup to {place} is running", "wait for it") from error
    except FileExistsError as error:
        raise Refusal(
            Exit.CONFLICT, f"{place} is there already", "choose another name: a file holds one backup"
        ) from error
    except StoreError as error:
        raise Refusal(Exit.CORRUPT, f"{place}: {error}", "nothing was changed") from error
    except OSError as error:
        raise Refusal(
            Exit.MISSING, f"cannot use {place}: {error.strerror}", "check its owner and permissions"
        ) from error


def _opened(place: Path) -> Vault:
    """A place to read from. Raises NotFound, Damaged."""
    if place.is_file():
        return bootstrap.backup_archive(place)
    if not place.is_dir():
        raise NotFound("there is no such place")
    return bootstrap.backup_folder(place)


def _backup(options: argparse.Namespace) -> Exit:
    ran_in(options.data_dir)
    settings = replace(configured(), data_dir=options.data_dir)
    place: Path = options.place.absolute()
    if place.is_relative_to(options.data_dir.absolute()):
        raise Refusal(Exit.USAGE, f"{place} is in the data folder itself", "keep backups on another disk")
    with refusals(place):
        if place.suffix == ".tar":
            if place.exists():
                raise FileExistsError
            made = _to_archive(settings, place)
        else:
            made = _to_folder(settings, place, options.keep)
    bucket = settings.files_place.bucket
    _say(options, made, **({"not in it": f"the files in the bucket {bucket}"} if bucket else {}))
    return Exit.OK


def _to_archive(settings: Settings, place: Path) -> backup.Backup:
    become_owner(settings.data_dir)
    vault = bootstrap.backup_archive_writer(place)
    with vault.writing() as scratch, Progress() as progress:
        return backup.create(
            bootstrap.backup_sources(settings, scratch),
            vault,
            clock=bootstrap.system_clock(),
            product=version.product(),
            tell=progress,
        )


def _to_folder(settings: Settings, place: Path, keep: int | None) -> backup.Backup:
    if not place.exists():  # by root, perhaps, but of the user who writes it from here on
        place.mkdir(mode=0o700, parents=True)
        owner = settings.data_dir.stat()
        if os.geteuid() == 0:
            os.chown(place, owner.st_uid, owner.st_gid)
    become_owner(settings.data_dir)
    vault = bootstrap.backup_folder(place)
    with vault.writing() as scratch:
        there = [backup.read(vault, name) for name in vault.names()]
        vault.trust(backup.used(there))
        with Progress() as progress:
            made = backup.create(
                bootstrap.backup_sources(settings, scratch),
                vault,
                clock=bootstrap.system_clock(),
                product=version.product(),
                former=there[-1] if there else None,
                tell=progress,
            )
        if keep is not None:
            kept = [*there, made][-keep:]
            for old in there[: max(0, len(there) + 1 - keep)]:
                vault.remove(old.name)
            vault.sweep(backup.used(kept))
    return made


def _verify(options: argparse.Namespace) -> Exit:
    results: list[dict[str, Any]] = []
    checked: set[str] = set()
    with refusals(options.place):
        vault = _opened(options.place)
        names = [options.backup] if options.backup else vault.names()
        if not names:
            raise NotFound("there is no backup at all")
        for name in names:
            try:
                found = backup.read(vault, name)
                with Progress() as progress:
                    problems = backup.verify(vault, found, checked=checked, tell=progress)
                results.append({**_summary(found), "problems": problems})
            except Damaged as error:
                results.append({"name": name, "problems": [str(error)]})
    if options.json:
        print(json.dumps(results))
    for result in () if options.json else results:
        print(f"{result['name']}  {'damaged' if result['problems'] else 'whole'}")
        for problem in result["problems"]:
            print(f"    {problem}")
    return Exit.CORRUPT if any(result["problems"] for result in results) else Exit.OK


def _restore(options: argparse.Namespace) -> Exit:
    data_dir: Path = options.data_dir
    with refusals(options.place):
        vault = _opened(options.place)
        found = backup.read(vault, options.backup)
    target = bootstrap.restore_target(data_dir)
    occupied = target.occupied()
    if occupied and not options.replace:
        raise Refusal(
            Exit.CONFLICT,
            f"{data_dir} is not empty",
            "choose another --data-dir, or say --replace to set its content aside",
        )
    if occupied and bootstrap.in_use(data_dir):
        raise Refusal(Exit.CONFLICT, f"a server runs in {data_dir}", "stop it first")
    if found.size > target.free():
        raise Refusal(
            Exit.NO_SPACE,
            f"{data_dir} needs {amount(found.size)}, and {amount(target.free())} are free",
            "free some space",
        )
    aside = time.strftime("replaced-%Y%m%dT%H%M%SZ", time.gmtime()) if occupied else None
    if not options.dry_run:
        if data_dir.is_dir():
            become_owner(data_dir)
        with refusals(options.place), target.writing():
            try:
                with Progress() as progress:
                    backup.restore(vault, found, target, tell=progress)
                bootstrap.prepare_restored(target.staging)
            except BaseException:
                target.abort()
                raise
            target.finish(aside=aside)
    more = {"replaced": str(data_dir / aside)} if aside else {}
    elsewhere = configured().files_place.folder
    if elsewhere is not None:
        more["to be moved"] = f"{data_dir / 'files'}, as trainshed.files.folder says {elsewhere}"
    _say(options, found, **more)
    return Exit.OK


def _summary(found: backup.Backup) -> dict[str, str | int]:
    return {
        "name": found.name,
        "moment": found.header.moment,
        "release": found.header.product,
        "files": len(found.entries),
        "bytes": found.size,
    }


def _say(options: argparse.Namespace, found: backup.Backup, **more: str) -> None:
    summary = {**_summary(found), **more}
    if options.json:
        print(json.dumps(summary))
        return
    print(f"backup {found.name}: {len(found.entries)} files, {amount(found.size)}, as of {found.header.moment}")
    for what, text in more.items():
        print(f"{what}: {text}")
