"""From request structs to the plain values that services take."""

from typing import Any

from msgspec import UNSET, Struct, ValidationError, convert, to_builtins

from trainshed.domain.errors import ApiError, Fault
from trainshed.transport.wire.common import DottedValue


def sent(request: Struct, *leave_out: str) -> dict[str, Any]:
    """What the caller sent, as plain values: fields that were left out or null are not there, in nested structs neither."""
    values = {name: _plain(getattr(request, name)) for name in request.__struct_fields__ if name not in leave_out}
    return {name: value for name, value in values.items() if value is not None and value is not UNSET}


def listing(request: Struct, arguments: dict[str, Any]) -> dict[str, Any]:
    """What services.listing takes: the request's checked fields by the names they have on the wire, and dotted paths."""
    dotted = {name: _dotted(name, value) for name, value in arguments.items() if "." in name}
    return {**dotted, **to_builtins(request)}


def _dotted(name: str, value: Any) -> Any:
    try:
        return convert(value, DottedValue)
    except ValidationError as error:
        raise ApiError(Fault.VALIDATION_ERROR, f"{name[:200]}: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return sent(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
