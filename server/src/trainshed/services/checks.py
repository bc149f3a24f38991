"""Checks that several services make in the same way."""

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.documents import Document, Documents

MIN_NAME = 3  # characters of the name of a task, project or queue
MAX_NAME = 10_000  # characters: names are searched, and stand in every listing


def existing(documents: Documents, collection: str, identity: Identity, document_id: str, fault: Fault) -> Document:
    """The document, when it is there and the caller may see it; otherwise `fault`."""
    document = documents.get(collection, document_id)
    if document is None or document["company"] not in (identity.company, ""):
        raise ApiError(fault, document_id)
    return document


def parent(
    documents: Documents, collection: str, identity: Identity, parent_id: str, fault: Fault, *, of: str | None
) -> None:
    """The parent is there, otherwise `fault`; and `of`, which gets it, is not among those above it: VALIDATION_ERROR."""
    above: str | None = str(existing(documents, collection, identity, parent_id, fault)["id"])
    seen: set[str] = set()
    while of is not None and above is not None and above not in seen:
        if above == of:
            raise ApiError(Fault.VALIDATION_ERROR, f"{of} would be above itself")
        seen.add(above)
        above = (documents.get(collection, above) or {}).get("parent")


def writable(document: Document, fault: Fault = Fault.NO_WRITE_PERMISSION) -> None:
    """Public documents (of no company) cannot be changed."""
    if document["company"] == "":
        raise ApiError(fault, str(document["id"]))


def name(text: str) -> str:
    """A name without white space around it, of a fitting length."""
    trimmed = text.strip()
    name_length(trimmed, at_least=MIN_NAME)
    return trimmed


def name_length(text: str, *, at_least: int) -> None:
    """Raises DATA_VALIDATION_ERROR."""
    if not at_least <= len(text) <= MAX_NAME:
        raise ApiError(Fault.DATA_VALIDATION_ERROR, f"a name has {at_least} to {MAX_NAME} characters")


def date(text: str) -> str:
    """A date as it is stored."""
    try:
        return dates.to_text(dates.from_text(text))
    except (ValueError, OverflowError) as error:
        raise ApiError(Fault.VALIDATION_ERROR, f"not a date: {text[:100]!r}") from error
