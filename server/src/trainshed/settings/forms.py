"""What a value of the configuration may be: in words for people, and as the reader that makes it a value of Settings.

Numbers and truth values may come as text too, as HOCON has it: what a file takes from the environment always does.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)")
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MASK = "***"


@dataclass(frozen=True)
class Form:
    """words: what is expected. read: makes the value of Settings; raises ValueError when it is not what is expected.

    text: a variable's value is the text as it stands, whatever JSON would make of it. listed: unless it begins as a list.
    shown: the value as the configuration would say it, without secrets. private: a part of it is a secret, so that no
    value is repeated to say that it is wrong.
    """

    words: str
    read: Callable[[object], Any]
    text: bool = False
    listed: bool = False
    shown: Callable[[Any], Any] = lambda value: value
    private: bool = False


def _flag(value: object) -> bool:
    if isinstance(value, str):
        value = _TRUTH.get(value.lower(), value)
    if not isinstance(value, bool):
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):  # 007 has become 7 by now, so no number is taken
        raise ValueError
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value) if isinstance(value, str) else value
    if not math.isfinite(number):
        raise ValueError
    return int(number) if number == int(number) else number


def whole(low: int, high: int | None = None, *, of: str = "") -> Form:
    """A whole number. of: what it counts."""

    def read(value: object) -> int:
        number = _number(value)
        if not isinstance(number, int) or number < low or (high is not None and number > high):
            raise ValueError
        return number

    bounds = f"{low} or more" if high is None else f"{low} to {high}"
    return Form(f"a whole number{f' of {of}' if of else ''}: {bounds}", read)


def seconds(low: float) -> Form:
    """A time, in seconds when no unit is named."""

    def read(value: object) -> float:
        if isinstance(value, str):
            found = _DURATION.fullmatch(value.strip().lower())
            if found is None or found[2] not in _UNITS:
                raise ValueError
            value = float(found[1]) * _UNITS[found[2]]
        number = _number(value)
        if number < low:
            raise ValueError
        return number

    return Form(f'a time: seconds, or "5m", "2h", "1d"; {low:g} or more', read, shown=_number)


def choice(*names: str) -> Form:
    """One of these words, in any case."""
    known = {name.lower(): name for name in names}

    def read(value: object) -> str:
        found = known.get(_text(value).lower())
        if found is None:
            raise ValueError
        return found

    return Form(f"one of {', '.join(names)}", read, text=True)


def signing(low: int) -> Form:
    """A text that others must not guess; "" for none."""

    def read(value: object) -> str:
        if value != "" and len(_text(value)) < low:
            raise ValueError
        return _text(value)

    return Form(f'a text of {low} characters or more, in quotes: "..."', read, text=True)


def checked(check: Callable[[str], str]) -> Callable[[object], str]:
    """A reader of a text that this makes into its plainest form; "" stays."""
    return lambda value: check(_text(value)) if value else _text(value)


def maybe(form: Form) -> Form:
    """That, or null."""
    return Form(
        f"{form.words}; or null",
        lambda value: None if value is None or (form.text and value == "null") else form.read(value),
        text=form.text,
        shown=lambda value: None if value is None else form.shown(value),
    )


def many(form: Form) -> Form:
    """A list of those; one alone may stand without the list, and null for none."""

    def read(value: object) -> tuple[Any, ...]:
        if value is None:
            return ()
        return tuple(form.read(one) for one in (value if isinstance(value, list) else [value]))

    return Form(
        f"a list, each {form.words}",
        read,
        text=form.text,
        listed=True,
        shown=lambda value: [form.shown(one) for one in value],
    )


def records(kind: type, forms: Mapping[str, Form], *, secret: frozenset[str] = frozenset()) -> Form:
    """A list of objects, each made into one of the dataclass `kind` with these fields. Raises ValueError with the place."""
    needed = {field.name for field in fields(kind) if not _has_default(field)}

    def one(number: int, value: object) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"[{number}]")
        for name in value.keys() - forms.keys():
            raise ValueError(f"[{number}] has no {name!r}: it has {', '.join(forms)}")
        for name in needed - value.keys():
            raise ValueError(f"[{number}] needs {name}")
        made = {}
        for name, given in value.items():
            try:
                made[name] = forms[name].read(given)
            except ValueError as error:
                raise ValueError(f"[{number}].{name} must be {forms[name].words}") from error
        return kind(**made)

    def read(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError
        return tuple(one(number, found) for number, found in enumerate(value))

    def shown(value: tuple[Any, ...]) -> list[dict[str, Any]]:
        return [
            {name: MASK if name in secret else form.shown(getattr(found, name)) for name, form in forms.items()}
            for found in value
        ]

    return Form(f"a list of objects with {', '.join(forms)}", read, shown=shown, private=bool(secret))


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _size(value: object) -> int:
    if isinstance(value, str):
        found = _SIZE.fullmatch(value.strip())
        if found is None:
            raise ValueError
        value = float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()]
    number = _number(value)
    if number < 0:
        raise ValueError
    return int(number)


def _path(value: object) -> Path:
    if not _text(value):
        raise ValueError
    return Path(_text(value)).expanduser()


FLAG = Form("true or false", _flag)
TEXT = Form('a text, in quotes: "..."', _text, text=True)
TEXTS = many(TEXT)
PORT = whole(1, 65535)
SIZE = Form('a size: bytes, or "500 MB", "10 GiB"', _size)
PATH = Form("a path", _path, text=True, shown=str)
