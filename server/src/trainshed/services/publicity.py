"""Publishing documents to every company, and taking them back: public documents belong to no company."""

from collections.abc import Callable

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Filter, In


def make_public(documents: Documents, collection: str, identity: Identity, ids: list[str], fault: Fault) -> int:
    """Give the company's documents to everybody; return how many. Raises `fault` when one is not the company's."""

    def change(document: Document) -> None:
        document.update(company="", company_origin=identity.company)

    return _change_all(documents, collection, ids, Eq(("company",), identity.company), change, fault)


def make_private(documents: Documents, collection: str, identity: Identity, ids: list[str], fault: Fault) -> int:
    """Take back what the company gave; return how many. Raises `fault` when one is not public, or another company's."""

    def change(document: Document) -> None:
        document["company"] = document.pop("company_origin")

    own = And((Eq(("company",), ""), Eq(("company_origin",), identity.company)))
    return _change_all(documents, collection, ids, own, change, fault)


def _change_all(
    documents: Documents,
    collection: str,
    ids: list[str],
    where: Filter,
    change: Callable[[Document], None],
    fault: Fault,
) -> int:
    wanted = And((In(("id",), tuple(ids)), where))
    if documents.count(collection, wanted) < len(set(ids)):
        raise ApiError(fault, ", ".join(ids))
    return documents.update_many(collection, wanted, change)
