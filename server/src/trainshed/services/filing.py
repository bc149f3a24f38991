"""Where tasks and models are kept: their project, their tags, and whether everybody may see them."""

from collections.abc import Callable, Sequence

from trainshed.domain import dates
from trainshed.domain.errors import Fault
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Filter, In
from trainshed.services import checks, publicity
from trainshed.services.projects import Projects


class Filing:
    """The use cases that are the same for every document of one collection.

    unknown: the fault for an id that is not there. public: for a public document, which cannot be changed.
    """

    def __init__(
        self, *, documents: Documents, clock: Clock, projects: Projects, collection: str, unknown: Fault, public: Fault
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._projects = projects
        self._collection = collection
        self._unknown = unknown
        self._public = public

    def move(self, identity: Identity, ids: Sequence[str], *, project: str | None, name: str | None) -> str | None:
        """Into the project of this name, made when it is missing, or else with this id; None: out of any. Returns its id."""
        for document_id in ids:
            document = checks.existing(self._documents, self._collection, identity, document_id, self._unknown)
            checks.writable(document, self._public)
        target = str(self._projects.ensure(identity, name)["id"]) if name else project
        if target and not name:
            checks.writable(self._projects.get(identity, target))

        def change(document: Document) -> None:
            document.pop("project", None)
            if target:
                document["project"] = target

        self._change(And((_own(identity), In(("id",), tuple(ids)))), change)
        return target

    def update_tags(self, identity: Identity, ids: Sequence[str], *, add: list[str], remove: list[str]) -> int:
        """Add and remove tags, the others stay; return how many documents there were."""

        def change(document: Document) -> None:
            kept = [tag for tag in document["tags"] if tag not in remove]
            document["tags"] = list(dict.fromkeys([*kept, *add]))

        return self._change(And((_own(identity), In(("id",), tuple(ids)))), change)

    def make_public(self, identity: Identity, ids: list[str]) -> int:
        """Let every company see them, and nobody change them."""
        return publicity.make_public(self._documents, self._collection, identity, ids, self._unknown)

    def make_private(self, identity: Identity, ids: list[str]) -> int:
        """The company's own again, which had made them public."""
        return publicity.make_private(self._documents, self._collection, identity, ids, self._unknown)

    def _change(self, where: Filter, change: Callable[[Document], None]) -> int:
        now = dates.to_text(self._clock.now())

        def apply(document: Document) -> None:
            change(document)
            document.update(last_update=now, last_change=now)

        return self._documents.update_many(self._collection, where, apply)


def _own(identity: Identity) -> Filter:
    return Eq(("company",), identity.company)
