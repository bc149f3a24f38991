"""Backups of everything a server keeps, made while it is in use, and their way back.

What a backup holds is what a sudden loss of power at its moment would have left on the disk, and the files of that moment: no
document names an event or a file that is not in it. Files that come later may be in it too; nothing names those.
The order is what makes it so:

1. Files are copied, for as long as it takes; those that an earlier backup has are only named.
2. Removing files waits, and writing documents and events for some milliseconds. That is the moment: the databases are
   fixed as they are. Then the files that came since the first step get a second name, so that it does not matter what
   happens to them, and files may be removed again.
3. The databases are copied as they were at the moment, then those files. The list of it all makes it a backup.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC
from typing import NamedTuple

import msgspec

from trainshed.domain import dates
from trainshed.domain.errors import NotFound, StoreFull
from trainshed.ports.backups import Damaged, Part, Source, Target, Vault
from trainshed.ports.clock import Clock

FORMAT = 1  # of what stands in a vault; a higher one is not read
_NAME = "%Y%m%dT%H%M%S.%fZ"


class TooNew(Damaged):
    """A newer release made the backup."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """product: the version that made it. moment: see above."""

    format: int
    product: str
    moment: str


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A part and the digests of its pieces."""

    name: str
    version: str
    size: int
    pieces: list[str]


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What a vault has under one name."""

    name: str
    header: Header
    entries: dict[str, Entry]

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry.size for entry in self.entries.values())


class Sources(NamedTuple):
    """What a backup consists of. databases: in the order in which the server takes their locks."""

    folders: Sequence[Source]
    databases: Sequence[Source]

    def all(self) -> Iterator[Source]:
        """Of both kinds."""
        yield from self.folders
        yield from self.databases


Tell = Callable[[int, int], None]  # is told bytes done and bytes in all, now and then


def silent(done: int, total: int) -> None:
    """Tell nobody."""


def create(
    sources: Sources,
    vault: Vault,
    *,
    clock: Clock,
    product: str,
    former: Backup | None = None,
    tell: Tell = silent,
) -> Backup:
    """Make a backup and return it. former: parts that it has in the same version are not read again. Raises StoreFull."""
    known = former.entries if former else {}
    needed = total = 0
    for source in sources.all():
        for part in source.parts():
            total += part.size
            needed += part.size if _same(part, known) is None else 0
            needed += part.size if not part.version else 0  # it is copied to the disk before it is cut into pieces
    if needed > vault.free():
        raise StoreFull(f"the backup needs up to {needed} bytes, and {vault.free()} are free")
    copied = _Copied(vault, known, total, tell)
    for source in sources.all():
        for part in source.parts():
            if part.version:
                with suppress(NotFound):
                    copied.add(part)
    with ExitStack() as frozen:
        with ExitStack() as kept:
            for folder in sources.folders:
                kept.enter_context(folder.hold())
            with ExitStack() as held:
                for database in sources.databases:
                    held.enter_context(database.hold())
                moment = clock.now().astimezone(UTC)
                parts = [part for one in sources.databases for part in frozen.enter_context(one.freeze(copied.meet))]
            parts += [part for one in sources.folders for part in frozen.enter_context(one.freeze(copied.meet))]
        copied.drop_unmet()
        for part in parts:
            copied.add(part)
    header = Header(format=FORMAT, product=product, moment=dates.to_text(moment))
    made = Backup(name=moment.strftime(_NAME), header=header, entries=copied.entries)
    vault.commit(made.name, map(msgspec.json.encode, (header, *made.entries.values())))
    return made


class _Copied:
    """What a backup has so far."""

    def __init__(self, vault: Vault, known: Mapping[str, Entry], total: int, tell: Tell) -> None:
        self.entries: dict[str, Entry] = {}
        self._vault, self._known = vault, known
        self._met: set[str] = set()
        self._done, self._total, self._tell = 0, total, tell

    def meet(self, part: Part) -> bool:
        """Whether a part that is there at the moment was copied before."""
        self._met.add(part.name)
        return _same(part, self.entries) is not None

    def drop_unmet(self) -> None:
        """Leave out what went before the moment."""
        self.entries = {name: entry for name, entry in self.entries.items() if name in self._met}

    def add(self, part: Part) -> None:
        pieces, size = _same(part, self._known), part.size
        if pieces is None:
            pieces, size = [], 0
            for piece in part.content():
                pieces.append(self._vault.put(piece))
                size += len(piece)
                self._tell(self._done + size, self._total)
        self._done += size
        self.entries[part.name] = Entry(part.name, part.version, size, pieces)
        self._tell(self._done, self._total)


def _same(part: Part, known: Mapping[str, Entry]) -> list[str] | None:
    entry = known.get(part.name)
    return entry.pieces if entry and part.version and entry.version == part.version else None


def read(vault: Vault, name: str | None = None) -> Backup:
    """A backup by its name, or the latest one. Raises NotFound, Damaged, TooNew."""
    names = vault.names()
    if not names or (name is not None and name not in names):
        raise NotFound(f"there is no backup {name or 'at all'}")
    name = name or names[-1]
    lines = vault.lines(name)
    try:
        header = msgspec.json.decode(next(lines, b""), type=Header)
        if header.format > FORMAT:
            raise TooNew(
                f"the backup {name} has format {header.format}, made by release {header.product}; "
                f"this one reads up to {FORMAT}"
            )
        found = map(msgspec.json.Decoder(Entry).decode, lines)
        return Backup(name=name, header=header, entries={entry.name: entry for entry in found})
    except msgspec.DecodeError as error:
        raise Damaged(f"the list of the backup {name} cannot be read: {error}") from error


def verify(vault: Vault, backup: Backup, *, checked: set[str], tell: Tell = silent) -> list[str]:
    """Read every piece; what is wrong, a line for each file. checked: pieces that are known to be good; grows."""
    problems = []
    done, total = 0, backup.size
    for entry in backup.entries.values():
        try:
            for piece in entry.pieces:
                if piece not in checked:
                    vault.get(piece)
                    checked.add(piece)
        except Damaged as error:
            problems.append(f"{entry.name}: {error}")
        done += entry.size
        tell(done, total)
    return problems


def restore(vault: Vault, backup: Backup, target: Target, *, tell: Tell = silent) -> None:
    """Write every file of the backup, each piece checked on its way. Raises Damaged, StoreFull, StoreError."""
    done, total = 0, backup.size

    def pieces(entry: Entry) -> Iterator[bytes]:
        nonlocal done
        for digest in entry.pieces:
            piece = vault.get(digest)
            done += len(piece)
            tell(done, total)
            yield piece

    for entry in backup.entries.values():
        target.put(entry.name, pieces(entry))


def used(backups: Iterable[Backup]) -> set[str]:
    """The pieces that any of them names."""
    return {piece for backup in backups for entry in backup.entries.values() for piece in entry.pieces}
