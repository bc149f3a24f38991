"""Stored links to files, when the file server gets another address.

Clients store whole urls and ask for models by them, so what is stored is changed, and not what is read: filters, exports and
copies that clients keep then all have the one form. Each document and each page of events is changed for itself, so a run may be
cut and begun again, while the server runs.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from trainshed.domain.errors import NotFound
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Event, Events, ImageEvent, Place, PlotEvent, SampleKind
from trainshed.ports.query import EVERYTHING, Page, Range
from trainshed.services.file_deletion import TRASH, FileDeletion

_DOCUMENTS = 50  # in memory at once; one may have megabytes
_EVENTS = 20
_KINDS: tuple[SampleKind, ...] = ("training_debug_image", "plot")

KINDS = ("artifacts", "models", "images", "plots", "destinations", "reports", "deletions")


class Found:
    """What links there are to the old address, by kind, and how many lead to each address there is."""

    def __init__(self) -> None:
        self.links: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self.addresses: Counter[str] = Counter()


class Relocation:
    """Finds and changes links."""

    def __init__(self, *, documents: Documents, events: Events, files: FileDeletion) -> None:
        self._documents = documents
        self._events = events
        self._files = files

    def count(self, old: str, new: str) -> Found:
        """What relocate() would change."""
        return self._walk(_Move(old, new), change=False)

    def relocate(self, old: str, new: str) -> Found:
        """Have every stored link that begins with the old address begin with the new one; what was changed."""
        return self._walk(_Move(old, new), change=True)

    def _walk(self, move: "_Move", *, change: bool) -> Found:
        found = Found()
        for collection, alter in (
            ("tasks", move.task),
            (TRASH, lambda document, kinds: move.task(document["task"], kinds)),
            ("models", move.model),
            ("projects", move.project),
            ("file_deletions", move.deletions),
        ):
            for document in self._each(collection):
                seen: Counter[str] = Counter()
                alter(document, seen)
                if seen and change:
                    self._change(collection, document, alter)
                found.links += seen
                found.addresses.update(move.addresses(collection, document))
                if collection in ("tasks", TRASH, "models"):
                    self._move_events(document["id"], move, found, change=change)
        return found

    def _each(self, collection: str) -> Iterator[Document]:
        where: Any = EVERYTHING
        while documents := self._documents.find(collection, where, page=Page(limit=_DOCUMENTS)):
            yield from documents
            where = Range(("id",), low=documents[-1]["id"], low_open=True)

    def _change(self, collection: str, document: Document, alter: Callable[[Document, Counter[str]], None]) -> None:
        if collection == "tasks":  # before the task has them, as ever
            self._files.note_links(document["id"], document["execution"].get("artifacts") or ())
        try:
            self._documents.update(collection, document["id"], lambda stored: alter(stored, Counter()))
        except NotFound:  # deleted since
            return

    def _move_events(self, owner: str, move: "_Move", found: Found, *, change: bool) -> None:
        for kind in _KINDS:
            after: Place | None = None
            while events := self._events.timeline(owner, kind, after=after, limit=_EVENTS).events:
                moved = [other for event in events if (other := move.event(event, found)) is not None]
                if moved and change:
                    self._events.add(moved)
                last = events[-1]
                after = Place(last.timestamp, last.metric, last.variant, last.iter)


class _Move:
    """From one address to another, in each place that has links."""

    def __init__(self, old: str, new: str) -> None:
        self._old, self._new = old, new
        # In JSON a slash may have a backslash before it.
        self._text = [(f"{old}/", f"{new}/"), (f"{old}/".replace("/", "\\/"), f"{new}/".replace("/", "\\/"))]
        self._deeper = new.startswith(f"{old}/")  # then what was moved begins with the old address as well

    def link(self, url: Any) -> str | None:
        """The url after the move; None when it stays."""
        if not isinstance(url, str) or (self._deeper and (url == self._new or url.startswith(f"{self._new}/"))):
            return None
        if url == self._old or url.startswith(f"{self._old}/"):
            return self._new + url[len(self._old) :]
        return None

    def text(self, text: Any) -> str | None:
        """The text with every link in it moved; None when it stays."""
        if not isinstance(text, str):
            return None
        moved = text
        for old, new in self._text:
            if self._deeper:
                moved = moved.replace(new, old)
            moved = moved.replace(old, new)
        return moved if moved != text else None

    def task(self, task: Document, kinds: Counter[str]) -> None:
        for artifact in task["execution"].get("artifacts") or ():
            self._set(artifact, "uri", self.link, kinds, "artifacts")
        self._set(task.get("output") or {}, "destination", self.link, kinds, "destinations")
        self._set(task, "report", self.text, kinds, "reports")
        assets = task.get("report_assets") or []
        for number, asset in enumerate(assets):
            if (moved := self.link(asset)) is not None:
                assets[number] = moved
                kinds["reports"] += 1

    def model(self, model: Document, kinds: Counter[str]) -> None:
        self._set(model, "uri", self.link, kinds, "models")

    def project(self, project: Document, kinds: Counter[str]) -> None:
        self._set(project, "default_output_destination", self.link, kinds, "destinations")

    def deletions(self, document: Document, kinds: Counter[str]) -> None:
        for file in document["files"]:
            self._set(file, "url", self.link, kinds, "deletions")

    def event(self, event: Event, found: Found) -> ImageEvent | PlotEvent | None:
        """The event after the move; None when it stays."""
        if isinstance(event, ImageEvent):
            found.addresses.update(_addresses([event.url]))
            if (url := self.link(event.url)) is not None:
                found.links["images"] += 1
                return msgspec.structs.replace(event, url=url)
        elif isinstance(event, PlotEvent) and (text := self.text(event.plot_str)) is not None:
            found.links["plots"] += 1
            return msgspec.structs.replace(event, plot_str=text)
        return None

    def addresses(self, collection: str, document: Document) -> list[str]:
        """Where its links lead, to a server each."""
        if collection == "models":
            return _addresses([document.get("uri")])
        if collection == "tasks":
            return _addresses([artifact.get("uri") for artifact in document["execution"].get("artifacts") or ()])
        return []

    @staticmethod
    def _set(holder: Document, name: str, moved: Callable[[Any], str | None], kinds: Counter[str], kind: str) -> None:
        if (value := moved(holder.get(name))) is not None:
            holder[name] = value
            kinds[kind] += 1


def _addresses(urls: list[Any]) -> list[str]:
    found = []
    for url in urls:
        try:
            parts = urlsplit(url or "")
        except ValueError:
            continue
        if parts.scheme in ("http", "https"):
            found.append(f"{parts.scheme}://{parts.netloc}")
    return found
