"""What tasks and models there are: how both are listed, counted, and summed up for filters."""

from trainshed.domain.identity import Identity
from trainshed.ports.cache import Cache
from trainshed.ports.documents import Documents
from trainshed.ports.query import EVERYTHING, And, Filter, In
from trainshed.services import joins, listing
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.projects import Projects


class Catalog:
    """The listings of one collection whose documents are in projects."""

    def __init__(
        self,
        *,
        documents: Documents,
        cache: Cache,
        projects: Projects,
        entity: listing.Entity,
        references: joins.References,
        limits: Limits = LIMITS,
    ) -> None:
        self._documents = documents
        self._cache = cache
        self._projects = projects
        self._entity = entity
        self._references = references
        self._limits = limits

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Documents as asked for. A project means that project only, unless include_subprojects."""
        extra, arguments = self._projects.within(arguments)
        return listing.fetch(
            self._documents, self._cache, self._entity, identity, arguments, extra=extra, limits=self._limits
        )

    def find_joined(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """As find, with references as objects."""
        return joins.find(self._documents, self._references, identity, arguments, self.find)

    def count(self, identity: Identity, arguments: listing.Arguments, *, extra: Filter = EVERYTHING) -> int:
        """How many find would give without pages. extra: a further condition."""
        inside, arguments = self._projects.within(arguments)
        return listing.count(self._documents, self._entity, identity, arguments, extra=And((extra, inside)))

    def values(self, identity: Identity, field: str, projects: list[str] | None) -> list[str]:
        """The values that a field has in the projects and below them, or in all, sorted."""
        inside = In(("project",), tuple(self._projects.descendants(projects))) if projects else EVERYTHING
        where = And((listing.visible(identity), inside))
        return self._documents.distinct(self._entity.collection, (field,), where)
