"""How far a long command is, in one line of a terminal."""

import sys
import time
from types import TracebackType

_EVERY = 0.2  # seconds
_UNITS = ("B", "kB", "MB", "GB", "TB")


def amount(count: float) -> str:
    """1.5 GB"""
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {_UNITS[-1]}"


class Progress:
    """Called with the bytes done and in all; says nothing unless standard error is a terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._began = self._last = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._shown and now - self._last >= _EVERY:
            self._last = now
            print(f"\r\033[K{self.line(done, total, now - self._began)}", end="", file=sys.stderr, flush=True)

    @staticmethod
    def line(done: int, total: int, seconds: float) -> str:
        """45 %  2.1 GB of 4.7 GB, 1:20 left"""
        done = min(done, total)
        left = round(seconds / done * (total - done)) if done else 0
        return f"{100 * done // (total or 1)} %  {amount(done)} of {amount(total)}, {left // 60}:{left % 60:02} left"
