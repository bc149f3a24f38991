"""Replies against their description, both ways: every field is described, and is of the type that the description says."""

from typing import Any

import msgspec

from trainshed.transport.replies import REPLIES, File, Shape
from trainshed.transport.table import ENDPOINTS

# Below it the replies have the fields of an old dialect.
_PRESENT = (2, 14)


def check(meta: dict[str, Any], data: Any) -> None:
    """Raises AssertionError when the reply of a call that succeeded is not what the description says."""
    name = meta["endpoint"]["name"]
    if meta["result_code"] != 200 or name not in REPLIES or isinstance(REPLIES[name], File):
        return
    major, _, minor = str(meta["endpoint"]["actual_version"]).partition(".")
    if (int(major), int(minor)) >= max(_PRESENT, ENDPOINTS[name].since):
        _check(REPLIES[name], data, name)


def _check(shape: Shape, value: Any, where: str) -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), f"{where} is no object"
        assert value.keys() <= shape.keys(), f"{where} has {value.keys() - shape.keys()}"
        for name, inner in value.items():
            _check(shape[name], inner, f"{where}: {name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), f"{where} is no list"
        for inner in value:
            _check(shape[0], inner, where)
    else:
        try:
            known = msgspec.convert(value, shape)
        except msgspec.ValidationError as error:
            raise AssertionError(f"{where}: {error}") from error
        # A converted dict lacks what its type does not know.
        assert known == value, f"{where}: {_unknown(known, value)}"


def _unknown(known: Any, value: Any) -> Any:
    """The part of the value that the known part lacks."""
    if isinstance(value, dict) and isinstance(known, dict):
        return {name: _unknown(known.get(name), inner) for name, inner in value.items() if known.get(name) != inner}
    if isinstance(value, list) and isinstance(known, list):
        return [_unknown(k, v) for k, v in zip(known, value, strict=True) if k != v]
    return value
