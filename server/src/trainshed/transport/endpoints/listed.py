"""The reply of a listing."""

from collections.abc import Callable
from typing import Any

from trainshed.ports.documents import Document
from trainshed.services.listing import Listed


def listed(
    name: str, found: Listed, shown: Callable[[Document], Document] = lambda document: document
) -> dict[str, Any]:
    """{name: documents}, with the scroll_id when the caller scrolls."""
    reply: dict[str, Any] = {name: [shown(document) for document in found.documents]}
    if found.scroll_id is not None:
        reply["scroll_id"] = found.scroll_id
    return reply
