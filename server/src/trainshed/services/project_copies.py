"""One project with all below it, taken from one server to another: tasks, models, events and files, under the ids they have.

The copy is a vault with one list: a header, then the projects, the files, and each task and model after its events. Reading it
again changes nothing more, and goes on where a former reading was cut: a task is there when all of it is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

import msgspec

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault, InvalidKey, NotFound
from trainshed.domain.identity import DEFAULT_COMPANY, FIRST_ADMIN, Identity
from trainshed.domain.paths import as_client_stored, blob_key, task_of
from trainshed.ports.backups import PIECE, Damaged, Vault
from trainshed.ports.blobs import Blobs
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import AnyEvent, Events, Place, SampleKind, ScalarEvent
from trainshed.ports.query import And, Eq, Has, Page, Range
from trainshed.services.events import EventLog
from trainshed.services.file_deletion import FileDeletion
from trainshed.services.projects import Projects

FORMAT = 1
LIST = "project"
_ID = re.compile(r"[0-9a-f]{32}\Z")
_AT_ONCE = 50  # documents
_EVENTS = 1000  # a batch
_SAMPLES = 20  # a plot may have megabytes
_KINDS: tuple[SampleKind, ...] = ("plot", "training_debug_image", "training_stats_vector")
_MOST = 256 * 2**20  # bytes of one document or batch of events: no honest one is so large
_OWNERS = ("tasks", "models")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """project: its name. moment: when it was read."""

    format: int
    project: str
    product: str
    moment: str


class Stored(msgspec.Struct, frozen=True, tag="document"):
    """A document, in JSON."""

    collection: str
    pieces: list[str]


class Reported(msgspec.Struct, frozen=True, tag="events"):
    """Batches of events of an owner, each a list in JSON."""

    owner: str
    batches: list[list[str]]


class File(msgspec.Struct, frozen=True, tag="file"):
    """A file of the file server."""

    key: str
    pieces: list[str]


_Line = Stored | Reported | File
_decode_document = msgspec.json.Decoder(dict[str, Any]).decode
_decode_events = msgspec.json.Decoder(list[AnyEvent]).decode


class ProjectCopies:
    """Writes and reads copies of projects."""

    def __init__(
        self,
        *,
        documents: Documents,
        events: Events,
        blobs: Blobs,
        clock: Clock,
        projects: Projects,
        files: FileDeletion,
        log: EventLog,
    ) -> None:
        self._documents = documents
        self._events = events
        self._blobs = blobs
        self._clock = clock
        self._projects = projects
        self._files = files
        self._log = log

    # writing

    def export(self, name: str, vault: Vault, *, product: str) -> Counter[str]:
        """Write the project to the vault; how many of what. What changes meanwhile is copied as it was at some time.

        Raises INVALID_PROJECT_ID, StoreFull, StoreError.
        """
        self._log.settle()
        top = self._projects.by_name(Identity(user=FIRST_ADMIN), name)
        if top is None:
            raise ApiError(Fault.INVALID_PROJECT_ID, name)
        below = self._documents.find("projects", Has(("path",), top["id"]))
        projects = [top, *sorted(below, key=lambda project: len(project["path"]))]
        counts: Counter[str] = Counter()
        moment = dates.to_text(self._clock.now().astimezone(UTC))
        lines = [msgspec.json.encode(Header(format=FORMAT, project=name, product=product, moment=moment))]
        for line in self._lines(projects, vault):
            counts[line.collection if isinstance(line, Stored) else _counted(line)] += 1
            lines.append(msgspec.json.encode(line))
        vault.commit(LIST, lines)
        return counts

    def _lines(self, projects: list[Document], vault: Vault) -> Iterator[_Line]:
        for project in projects:
            yield _stored("projects", project, vault)
        copied: set[str] = set()
        for project in projects:
            for collection in reversed(_OWNERS):  # tasks name models
                for document in self._each(collection, project["id"]):
                    yield from self._owned(collection, document, vault, copied)

    def _each(self, collection: str, project: str) -> Iterator[Document]:
        last = ""
        while True:
            where = And((Eq(("project",), project), Range(("id",), low=last, low_open=True)))
            found = self._documents.find(collection, where, page=Page(limit=_AT_ONCE))
            yield from found
            if len(found) < _AT_ONCE:
                return
            last = found[-1]["id"]

    def _owned(self, collection: str, document: Document, vault: Vault, copied: set[str]) -> Iterator[_Line]:
        task, models = (document, []) if collection == "tasks" else (None, [document])
        for url in self._files.urls(task, models).all():
            yield from self._copied(self._files.key(url), vault, copied)
        batches = [_pieces(msgspec.json.encode(batch), vault) for batch in self._batches(document["id"])]
        if batches:
            yield Reported(document["id"], batches)
        yield _stored(collection, document, vault)

    def _copied(self, key: str | None, vault: Vault, copied: set[str]) -> Iterator[File]:
        for name in (key, as_client_stored(key) if key else None):
            if name is None or name in copied:
                continue
            try:
                with self._blobs.open(name) as reader:
                    pieces = [vault.put(piece) for piece in _resized(reader.chunks(0, reader.info.size))]
            except (NotFound, InvalidKey):
                continue
            copied.add(name)
            yield File(name, pieces)
            return

    def _batches(self, owner: str) -> Iterator[list[AnyEvent]]:
        labels = {(stats.metric, stats.variant): stats.x_axis_label for stats in self._events.stats(owner)}
        for single in (False, True):
            for series in self._events.scalars(owner, single=single):
                points = zip(series.iters.tolist(), series.timestamps.tolist(), series.values.tolist(), strict=True)
                events: list[AnyEvent] = [
                    ScalarEvent(
                        task=owner,
                        metric=series.metric,
                        variant=series.variant,
                        iter=iteration,
                        timestamp=timestamp,
                        value=value,
                        x_axis_label=labels.get((series.metric, series.variant)),
                    )
                    for iteration, timestamp, value in points
                ]
                yield from (events[first : first + _EVENTS] for first in range(0, len(events), _EVENTS))
        for kind in _KINDS:
            after: Place | None = None
            while samples := self._events.timeline(owner, kind, after=after, limit=_SAMPLES).events:
                yield list(samples)
                last = samples[-1]
                after = Place(last.timestamp, last.metric, last.variant, last.iter)
        moment: int | None = None
        while lines := self._events.logs(owner, limit=_EVENTS, earlier=False, from_timestamp=moment).events:
            yield list(lines)
            moment = lines[-1].timestamp

    # reading

    def read_header(self, vault: Vault) -> Header:
        """Raises Damaged for what is no copy of a project, or one of a newer release."""
        if vault.names() != [LIST]:
            raise Damaged("it is no copy of a project: `trainshed restore` reads backups")
        try:
            header = msgspec.json.decode(next(vault.lines(LIST), b""), type=Header)
        except msgspec.DecodeError as error:
            raise Damaged(f"its list cannot be read: {error}") from error
        if header.format > FORMAT:
            raise Damaged(f"it has format {header.format}, made by release {header.product}; this one reads {FORMAT}")
        return header

    def load(self, vault: Vault, *, user: str) -> Counter[str]:
        """Bring the copy into this server; how many of what was written, and how many were newer here and left alone.

        A project of the same name is the same one. user: who makes the projects above it. Raises Damaged, ApiError,
        StoreFull; what was written before is whole, and a second reading goes on.
        """
        self.read_header(vault)
        lines = vault.lines(LIST)
        next(lines)
        read = _Reading(self, vault, Identity(user=user))
        try:
            for line in lines:
                read.take(msgspec.json.decode(line, type=_Line))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise Damaged(f"it cannot be read: {error}") from error
        return read.counts

    def place_project(self, identity: Identity, project: Document) -> tuple[str, bool]:
        """The id that the project has here, and whether it is new."""
        above, _, _ = project["name"].rpartition("/")
        if there := self._projects.by_name(identity, project["name"]):
            return str(there["id"]), False
        if self._documents.get("projects", project["id"]):  # it was renamed here
            return str(project["id"]), False
        made = dict(project)
        made.pop("parent", None)
        if above:
            parent = self._projects.ensure(identity, above)
            made |= {"parent": parent["id"], "path": [*parent["path"], parent["id"]]}
        else:
            made["path"] = []
        self._documents.insert("projects", made)
        return str(project["id"]), True

    def present(self, collection: str, document_id: str) -> Document | None:
        """The document, as it is here."""
        return self._documents.get(collection, document_id)

    def write_owner(self, collection: str, document: Document, batches: Iterable[list[AnyEvent]]) -> None:
        """A task or model, after its events."""
        owner = document["id"]
        self._events.delete([owner])
        for batch in batches:
            self._events.add(batch)
        if collection == "tasks":
            self._files.note_links(owner, document["execution"].get("artifacts") or ())

        def replace(stored: Document) -> None:
            stored.clear()
            stored.update(document)

        if self._documents.get(collection, owner) is None:
            self._documents.insert(collection, document)
        else:
            self._documents.update(collection, owner, replace)

    def write_file(self, key: str, pieces: Iterator[bytes]) -> bool:
        """Whether it was not there; one that is there stays."""
        try:
            self._blobs.info(key)
        except NotFound:
            self._blobs.put(key, pieces)
            return True
        return False


class _Reading:
    """A copy that is being read, line by line."""

    def __init__(self, copies: ProjectCopies, vault: Vault, identity: Identity) -> None:
        self.counts: Counter[str] = Counter()
        self._copies = copies
        self._vault = vault
        self._identity = identity
        self._projects: dict[str, str] = {}  # id there -> id here
        self._events: Reported | None = None

    def take(self, line: _Line) -> None:
        if isinstance(line, File):
            self._take_file(line)
        elif isinstance(line, Reported):
            self._events = line
        elif line.collection == "projects":
            project = self._document(line)
            here, new = self._copies.place_project(self._identity, project)
            self._projects[project["id"]] = here
            self.counts["projects"] += new
        elif line.collection in _OWNERS:
            self._take_owner(line.collection, self._document(line))
        else:
            raise Damaged(f"no copy of a project has {line.collection!r}")

    def _take_file(self, line: File) -> None:
        try:
            key = blob_key(line.key)
        except ApiError as error:
            raise Damaged(str(error)) from error
        if key != line.key or (task_of(key) is None and key in ("health", "ready")):
            raise Damaged(f"no file has the name {line.key!r}")
        self.counts["files"] += self._copies.write_file(key, map(self._vault.get, line.pieces))

    def _take_owner(self, collection: str, document: Document) -> None:
        document["project"] = self._projects[document["project"]]
        if collection == "tasks":
            if not isinstance(document["execution"], dict):
                raise Damaged("a task is none")
            if document.get("status") == "queued":  # its queue is not here
                document["status"] = "created"
                document["execution"].pop("queue", None)
        events, self._events = self._events, None
        there = self._copies.present(collection, document["id"])
        if there == document:
            return
        if there is not None and str(there.get("last_update", "")) > str(document.get("last_update", "")):
            self.counts["newer here"] += 1
            return
        batches = events.batches if events and events.owner == document["id"] else []
        self._copies.write_owner(collection, document, (self._batch(document["id"], pieces) for pieces in batches))
        self.counts[collection] += 1

    def _batch(self, owner: str, pieces: list[str]) -> list[AnyEvent]:
        events = _decode_events(self._joined(pieces))
        if any(event.task != owner for event in events):
            raise Damaged(f"among the events of {owner} are those of another")
        return events

    def _document(self, line: Stored) -> Document:
        document = _decode_document(self._joined(line.pieces))
        if not _ID.match(str(document["id"])) or not isinstance(document["name"], str):
            raise Damaged("a document is none")
        document["company"] = DEFAULT_COMPANY
        return document

    def _joined(self, pieces: list[str]) -> bytes:
        if len(pieces) * PIECE > _MOST:
            raise Damaged("a part of it is too large")
        return b"".join(map(self._vault.get, pieces))


def _counted(line: Reported | File) -> str:
    return "files" if isinstance(line, File) else "owners of events"


def _stored(collection: str, document: Document, vault: Vault) -> Stored:
    return Stored(collection, _pieces(msgspec.json.encode(document), vault))


def _pieces(content: bytes, vault: Vault) -> list[str]:
    return [vault.put(content[start : start + PIECE]) for start in range(0, len(content), PIECE)]


def _resized(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of PIECE."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= PIECE:
            yield bytes(held[:PIECE])
            del held[:PIECE]
    if held:
        yield bytes(held)
