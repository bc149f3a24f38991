"""The SQL functions that the compiled filters use beyond SQLite's own."""

import sqlite3
import threading
from typing import Any

import msgspec

from trainshed.adapters.sqlite.documents.compile import FALSE, TRUE
from trainshed.domain.errors import InvalidRegex
from trainshed.domain.values import natural_key, walk
from trainshed.ports.patterns import compile_pattern

_refused = threading.local()


def refusal() -> InvalidRegex | None:
    """What `matches` raised last in this thread, told once: SQLite only passes on that something was raised."""
    error: InvalidRegex | None = getattr(_refused, "error", None)
    _refused.error = None
    return error


def register(connection: sqlite3.Connection) -> None:
    """Define them on a connection."""
    for name, arguments, function in (
        ("scalar", 2, _scalar),
        ("list", 2, _list),
        ("object", 2, _object),
        ("there", 2, _there),
        ("matches", 3, _matches),
        ("natural_key", 1, _natural_key),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def _value(body: str, path: str) -> Any:
    return walk(msgspec.json.decode(body), tuple(msgspec.json.decode(path)))


def _scalar(body: str, path: str) -> Any:
    """The scalar (compile) at a path that is given as a JSON list of keys."""
    value = _value(body, path)
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value)
    return None if isinstance(value, list | dict) else value


def _list(body: str, path: str) -> str | None:
    value = _value(body, path)
    return msgspec.json.encode(value).decode() if isinstance(value, list) else None


def _object(body: str, path: str) -> str | None:
    value = _value(body, path)
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else None


def _there(body: str, path: str) -> bool:
    return _value(body, path) is not None


def _matches(pattern: str, ignore_case: int, value: Any) -> bool:
    try:
        return isinstance(value, str) and compile_pattern(pattern, ignore_case=bool(ignore_case)).search(value)
    except InvalidRegex as error:
        _refused.error = error
        raise


def _natural_key(value: Any) -> Any:
    return natural_key(value) if isinstance(value, str) else value
