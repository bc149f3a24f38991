"""The contract of the Source port, as tests every adapter runs: subclass with a `kept` fixture."""

import threading
from contextlib import ExitStack
from typing import Protocol

from trainshed.ports.backups import PIECE, Part, Source


class Kept(Protocol):
    """Something that a source copies, told by words that it keeps."""

    source: Source

    def add(self, word: str) -> None: ...
    def remove(self, word: str) -> None: ...
    def words(self, contents: dict[str, bytes]) -> set[str]:
        """Those in the contents of parts."""


def nothing(part: Part) -> bool:
    """No part was seen."""
    return False


def contents(parts: list[Part]) -> dict[str, bytes]:
    """What is read of them."""
    found = {}
    for part in parts:
        pieces = list(part.content())
        assert all(len(piece) == PIECE for piece in pieces[:-1])
        found[part.name] = b"".join(pieces)
        assert len(found[part.name]) == part.size
    return found


class SourceConformance:
    """Runs for one adapter."""

    def test_what_is_frozen_stays_as_it_was(self, kept: Kept) -> None:
        for word in ("one", "two", "big" * PIECE):
            kept.add(word)
        with ExitStack() as frozen:
            with kept.source.hold():
                parts = frozen.enter_context(kept.source.freeze(nothing))
            kept.remove("one")
            kept.add("three")
            assert kept.words(contents(parts)) == {"one", "two", "big" * PIECE}
        with kept.source.hold(), kept.source.freeze(nothing) as parts:
            assert kept.words(contents(parts)) == {"two", "three", "big" * PIECE}

    def test_what_was_seen_is_left_out(self, kept: Kept) -> None:
        kept.add("one")
        seen = {(part.name, part.version) for part in kept.source.parts() if part.version}
        kept.add("two")
        with kept.source.hold(), kept.source.freeze(lambda part: (part.name, part.version) in seen) as parts:
            found = kept.words(contents(parts))
        assert found == ({"two"} if seen else {"one", "two"})

    def test_nothing_is_removed_while_it_is_held(self, kept: Kept) -> None:
        kept.add("one")
        removing = threading.Thread(target=kept.remove, args=("one",))
        with ExitStack() as frozen:
            with kept.source.hold():
                removing.start()
                removing.join(0.05)
                assert removing.is_alive()
                parts = frozen.enter_context(kept.source.freeze(nothing))
            removing.join()
            assert kept.words(contents(parts)) == {"one"}

    def test_nothing_is_left_behind(self, kept: Kept) -> None:
        kept.add("one")
        before = {part.name for part in kept.source.parts()}
        for _ in range(2):
            with kept.source.hold(), kept.source.freeze(nothing) as parts:
                contents(parts)
        assert {part.name for part in kept.source.parts()} == before
