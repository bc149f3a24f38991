"""Files of tasks and models that go: written down before these go, deleted afterwards in the background, and accounted for.

The list comes first, then the task goes, then its files: a server that is killed on the way leaves the list, so that no
file is left of which nobody knows. What cannot be deleted stays in the list with the reason.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, InvalidKey, NotFound, StoreError
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.domain.paths import as_client_stored, blob_key, task_of
from trainshed.ports.blobs import Blobs
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.events import Events, ImageEvent, PlotEvent, Sample, SampleKind
from trainshed.ports.query import And, Eq, In, Page, Range, Sort

# Seconds before the first try: clients delete themselves what they are told of, and a missing file alarms them.
DELAY = 300
_GROWTH = (1, 5, 30, 120, 720)  # of the pause, from one failure to the next
_IN_USE_FOR = 86_400  # seconds after which files that their own task still shows are left to it: it was not deleted
_RECHECK = 600  # seconds to the next look at those
_AT_ONCE = 20  # documents a step
_FILES = 500  # of one document: it stays small, and is rewritten with each try

PENDING, FAILED = "pending", "failed"
_COLLECTION, _LINKS, TRASH = "file_deletions", "file_links", "trash"
_ELSEWHERE = "not on this file server"
_UNKNOWN = "not on this file server, as far as it knows: it has no such file and does not know the host"
_NO_FOLDER = "in no task's folder: whose it is cannot be told"

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_IMAGES_IN_PLOT = '"images"'  # a plot without this text shows none


class Urls(NamedTuple):
    """Links to what tasks and models have stored; sorted, each once."""

    models: list[str]
    artifacts: list[str]
    events: list[str]

    def all(self) -> list[str]:
        """All of them, each once."""
        return sorted({*self.models, *self.artifacts, *self.events})

    @classmethod
    def of(cls, parts: Iterable["Urls"]) -> "Urls":
        """Those of all parts."""
        models: set[str] = set()
        artifacts: set[str] = set()
        events: set[str] = set()
        for part in parts:
            models.update(part.models)
            artifacts.update(part.artifacts)
            events.update(part.events)
        return cls(sorted(models), sorted(artifacts), sorted(events))


class _InUseError(Exception):
    """The task that the file was of still shows it."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """With files that cannot be deleted now. most: after the first try. pause: seconds to the first of them; it grows."""

    most: int = 5
    pause: float = 60.0

    def after(self, attempts: int) -> float:
        """Seconds to the next try after so many failed ones, the last one among them."""
        return self.pause * _GROWTH[min(attempts, len(_GROWTH)) - 1]


RETRIES = Retries()


class FileDeletion:
    """The use cases of files that nobody shows any more.

    addresses: what clients call the file server, as urls; a path in one is not part of the files' names.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        events: Events,
        blobs: Blobs,
        clock: Clock,
        addresses: Sequence[str] = (),
        retries: Retries = RETRIES,
    ) -> None:
        self._documents = documents
        self._events = events
        self._blobs = blobs
        self._retries = retries
        self._clock = clock
        self._hosts: dict[str, list[str]] = {}  # -> the paths in front of names, the longest first
        for part in map(urlsplit, addresses):
            self._hosts.setdefault(part.netloc.lower(), []).append(part.path.rstrip("/") + "/")
        for paths in self._hosts.values():
            paths.sort(key=len, reverse=True)
        # A host that is not known may be this server all the same, under any of them.
        self._anywhere = sorted({path for paths in self._hosts.values() for path in paths}, key=len, reverse=True)

    # what there is

    def urls(self, task: Document | None, models: Iterable[Document]) -> Urls:
        """Where the outputs of the task, and of models that go with it, are stored."""
        models = list(models)
        owners = [document["id"] for document in (task, *models) if document is not None]
        return Urls(
            models=sorted({model["uri"] for model in models if model.get("uri")}),
            artifacts=sorted(set(_artifact_urls(task, "output") if task else ())),
            events=sorted({url for owner in owners for url in self._event_urls(owner)}),
        )

    def urls_in(self, samples: Iterable[Sample]) -> set[str]:
        """The links in debug images, and those to images in plots."""
        found: set[str] = set()
        for event in samples:
            if isinstance(event, ImageEvent) and event.url:
                found.add(event.url)
            elif isinstance(event, PlotEvent) and _IMAGES_IN_PLOT in event.plot_str:
                found.update(_images(event.plot_str))
        return found

    def unused(self, urls: Urls, gone: Collection[str]) -> Urls:
        """Those that no other task or model names. gone: the ids of tasks and models that do not count."""
        models = self._documents.find("models", In(("uri",), tuple(urls.all())))
        used = {self._place(model["uri"]) for model in models if model["id"] not in gone}
        used |= self._linked(urls.all(), gone)
        return Urls(*([url for url in kind if self._place(url) not in used] for kind in urls))

    def note_links(self, task_id: str, artifacts: Iterable[dict[str, Any]]) -> None:
        """Write down, before the task has these artifacts, which are outside of its own folder: those others may delete."""
        targets = {_target(artifact["uri"]) for artifact in artifacts if artifact.get("uri")}
        for target in sorted(targets - {task_id}):
            link = hashlib.sha256(f"{task_id} {target}".encode()).hexdigest()
            if self._documents.get(_LINKS, link) is None:
                with suppress(Duplicate):  # somebody else was quicker
                    self._documents.insert(_LINKS, {"id": link, "task": task_id, "target": target})

    def forget_links(self, tasks: Sequence[str]) -> None:
        """The tasks are gone: what they named is theirs no more."""
        self._documents.delete(_LINKS, In(("task",), tuple(tasks)))

    # the list

    def enlist(self, identity: Identity, owners: Sequence[str], urls: Sequence[str]) -> None:
        """Have the files deleted soon. owners: the task and models that go, which show them still, and in a moment no more."""
        now = self._clock.now()
        ours = set(self._hosts)
        files = [file for url in urls if (file := self._entry(url, ours)) is not None]
        shared: Document = {
            "status": PENDING,
            "owners": list(owners),
            "user": identity.user,
            "company": identity.company,
            "created": dates.to_text(now),
            "due": dates.to_text(now + timedelta(seconds=DELAY)),
            "attempts": 0,
        }
        for first in range(0, len(files), _FILES):
            self._documents.insert(_COLLECTION, {"id": new_id(), **shared, "files": files[first : first + _FILES]})

    def listed(self, status: str) -> list[Document]:
        """The pending or the failed ones, oldest first: owners, created, due, attempts, and files with url and reason."""
        return self._documents.find(_COLLECTION, Eq(("status",), status), sort=(Sort(("created",)),))

    def retry(self) -> int:
        """Try the failed ones again; return how many lists of files these are."""
        now = dates.to_text(self._clock.now())
        return self._documents.update_many(
            _COLLECTION,
            Eq(("status",), FAILED),
            lambda document: document.update(status=PENDING, due=now, attempts=0),
        )

    def forget(self) -> int:
        """Strike the failed ones off the list; return how many lists of files these are."""
        return self._documents.delete(_COLLECTION, Eq(("status",), FAILED))

    # the job

    def step(self) -> bool:
        """Delete some of the files that are due; whether there may be more."""
        due = And((Eq(("status",), PENDING), Range(("due",), high=dates.to_text(self._clock.now()))))
        found = self._documents.find(_COLLECTION, due, sort=(Sort(("due",)),), page=Page(limit=_AT_ONCE))
        if not found:
            return False
        ids = {owner for document in found for owner in document["owners"]}
        ids |= {target for document in found for file in document["files"] if (target := _target(file["url"]))}
        models = self._models_in(ids)
        for document in found:
            self._work(document, models)
        return len(found) == _AT_ONCE

    def _work(self, document: Document, models: set[str]) -> None:
        shown = self._shown_by(document["owners"])
        used = models | self._linked([file["url"] for file in document["files"]], document["owners"])
        left, failed, waiting = [], [], []
        for file in document["files"]:
            try:
                reason = file.get("elsewhere") or self._delete(file["url"], document, used, shown)
            except _InUseError:
                waiting.append(file)
            except StoreError as error:
                left.append({**file, "reason": str(error)})
            else:
                failed += [{**file, "reason": reason}] if reason else []
        attempts = document["attempts"] + bool(left)
        if attempts > self._retries.most:
            failed, left = failed + left, []
        if failed:  # first, so that nothing is ever on no list
            self._documents.insert(_COLLECTION, {**document, "id": new_id(), "status": FAILED, "files": failed})
        if not (left or waiting):
            self._documents.delete(_COLLECTION, Eq(("id",), document["id"]))
            return
        pause = self._retries.after(attempts) if left else _RECHECK
        due = dates.to_text(self._clock.now() + timedelta(seconds=pause))
        self._documents.update(
            _COLLECTION, document["id"], lambda d: d.update(files=left + waiting, attempts=attempts, due=due)
        )

    def _delete(self, url: str, document: Document, used: set[str], shown: set[str]) -> str | None:
        """Delete one file, unless somebody needs it; why it cannot be deleted, ever. Raises StoreError, _InUseError."""
        key = self.key(url)
        if key is None:
            return _ELSEWHERE
        owner = task_of(key)
        if owner is None:
            return _NO_FOLDER
        created = dates.from_text(document["created"])
        if key in shown:
            if (self._clock.now() - created).total_seconds() < _IN_USE_FOR:
                raise _InUseError
            return None
        if key in used or (owner not in document["owners"] and self._exists(owner)):
            return None  # it is another's now, and goes with that
        for stored in (key, as_client_stored(key)):
            try:
                if stored is not None:
                    self._blobs.delete(stored, before=created)  # what was put since is another file
            except NotFound:
                continue
            except InvalidKey as error:
                return str(error)
        return None

    def _entry(self, url: str, ours: set[str]) -> dict[str, Any] | None:
        """The url as the list has it. ours: hosts known to be this server, to which more are added."""
        key = self.key(url)
        if key is None:
            return {"url": url, "reason": "", "elsewhere": _ELSEWHERE}
        host = urlsplit(url).netloc.lower()
        if host not in ours:
            # A file of this very name, with the id of its task in it: no other server has that.
            if not self._is_there(key):
                return {"url": url, "reason": "", "elsewhere": _UNKNOWN}
            ours.add(host)
        return {"url": url, "reason": ""}

    def _is_there(self, key: str) -> bool:
        for stored in (key, as_client_stored(key)):
            try:
                if stored is not None:
                    self._blobs.info(stored)
                    return True
            except StoreError:
                continue
        return False

    # who shows what; a place is the key of a file, whatever host and scheme lead to it, or else the url

    def key(self, url: str) -> str | None:
        """The key that a link means if it leads to this file server; None when it cannot."""
        try:
            parts = urlsplit(url)
            if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
                return None
            paths = self._hosts.get(parts.netloc.lower(), self._anywhere)
            before = next((path for path in paths if parts.path.startswith(path)), "")
            return blob_key(unquote(parts.path[len(before) :], errors="strict"))
        except (ApiError, ValueError):
            return None

    def _place(self, url: str) -> str:
        return self.key(url) or url

    def _models_in(self, ids: set[str]) -> set[str]:
        """The places of all models that are in folders of these ids."""
        uris = [uri for uri in self._documents.distinct("models", ("uri",)) if isinstance(uri, str)]
        return {self._place(uri) for uri in uris if not ids.isdisjoint(_ID.findall(uri))}

    def _linked(self, urls: Iterable[str], gone: Collection[str]) -> set[str]:
        """The places of artifacts that tasks have outside of their own folders, where one of the urls leads."""
        targets = tuple({_target(url) for url in urls})
        tasks = {link["task"] for link in self._documents.find(_LINKS, In(("target",), targets))} - set(gone)
        return {self._place(url) for task in self._tasks(tasks) for url in _artifact_urls(task)}

    def _shown_by(self, owners: Sequence[str]) -> set[str]:
        """The places of what these show, as far as they are there."""
        tasks = self._tasks(set(owners))
        models = self._documents.find("models", In(("id",), tuple(owners)))
        urls = [url for task in tasks for url in _artifact_urls(task)]
        urls += [model["uri"] for model in models if model.get("uri")]
        urls += [url for document in (*tasks, *models) for url in self._event_urls(document["id"])]
        return {self._place(url) for url in urls}

    def _tasks(self, ids: Collection[str]) -> list[Document]:
        """Those of these tasks that are there, be it in the trash."""
        if not ids:
            return []
        named = In(("id",), tuple(ids))
        return self._documents.find("tasks", named) + [d["task"] for d in self._documents.find(TRASH, named)]

    def _exists(self, owner: str) -> bool:
        return any(self._documents.get(kind, owner) is not None for kind in ("tasks", "models", TRASH))

    def _event_urls(self, owner: str) -> Iterable[str]:
        kinds: tuple[SampleKind, ...] = ("training_debug_image", "plot")
        for kind in kinds:
            for metric, variant in self._events.metrics(owner, kind):
                yield from self.urls_in(self._events.samples(owner, kind, metric=metric, variants=[variant]))


class _Image(msgspec.Struct):
    source: str = ""


class _Layout(msgspec.Struct):
    images: list[_Image] = []


class _Plot(msgspec.Struct):
    layout: _Layout = msgspec.field(default_factory=_Layout)


def _images(plot: str) -> list[str]:
    """The images that a plot shows, without those that it holds itself."""
    try:
        images = msgspec.json.decode(plot, type=_Plot).layout.images
    except (msgspec.DecodeError, RecursionError):  # plots are stored as they come
        return []
    return [image.source for image in images if image.source and not image.source.startswith("data:")]


def _artifact_urls(task: Document, mode: str | None = None) -> list[str]:
    artifacts = task["execution"].get("artifacts") or ()
    return [a["uri"] for a in artifacts if a.get("uri") and mode in (None, a.get("mode", "output"))]


def _target(url: str) -> str:
    """What a link is found by: the id of the task whose folder it leads to, or else itself."""
    return task_of(url) or url
