"""Logs, plots, images and vectors as bytes: what differs from the defaults, compressed when it is long."""

from typing import TypeVar

import msgspec

from trainshed.adapters.sqlite.events.points import Codec
from trainshed.ports.events import Event, ImageEvent, LogEvent, PlotEvent, VectorEvent

_Record = TypeVar("_Record", bound=Event)

_LONG = 256  # bytes; below it zstd gains little and costs more than the row
_PLAIN, _COMPRESSED = b"\0", b"\1"

_FIELDS: dict[type[Event], list[tuple[str, object]]] = {
    kind: [(field.name, field.default) for field in msgspec.structs.fields(kind) if field.name != "task"]
    for kind in (LogEvent, PlotEvent, ImageEvent, VectorEvent)
}
_zstd = Codec()


def pack(event: Event) -> bytes:
    """The event without its owner. Raises UnicodeEncodeError."""
    fields = {name: value for name, default in _FIELDS[type(event)] if (value := getattr(event, name)) != default}
    plain = msgspec.msgpack.encode(fields)
    return _PLAIN + plain if len(plain) < _LONG else _COMPRESSED + _zstd.compress(plain)


def unpack(kind: type[_Record], owner: str, body: bytes) -> _Record:
    """The inverse of pack."""
    plain = _zstd.decompress(body[1:]) if body[:1] == _COMPRESSED else body[1:]
    return kind(task=owner, **msgspec.msgpack.decode(plain))
