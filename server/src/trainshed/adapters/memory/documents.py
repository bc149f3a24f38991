"""Documents in dicts: the obvious implementation, which the conformance suite holds the others against."""

from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Any

import msgspec

from trainshed.adapters.memory.matching import matches, ordered, validate
from trainshed.domain.errors import Duplicate, NotFound
from trainshed.domain.values import sort_key, walk
from trainshed.ports.documents import COLLECTIONS, Collection, Document, Tally
from trainshed.ports.query import EVERYTHING, Filter, Page, Path, Scalar, Sort


class MemoryDocuments:
    """Documents, for one process. One lock around everything; every document crosses the border as JSON."""

    def __init__(self, collections: dict[str, Collection] = COLLECTIONS) -> None:
        self._collections = collections
        self._documents: dict[str, dict[str, Document]] = {name: {} for name in collections}
        self._lock = RLock()

    def insert(self, collection: str, document: Document) -> None:
        with self._lock:
            if document["id"] in self._documents[collection]:
                raise Duplicate(f"{collection}: {document['id']}")
            self._put(collection, _copy(document))

    def get(self, collection: str, document_id: str) -> Document | None:
        with self._lock:
            document = self._documents[collection].get(document_id)
            return None if document is None else _copy(document)

    def find(
        self,
        collection: str,
        where: Filter = EVERYTHING,
        *,
        sort: Sequence[Sort] = (),
        page: Page = Page(),
    ) -> list[Document]:
        with self._lock:
            found = ordered(self._matching(collection, where), sort)
            end = None if page.limit is None else page.offset + page.limit
            return [_copy(document) for document in found[page.offset : end]]

    def count(self, collection: str, where: Filter = EVERYTHING) -> int:
        with self._lock:
            return len(self._matching(collection, where))

    def distinct(self, collection: str, path: Path, where: Filter = EVERYTHING) -> list[Any]:
        found = {}
        for document in self.find(collection, where):
            value = walk(document, path)
            for member in value if isinstance(value, list) else [value]:
                found[sort_key(member)] = member
        return [found[key] for key in sorted(key for key in found if key is not None)]

    def tally(
        self, collection: str, by: Sequence[Path], where: Filter = EVERYTHING, *, total: Path | None = None
    ) -> list[Tally]:
        groups: dict[tuple[Any, ...], Tally] = {}
        for document in self.find(collection, where):
            values = tuple(_scalar(walk(document, path)) for path in by)
            group = tuple(map(sort_key, values))
            former = groups.get(group, Tally(values, 0))
            amount = 0.0 if total is None else _number(walk(document, total))
            groups[group] = Tally(former.values, former.count + 1, former.total + amount)
        return list(groups.values())

    def entries(
        self, collection: str, path: Path, where: Filter = EVERYTHING, *, depth: int = 1, fields: Sequence[str] = ()
    ) -> list[tuple[Scalar, ...]]:
        found: dict[tuple[Any, ...], tuple[Scalar, ...]] = {}
        for document in self.find(collection, where):
            for keys, value in _entries(walk(document, path), depth):
                row = (*keys, *(_scalar(walk(value, (field,))) for field in fields))
                found[tuple(map(sort_key, row))] = row
        return list(found.values())

    def update(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        with self._lock:
            if document_id not in self._documents[collection]:
                raise NotFound(f"{collection}: {document_id}")
            return self._change(collection, document_id, change)

    def update_many(self, collection: str, where: Filter, change: Callable[[Document], None]) -> int:
        with self._lock:
            before = dict(self._documents[collection])
            found = [document["id"] for document in self._matching(collection, where)]
            try:
                for document_id in sorted(found):
                    self._change(collection, document_id, change)
            except BaseException:
                self._documents[collection] = before
                raise
            return len(found)

    def delete(self, collection: str, where: Filter) -> int:
        with self._lock:
            found = self._matching(collection, where)
            for document in found:
                del self._documents[collection][document["id"]]
            return len(found)

    def close(self) -> None:
        """Nothing is held."""

    def _matching(self, collection: str, where: Filter) -> list[Document]:
        validate(where)
        return [document for document in self._documents[collection].values() if matches(document, where)]

    def _change(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        document = _copy(self._documents[collection][document_id])
        change(document)
        if document["id"] != document_id:
            raise ValueError(f"{collection}: a change must leave the id {document_id}")
        stored = _copy(document)
        self._put(collection, stored)
        return _copy(stored)

    def _put(self, collection: str, document: Document) -> None:
        others = [other for other in self._documents[collection].values() if other["id"] != document["id"]]
        for paths in self._collections[collection].unique:
            values = _unique_values(document, paths)
            if None not in values and any(_unique_values(other, paths) == values for other in others):
                raise Duplicate(f"{collection}: {values}")
        self._documents[collection][document["id"]] = document


def _unique_values(document: Document, paths: tuple[Path, ...]) -> list[Any]:
    return [sort_key(walk(document, path)) for path in paths]


def _scalar(value: Any) -> Scalar:
    return None if isinstance(value, list | dict) else value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _entries(value: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(keys, value) for each value so many objects deep."""
    if depth == 0:
        yield (), value
    elif isinstance(value, dict):
        for key, inner in value.items():
            for keys, innermost in _entries(inner, depth - 1):
                yield (key, *keys), innermost


def _copy(document: Document) -> Document:
    copy: Document = msgspec.json.decode(msgspec.json.encode(document))
    return copy
