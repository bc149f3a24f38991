"""Scroll ids that say themselves where to go on: nothing is kept, so they never end and are the same in every process."""

import base64
from typing import Any, TypeVar

import msgspec

from trainshed.domain.errors import ApiError, Fault

T = TypeVar("T")


def encode(position: Any) -> str:
    """The id of a position, a value that msgspec can write."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def decode(scroll_id: str, kind: type[T]) -> T:
    """The position of an id. Raises INVALID_SCROLL_ID."""
    try:
        return msgspec.json.decode(base64.b64decode(scroll_id, altchars=b"-_", validate=True), type=kind)
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise ApiError(Fault.INVALID_SCROLL_ID) from error
