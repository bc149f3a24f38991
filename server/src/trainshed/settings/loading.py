"""Layers of raw values -> Settings, with what is to be said about them."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Any

from trainshed.settings import Settings, sources
from trainshed.settings.forms import MASK
from trainshed.settings.keys import BY_PATH, FILES, IGNORED, KEYS, SECRETS, Key
from trainshed.settings.sources import Found, Raw, Trouble

_SECRET_BYTES = 64 * 1024  # a file of a secret that is larger is the wrong file
_SHOWN = 200  # characters of a wrong value
DEFAULT = "default"


class Level(StrEnum):
    """How bad a finding is: an error stops the start; a warning may be a mistake; a note has no consequence."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """What is to be said about one value, or about a source."""

    level: Level
    origin: str
    path: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.origin, self.path, self.text) if part)


@dataclass(frozen=True)
class Shown:
    """A key as it is in force: its value in the form of the configuration, secrets masked, and where that comes from."""

    value: Any
    origin: str


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """settings: None when a finding is an error. shown: key -> value, in the order of the table."""

    settings: Settings | None
    shown: dict[str, Shown]
    findings: tuple[Finding, ...]

    def worst(self) -> Level | None:
        """The level of the worst finding."""
        found = {finding.level for finding in self.findings}
        return next((level for level in Level if level in found), None)


def load(
    environ: Mapping[str, str],
    flags: Mapping[str, tuple[str, object]] | None = None,
    *,
    folders: Iterable[str] | None = None,
) -> Loaded:
    """The configuration of this machine. flags: key -> flag of the command line and its value, which is above all else."""
    above = (Raw(path, value, origin) for path, (origin, value) in (flags or {}).items())
    given: list[Raw] = []
    findings = []
    for found in chain(_files(environ, folders), sources.variables(environ), above):
        if isinstance(found, Trouble):
            findings.append(Finding(Level.ERROR if found.fatal else Level.WARNING, found.origin, "", found.text))
        else:
            given.append(found)
    settings = Settings(data_dir=data_dir(environ))
    values: dict[str, tuple[Any, str]] = {}
    for path, raw in merged(given).items():
        try:
            made = _value(raw, environ)
        except ValueError as error:
            findings.append(Finding(Level.ERROR, raw.origin, path, str(error)))
            continue
        if made is None:
            findings.append(_stranger(raw))
        else:
            key, value = made
            values[key.path] = value, raw.origin
            settings = _with(settings, key.field.split("."), value)
    findings.extend(_idle(settings, {path: origin for path, (_, origin) in values.items()}))
    shown = {
        key.path: Shown(_masked(key, _of(settings, key.field)), values.get(key.path, (None, DEFAULT))[1])
        for key in KEYS
    }
    wrong = any(finding.level is Level.ERROR for finding in findings)
    order = list(Level)
    findings.sort(key=lambda finding: order.index(finding.level))
    # A branch without effect is worth one note, however much stands in it.
    return Loaded(settings=None if wrong else settings, shown=shown, findings=tuple(dict.fromkeys(findings)))


def data_dir(environ: Mapping[str, str]) -> Path:
    """Where everything is kept when nothing says otherwise."""
    return Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "trainshed"


def merged(given: Iterable[Raw]) -> dict[str, Raw]:
    """The value of each path: the later one wins, also over a value above or below it in the tree."""
    kept: dict[str, Raw] = {}
    for raw in given:
        for path in [path for path in kept if _related(path, raw.path)]:
            del kept[path]
        if not raw.replaces:
            kept[raw.path] = raw
    return kept


def default_of(key: Key) -> Any:
    """What it is when nothing is said, in the form of the configuration."""
    return _masked(key, _of(Settings(data_dir=Path("~/.local/share/trainshed")), key.field))


def _files(environ: Mapping[str, str], folders: Iterable[str] | None) -> Found:
    return sources.files(environ) if folders is None else sources.files(environ, folders)


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _value(raw: Raw, environ: Mapping[str, str]) -> tuple[Key, Any] | None:
    """The key and its value for Settings; None for a key that has no effect. Raises ValueError with what is wrong."""
    path, value = raw.path, raw.value
    if (named := path.removesuffix(".file")) != path and named in SECRETS:
        path, value = named, _secret(value, environ)
    key = BY_PATH.get(path)
    if key is None:
        return None
    try:
        return key, key.form.read(value)
    except ValueError as error:
        place = str(error) if str(error).startswith("[") else f"must be {key.form.words}"
        hidden = key.secret or key.form.private
        got = "" if hidden or str(error).startswith("[") else f", and is {json.dumps(value, default=str)[:_SHOWN]}"
        raise ValueError(f"{place}{got}") from error


def _secret(name: object, environ: Mapping[str, str]) -> str:
    """The text in a file: an absolute path, or the name of a credential that systemd passes."""
    if not isinstance(name, str) or not name:
        raise ValueError("must be a path, in quotes")
    path = Path(environ.get("CREDENTIALS_DIRECTORY", "")) / name
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, and is {name!r}; only credentials of systemd go by a name alone")
    try:
        with path.open() as file:
            text = file.read(_SECRET_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"the file {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from error
    if len(text) > _SECRET_BYTES:
        raise ValueError(f"the file {path} is too large for a secret")
    return text.removesuffix("\n").removesuffix("\r")


def _stranger(raw: Raw) -> Finding:
    """What is said of a path that is no key. Its value is not: it may be a secret under a wrong name."""
    for ignored in IGNORED:
        if raw.path == ignored.path or raw.path.startswith(f"{ignored.path}."):
            return Finding(Level.NOTE, raw.origin, ignored.path, f"no effect here. {ignored.reason}")
    below = [path for path in BY_PATH if path.startswith(f"{raw.path}.")]
    if below:
        names = sorted({path.removeprefix(f"{raw.path}.").partition(".")[0] for path in below})
        return Finding(Level.ERROR, raw.origin, raw.path, f"must be an object, with {', '.join(names)}")
    return Finding(Level.WARNING, raw.origin, raw.path, f"no such key, so it has no effect{_nearest(raw.path)}")


def _idle(settings: Settings, origins: Mapping[str, str]) -> Iterator[Finding]:
    """What is right by itself, and has no effect without another key."""
    path = "trainshed.tls.redirect_port"
    if settings.tls.redirect_port is not None and not settings.tls.on:
        text = "no effect without TLS; set tls.certificate and tls.key, or tls.own"
        yield Finding(Level.WARNING, origins[path], path, text)


def _nearest(path: str) -> str:
    parts = path.split(".")
    below = {*parts[1:]}
    # The very name in another place, if most of the way there is the same; else one that is spelt almost so.
    elsewhere = [
        known
        for known in BY_PATH
        if known.endswith(f".{parts[-1]}") and 2 * len(below & {*known.split(".")}) > len(below)
    ]
    close = difflib.get_close_matches(path, elsewhere, n=1, cutoff=0) or difflib.get_close_matches(
        path, BY_PATH, n=1, cutoff=0.8
    )
    if not close and parts[0] not in FILES:
        return f"; the first part is one of {', '.join(FILES)}"
    return f"; is {close[0]} meant?" if close else ""


def _of(settings: object, field: str) -> Any:
    return reduce(lambda at, name: at[name] if isinstance(at, dict) else getattr(at, name), field.split("."), settings)


def _with(at: Any, names: list[str], value: object) -> Any:
    name, *rest = names
    if isinstance(at, dict):
        return {**at, name: _with(at[name], rest, value) if rest else value}
    return replace(at, **{name: _with(getattr(at, name), rest, value) if rest else value})


def _masked(key: Key, value: Any) -> Any:
    if key.secret:
        return MASK if value else value
    return key.form.shown(value)
