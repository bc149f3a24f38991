"""A clock that moves only when it is told to."""

from datetime import UTC, datetime, timedelta
from threading import Lock

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Clock. Starts at `start` and stands still until advance()."""

    def __init__(self, start: datetime = _START) -> None:
        self._now = start
        self._lock = Lock()

    def now(self) -> datetime:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += timedelta(seconds=seconds)
