"""What a process knows of tokens for a moment, so that most calls ask no store who calls."""

from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST = 4096


class Remembered(Generic[T]):
    """Values by token, each for a few seconds of the given time. Whatever changes accounts calls forget()."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, tuple[float, T]] = {}
        self._lock = Lock()
        self._turn = 0

    @property
    def turn(self) -> int:
        """Ask for it before the store: what was read before a change is then not remembered after it."""
        return self._turn

    def get(self, token: str, now: float) -> T | None:
        known = self._known.get(token)
        # A clock that was set back must not make it last.
        return known[1] if known and 0 <= now - known[0] < self._seconds else None

    def keep(self, token: str, value: T, now: float, turn: int) -> None:
        """turn: from before the value was read."""
        with self._lock:
            if turn == self._turn:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[token] = (now, value)

    def forget(self) -> None:
        """Nothing that was known is certain any more."""
        with self._lock:
            self._turn += 1
            self._known.clear()
