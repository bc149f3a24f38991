"""How much a server holds."""

from trainshed.domain.identity import Identity
from trainshed.ports.documents import Documents
from trainshed.ports.query import Eq

_COUNTED = ("users", "projects", "tasks", "models", "queues")


class Census:
    """Counts of a company's objects."""

    def __init__(self, *, documents: Documents) -> None:
        self._documents = documents

    def count(self, identity: Identity) -> dict[str, int]:
        """How many objects of each kind the caller's company has."""
        own = Eq(("company",), identity.company)
        return {kind: self._documents.count(kind, own) for kind in _COUNTED}
