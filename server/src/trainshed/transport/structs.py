"""What msgspec must know of the structs before threads use them."""

from collections.abc import Iterator
from functools import cache

import msgspec


@cache
def learn() -> None:
    """Let msgspec look at every struct that there is, in one thread.

    It does so by itself at a struct's first use, but two threads that are the first together crash the process: one finds
    what the other has only half written.
    """
    for kind in _below(msgspec.Struct):
        msgspec.json.Decoder(kind)


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)
