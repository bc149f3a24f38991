"""Settings that callers make through the API: one document a subject."""

from collections.abc import Callable
from contextlib import suppress

from trainshed.domain.errors import Duplicate
from trainshed.ports.documents import Document, Documents


def read(documents: Documents, subject: str) -> Document:
    """The document of the subject; an empty one when nothing was ever set."""
    return documents.get("settings", subject) or {"id": subject}


def change(documents: Documents, subject: str, change: Callable[[Document], None]) -> Document:
    """Change the subject's document, which is made when it is not there."""
    if documents.get("settings", subject) is None:
        with suppress(Duplicate):  # somebody else was quicker
            documents.insert("settings", {"id": subject})
    return documents.update("settings", subject, change)
