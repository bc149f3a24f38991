"""Credentials of cloud stores, kept for clients that read and delete files there."""

from collections.abc import Callable
from typing import Any

from trainshed.domain import dates
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.services import stored_settings


class Storage:
    """The use cases of storage settings."""

    def __init__(self, *, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    def settings(self, identity: Identity) -> dict[str, Any]:
        """What was set, by provider, with the date of the last change."""
        document = stored_settings.read(self._documents, _subject(identity))
        return {name: value for name, value in document.items() if name != "id"}

    def set(self, identity: Identity, providers: dict[str, Any]) -> None:
        """Replace the settings of these providers."""
        self._change(identity, lambda document: document.update(providers))

    def reset(self, identity: Identity, providers: list[str]) -> None:
        """Forget the settings of these providers."""

        def change(document: Document) -> None:
            for provider in providers:
                document.pop(provider, None)

        self._change(identity, change)

    def _change(self, identity: Identity, change: Callable[[Document], None]) -> None:
        now = dates.to_text(self._clock.now())

        def apply(document: Document) -> None:
            change(document)
            document["last_update"] = now

        stored_settings.change(self._documents, _subject(identity), apply)


def _subject(identity: Identity) -> str:
    return f"storage:{identity.company}"
