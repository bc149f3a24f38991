"""Versions: of the API that is spoken, of the server it belongs to, and of the product."""

from functools import cache
from importlib.metadata import version

API = (2, 31)  # the newest contract; callers may ask for more and get this
_AS_TEXT = (2, 1)
SERVER = "2.0.0"  # the level of server that this API belongs to: clients switch features by it


def text(pair: tuple[int, int]) -> str:
    """(2, 31) -> `2.31`"""
    return f"{pair[0]}.{pair[1]}"


def in_meta(pair: tuple[int, int]) -> str | float:
    """As replies tell it: a number before 2.1, text ever since."""
    return float(text(pair)) if pair < _AS_TEXT else text(pair)


@cache
def product() -> str:
    """Trainshed's own version."""
    return version("trainshed")
