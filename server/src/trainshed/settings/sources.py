"""Where configuration comes from, weakest first: files, then the environment; each source as layers of raw values."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed.settings.keys import ALIASES, BY_PATH, FILES, FIXED, SECRETS

FOLDERS = ("/opt/trains/config", "/opt/clearml/config")
PREFIXES = ("TRAINS_", "CLEARML_")  # the later one wins
_ALIASES = {name.lower(): path for name, path in ALIASES.items()}
_CLIENT = frozenset({"sdk", "api", "agent"})  # what the client on the same machine reads


@dataclass(frozen=True)
class Raw:
    """A value as a source has it. origin: which one, for people. replaces: the branch above it is dropped first."""

    path: str
    value: object
    origin: str
    replaces: bool = False


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a source itself. fatal: the server must not start on a guess."""

    origin: str
    text: str
    fatal: bool


Found = Iterator[Raw | Trouble]


def files(environ: Mapping[str, str], folders: Iterable[str] = FOLDERS) -> Found:
    """What stands in the files of each folder that CLEARML_CONFIG_DIR names, or of the usual ones."""
    named = environ.get("CLEARML_CONFIG_DIR", environ.get("TRAINS_CONFIG_DIR"))
    for name in folders if named is None else filter(None, named.split(os.pathsep)):
        folder = Path(name)
        try:
            there = folder.is_dir()
        except OSError as error:
            yield Trouble(name, f"it cannot be read: {error.strerror}", fatal=True)
            continue
        if there:
            yield from _folder(folder)
        elif named is not None:
            yield Trouble(name, "it is named in CLEARML_CONFIG_DIR and is no folder", fatal=False)


def _folder(folder: Path) -> Found:
    for path in sorted(folder.glob("*.conf")):
        if path.stem not in FILES:
            yield Trouble(
                str(path), f"it is not read: there are {', '.join(f'{name}.conf' for name in FILES)}", fatal=False
            )
    for name in FILES:
        yield from _file(folder / f"{name}.conf", name)
    for path in sorted((folder / "services").glob("*.conf")):  # the defaults of ClearML have that form
        yield from _file(path, f"services.{path.stem}")


def _file(path: Path, under: str) -> Found:
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        yield Trouble(str(path), f"it cannot be read: {reason}", fatal=True)
        return
    from trainshed.settings import hocon  # slow to import, and most servers have no file

    try:
        tree = hocon.parse(text, path.parent)
    except hocon.Unreadable as error:
        yield Trouble(str(path), str(error), fatal=True)
        return
    yield from leaves(tree, under, str(path))


def leaves(tree: Mapping[str, Any], under: str, origin: str) -> Iterator[Raw]:
    """The values of a tree, each with its whole path. A key that begins with "-" replaces the branch instead of merging."""
    for name, value in tree.items():
        path = _named(f"{under}.{name.removeprefix('-').lower()}")
        if name.startswith("-"):
            yield Raw(path, None, origin, replaces=True)
        if isinstance(value, Mapping) and (path not in BY_PATH or (path in SECRETS and [*value] == ["file"])):
            yield from leaves(value, path, origin)
        else:
            yield Raw(path, value, origin)


def variables(environ: Mapping[str, str]) -> Found:
    """What CLEARML__FILE__PATH says, and above it the variables with names of their own."""
    for prefix in PREFIXES:
        for name, text in sorted(environ.items()):
            path = _named(name.removeprefix(f"{prefix}_").lower().replace("__", "."))
            # An empty one is what a compose file makes of a variable that is not set.
            if name.startswith(f"{prefix}_") and text and path.partition(".")[0] not in _CLIENT:
                yield from _parsed(path, text, f"${name}")
    for name, key in FIXED.items():
        for full in (name, *(prefix + name for prefix in PREFIXES)):
            if said := environ.get(full):
                yield from _parsed(key, said, f"${full}")


def _named(path: str) -> str:
    return _ALIASES.get(path, path)


def _parsed(path: str, text: str, origin: str) -> Found:
    """JSON, else HOCON. For a key that is a text it is the text as it stands, unless it is a JSON text in its quotes."""
    key = BY_PATH.get(path)
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    is_list = bool(key and key.form.listed and (value is None or text.lstrip().startswith("[")))
    if key and key.form.text and not is_list:
        yield Raw(path, value if isinstance(value, str) else text, origin)
        return
    if value is text and not text.isalnum() and (key or text.lstrip().startswith("{")):
        from trainshed.settings import hocon

        try:
            value = hocon.parse(f"value: {text}", Path())["value"]
        except (hocon.Unreadable, KeyError):
            yield Trouble(origin, f"{path} must be {key.form.words if key else 'JSON or HOCON'}", fatal=True)
            return
    if isinstance(value, Mapping) and not key:
        yield from leaves(value, path, origin)
    else:
        yield Raw(path, value, origin)
