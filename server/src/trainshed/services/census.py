"""How much a server holds."""

from datetime import timedelta

from trainshed.domain import dates
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, Range

_COUNTED = ("users", "projects", "tasks", "models", "queues")
_LONGEST = timedelta(days=100 * 365)  # longer ago than anything was made, and within the calendar


class Census:
    """Counts of a company's objects."""

    def __init__(self, *, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def count(self, identity: Identity, *, within: int | None = None) -> dict[str, int]:
        """How many objects of each kind the caller's company has; within: made in the last so many seconds."""
        recent: Filter = EVERYTHING
        if within is not None:
            ago = timedelta(seconds=min(max(within, 0), _LONGEST.total_seconds()))
            recent = Range(("created",), low=dates.to_text(self._clock.now() - ago))
        where = And((Eq(("company",), identity.company), recent))
        return {kind: self._documents.count(kind, where) for kind in _COUNTED}
