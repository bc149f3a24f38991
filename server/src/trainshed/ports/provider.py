"""The Provider port: somebody else who knows people, and tells who one is."""

from collections.abc import Mapping
from typing import Any, Protocol


class Provider(Protocol):
    """A login elsewhere: a browser is sent there and comes back with a code, for which the provider says who it was.

    Safe from any thread. Every call may wait for the network, for seconds. Errors: ProviderError.
    """

    def address(self, *, redirect: str, state: str, nonce: str, challenge: str) -> str:
        """Where to send the browser. redirect: where it comes back to. challenge: SHA-256 of the verifier, base64url."""
        ...

    def claims(self, *, redirect: str, code: str, nonce: str, verifier: str) -> Mapping[str, Any]:
        """What the provider says of the person, signature, audience, times and nonce checked; "sub" is there."""
        ...
