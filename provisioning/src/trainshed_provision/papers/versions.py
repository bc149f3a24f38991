"""Which of two versions is the newer one, as dpkg and pip see it."""

import re
from functools import total_ordering
from typing import Any

from packaging.version import InvalidVersion, Version

END = 0  # sorts after "~", before letters, which come before all else


@total_ordering
class Debian:
    """A Debian version, ordered as Debian policy 5.6.12 says."""

    def __init__(self, text: str) -> None:
        epoch, _, rest = text.rpartition(":") if ":" in text else ("0", "", text)
        upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
        self._key = (int(epoch) if epoch.isdigit() else 0, _part(upstream), _part(revision))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Debian) and self._key == other._key

    def __lt__(self, other: "Debian") -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _part(text: str) -> tuple[tuple[tuple[int, ...], int], ...]:
    """Text and number by turns: letters by their weight, numbers by their value."""
    pairs = re.findall(r"(\D*)(\d*)", text)  # the last one is empty: the end, which is after "~" and before all else
    return tuple(((*map(_weight, letters), END), int(digits or 0)) for letters, digits in pairs)


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256


def key(kind: str, text: str) -> Any:
    """What orders versions of one kind of package: deb or pypi."""
    if kind == "deb":
        return Debian(text)
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
