"""Documents in replies."""

from collections.abc import Callable
from typing import Any

from trainshed.ports.documents import Document
from trainshed.services.listing import Listed

# What documents hold beside what callers see: the ids of the projects above, and who made it public.
_OURS = ("path", "company_origin")


def shown(document: Document) -> Document:
    """The document as callers see it. Changes the one that is given."""
    for name in _OURS:
        document.pop(name, None)
    return document


def listed(name: str, found: Listed, shown: Callable[[Document], Document] = shown) -> dict[str, Any]:
    """{name: documents}, with the scroll_id when the caller scrolls."""
    reply: dict[str, Any] = {name: [shown(document) for document in found.documents]}
    if found.scroll_id is not None:
        reply["scroll_id"] = found.scroll_id
    return reply
