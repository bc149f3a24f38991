"""The cache in a dict."""

from threading import Lock

from trainshed.ports.clock import Clock


class MemoryCache:
    """Cache, for one process. What has ended is dropped at the next write."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._latest = 0.0
        self._lock = Lock()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            entry = self._entries.get(key)
            return entry[0] if entry and entry[1] > self._now() else None

    def set(self, key: str, value: bytes, ttl: float) -> None:
        with self._lock:
            self._purge()
            self._entries[key] = (value, self._now() + ttl)

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self._lock:
            self._purge()
            if key in self._entries:
                return False
            self._entries[key] = (value, self._now() + ttl)
            return True

    def delete(self, key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def close(self) -> None:
        """Nothing is held."""

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _purge(self) -> None:
        now = self._now()
        back, self._latest = max(self._latest - now, 0.0), now
        self._entries = {key: (value, end - back) for key, (value, end) in self._entries.items() if end - back > now}
