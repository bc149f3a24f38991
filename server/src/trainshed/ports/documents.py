"""The Documents port: everything that is not a time series or a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trainshed.ports.query import EVERYTHING, Filter, Page, Path, Scalar, Sort

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Collection:
    """What an engine must know of a collection before the first document.

    columns: paths of strings, numbers and booleans that are filtered or sorted often. lists: paths of lists that are
    searched often. indexes: groups of both, and of the id, most selective first. unique: groups of columns whose values
    together appear once; a group with a value missing is not compared. searched: patterns of paths, `*` for any key, of which
    there are many and each may be filtered or sorted by: an engine prepares for those that are. frees: what is written leads to
    deleting, so it may use the room that is kept for that on a full disk.
    """

    columns: tuple[Path, ...] = ()
    lists: tuple[Path, ...] = ()
    indexes: tuple[tuple[Path, ...], ...] = ()
    unique: tuple[tuple[Path, ...], ...] = ()
    searched: tuple[Path, ...] = ()
    frees: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """One group of documents: the scalars they share, how many they are, and the sum of their numbers at one path."""

    values: tuple[Scalar, ...]
    count: int
    total: float = 0.0


_PROJECT, _UPDATED, _NAME, _COMPANY, _PARENT = ("project",), ("last_update",), ("name",), ("company",), ("parent",)
_TAGS, _SYSTEM_TAGS, _STATUS = ("tags",), ("system_tags",), ("status",)
_TYPE, _USER, _DURATION, _COMPLETED = ("type",), ("user",), ("active_duration",), ("completed",)
# What tables of tasks and models are usually filtered by: an index that ends so answers for a page without the documents.
_SHOWN = (_COMPANY, _TAGS, _SYSTEM_TAGS, _USER, _NAME, ("id",))

# The registry of collections. Documents of one collection share a shape; its fields are described with its service.
COLLECTIONS: dict[str, Collection] = {
    "tasks": Collection(
        columns=(
            *(_COMPANY, _PROJECT, _UPDATED, _NAME, _PARENT, _STATUS, _TYPE, _USER, ("created",)),
            *(_DURATION, _COMPLETED),
        ),
        lists=(_TAGS, _SYSTEM_TAGS),
        # The third answers for the statistics of all projects.
        indexes=(
            (_PROJECT, _UPDATED, _STATUS, _TYPE, *_SHOWN),
            (_UPDATED, _STATUS, _TYPE, *_SHOWN),
            (_PROJECT, _STATUS, _COMPANY, _DURATION, _SYSTEM_TAGS),
            (_COMPLETED, _STATUS),
            (_PARENT,),
            (_STATUS, _UPDATED),
        ),
        searched=(("hyperparams", "*", "*", "value"), ("last_metrics", "*", "*", "*")),
    ),
    "models": Collection(
        columns=(_COMPANY, _PROJECT, _UPDATED, _NAME, _PARENT, _USER, ("task",), ("uri",), ("ready",), ("created",)),
        lists=(_TAGS, _SYSTEM_TAGS),
        indexes=((_PROJECT, _UPDATED, *_SHOWN), (_UPDATED, *_SHOWN), (("task",),), (("uri",),)),
        searched=(("metadata", "*", "value"), ("last_metrics", "*", "*", "*")),
    ),
    "projects": Collection(
        columns=(_COMPANY, _NAME, _PARENT, _UPDATED),
        lists=(_TAGS, _SYSTEM_TAGS, ("path",)),
        indexes=((_PARENT,),),
        unique=((_COMPANY, _NAME),),
    ),
    "queues": Collection(
        columns=(_COMPANY, _NAME), lists=(_TAGS, _SYSTEM_TAGS, ("entries",)), unique=((_COMPANY, _NAME),)
    ),
    "users": Collection(columns=(_COMPANY, _NAME)),
    "logins": Collection(
        columns=(("key",), ("subject",), ("source",), ("protected",)), unique=((("key",),), (("subject",),))
    ),
    "tickets": Collection(columns=(("user",),)),
    "credentials": Collection(columns=(("user",),), indexes=((("user",),),)),
    "settings": Collection(),
    "workers": Collection(columns=(_COMPANY, _NAME)),
    "serving_containers": Collection(columns=(_COMPANY,)),
    "file_deletions": Collection(
        columns=(_STATUS, ("due",), ("created",)),
        indexes=((_STATUS, ("due",)), (_STATUS, ("created",))),
        frees=True,
    ),
    "file_links": Collection(columns=(("task",), ("target",)), indexes=((("task",),), (("target",),))),
    "trash": Collection(columns=(("trashed",),), indexes=((("trashed",),),)),
}


class Documents(Protocol):
    """A store of JSON documents in named collections (COLLECTIONS).

    A document is a dict of JSON values with a string under "id", unique in its collection. Dates are strings in
    one fixed format (domain.dates), so that their order as text is their order in time.

    - Documents given and returned are copies: neither side sees the other's later changes.
    - Each call is atomic and durable when it returns; a reader sees a call's whole effect or none of it.
    - Every method is safe to call from any thread and from several processes on one store.
    - Documents cross the border as JSON: a tuple becomes a list, and a number that is not finite null.
    - Listings are totally ordered: by `sort`, then by id ascending. All engines give the same order (ports.query.Sort);
      strings go by code point.
    - Errors: NotFound and Duplicate as named at the method, InvalidRegex from any filter, StoreFull from any write
      but those that make room: delete(), update_many() to documents no longer than before, writing to a collection that
      frees; StoreError for the engine's own failures. An unknown collection is a KeyError: a bug of the caller.
    """

    def insert(self, collection: str, document: Document) -> None:
        """Add a new document. Raises Duplicate."""
        ...

    def get(self, collection: str, document_id: str) -> Document | None:
        """The document with this id, or None."""
        ...

    def find(
        self,
        collection: str,
        where: Filter = EVERYTHING,
        *,
        sort: Sequence[Sort] = (),
        page: Page = Page(),
    ) -> list[Document]:
        """The documents that match, in order."""
        ...

    def count(self, collection: str, where: Filter = EVERYTHING) -> int:
        """How many documents match."""
        ...

    def distinct(self, collection: str, path: Path, where: Filter = EVERYTHING) -> list[Any]:
        """The different numbers, strings and booleans at path among the documents that match, in Sort's order.

        Of a list, its members.
        """
        ...

    def tally(
        self, collection: str, by: Sequence[Path], where: Filter = EVERYTHING, *, total: Path | None = None
    ) -> list[Tally]:
        """The documents that match, grouped by the scalars at `by` (None for what compares with nothing); in no order.

        total: the path whose numbers are summed, as floats.
        """
        ...

    def entries(
        self, collection: str, path: Path, where: Filter = EVERYTHING, *, depth: int = 1, fields: Sequence[str] = ()
    ) -> list[tuple[Scalar, ...]]:
        """The different keys of the objects at path among the documents that match; in no order.

        depth: 2 means the keys with those of the objects under them. fields: each is followed by the scalars at these keys
        of the object it names, None where that is none.
        """
        ...

    def update(self, collection: str, document_id: str, change: Callable[[Document], None]) -> Document:
        """Change one document in place under a lock or by compare-and-swap; return what was stored.

        `change` gets a copy and alters it. It may be called more than once, so it must not have other effects; what it
        raises leaves the document untouched and comes out. Raises NotFound, and Duplicate for a unique value; a change
        of the id is a ValueError: a bug of the caller.
        """
        ...

    def update_many(self, collection: str, where: Filter, change: Callable[[Document], None]) -> int:
        """Change every document that matches, one by one by id, in one atomic step; return how many. As update."""
        ...

    def delete(self, collection: str, where: Filter) -> int:
        """Remove the documents that match; return how many."""
        ...

    def close(self) -> None:
        """Release the store. Further calls are errors of the caller."""
        ...
