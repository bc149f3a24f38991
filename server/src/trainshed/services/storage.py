"""Credentials of cloud stores, kept for clients that read and delete files there.

Their secret values are sealed with a key of the server: neither a copy of the database nor who reads it has them.
"""

import base64
import hashlib
import hmac
import logging
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from trainshed.domain import dates
from trainshed.domain.identity import Identity, Role
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.services import stored_settings

_SECRETS = frozenset({"secret", "token", "credentials_json", "account_key"})  # of any provider
_SEALED = "sealed"  # {"sealed": ...} stands for a secret text
_MAY_SEE_SECRETS = frozenset({Role.SYSTEM, Role.ROOT, Role.ADMIN})
_log = logging.getLogger(__name__)


class Storage:
    """The use cases of storage settings. secret: of the server; with another one the secret values are gone."""

    def __init__(self, *, documents: Documents, clock: Clock, secret: bytes) -> None:
        self._documents = documents
        self._clock = clock
        key = hmac.digest(secret, b"trainshed storage settings", hashlib.sha256)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def settings(self, identity: Identity) -> dict[str, Any]:
        """What was set, by provider, with the date of the last change; secret values for administrators alone."""
        document = stored_settings.read(self._documents, _subject(identity))
        opened = self._open if identity.role in _MAY_SEE_SECRETS else _leave_out
        return {name: _secrets_changed(value, opened) for name, value in document.items() if name != "id"}

    def set(self, identity: Identity, providers: dict[str, Any]) -> None:
        """Replace the settings of these providers."""
        sealed = _secrets_changed(providers, self._seal)
        self._change(identity, lambda document: document.update(sealed))

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

    def _seal(self, text: Any) -> Any:
        return {_SEALED: self._fernet.encrypt(text.encode()).decode()}

    def _open(self, kept: Any) -> Any:
        """The text, also one of before they were sealed; None for one that another secret has sealed."""
        if isinstance(kept, str):
            return kept
        try:
            return self._fernet.decrypt(kept[_SEALED]).decode()
        except InvalidToken:
            _log.warning(
                "stored credentials of a cloud cannot be read, as the server has another secret: set them anew"
            )
            return None


def _leave_out(kept: Any) -> None:
    """What others than administrators see of a secret."""


def _secrets_changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same settings, each secret text changed, or left out when that gives None."""
    if isinstance(value, list):
        return [_secrets_changed(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    made = {
        name: change(item) if name in _SECRETS and item else _secrets_changed(item, change)
        for name, item in value.items()
    }
    return {name: item for name, item in made.items() if item is not None}


def _subject(identity: Identity) -> str:
    return f"storage:{identity.company}"
