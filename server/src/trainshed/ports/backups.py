"""The ports of backups: what is copied while it is in use, and where the copies are kept."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from trainshed.domain.errors import StoreError

PIECE = 2**20  # bytes: small enough that a large database of which a part changed is mostly known already


class Damaged(StoreError):
    """A backup is not what was written: cut, altered, or not one of ours."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the data folder.

    name: its path in the folder, in plain segments. version: changes whenever the content does; empty for what changes all the
    time, so that it is read at the moment of a backup and not before. content: pieces of PIECE bytes, the last one shorter.
    """

    name: str
    version: str
    size: int
    content: Callable[[], Iterator[bytes]]


class Source(Protocol):
    """What one engine keeps. Errors: StoreError."""

    def parts(self) -> Iterator[Part]:
        """What is there now. What goes away meanwhile is left out, or raises NotFound when it is read."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Until the block ends no process changes or removes what is there. Writers wait, so it is for moments."""
        ...

    def freeze(self, seen: Callable[[Part], bool]) -> AbstractContextManager[list[Part]]:
        """Begun within hold(): every part that is there but those seen, to be read until the block ends, whatever happens to it."""
        ...


class Vault(Protocol):
    """Where backups are kept: pieces by their SHA-256, each once, and of each backup a list that says which are its own.

    A backup is there when commit() returns and not a moment before; then it survives the loss of power. One process writes
    at a time. Errors: Damaged, StoreFull, StoreError.
    """

    def put(self, piece: bytes) -> str:
        """Keep it; return its digest. It costs little when it is there already."""
        ...

    def get(self, digest: str) -> bytes:
        """Raises Damaged when it is missing or another than was put."""
        ...

    def names(self) -> list[str]:
        """Of the backups, the oldest first."""
        ...

    def lines(self, name: str) -> Iterator[bytes]:
        """The list of a backup. Raises Damaged when it is not whole."""
        ...

    def commit(self, name: str, lines: Iterable[bytes]) -> None:
        """Make a backup of what was put."""
        ...

    def free(self) -> int:
        """Bytes that may be put."""
        ...


class Target(Protocol):
    """A data folder that is being restored. Nothing of it is seen before finish(). Errors: StoreFull, StoreError."""

    def put(self, name: str, content: Iterable[bytes]) -> None:
        """Write a file. Raises Damaged for a name that no backup of ours has: it may lead out of the folder."""
        ...
