"""The Cache port: small, short-lived shared state."""

from typing import Protocol


class Cache(Protocol):
    """Keys with values that end by themselves: scroll positions, revoked tokens, leases, heartbeats.

    Seen by every process of the deployment. Atomic by call. Safe from any thread. A value may vanish early only when the
    engine is lost as a whole. ttl is in seconds; when the clock is set back, what is there lasts no longer for it once
    anything is written. Errors: StoreError.
    """

    def get(self, key: str) -> bytes | None:
        """The value, or None when it is not there or has ended."""
        ...

    def set(self, key: str, value: bytes, ttl: float) -> None:
        """Put the value, replacing one that is there."""
        ...

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Put the value only when the key is free; whether it was put. This is how a lease is taken."""
        ...

    def delete(self, key: str) -> None:
        """Remove the key if it is there."""
        ...

    def close(self) -> None:
        """Release the store."""
        ...
