"""How far a long piece of work is, and when it will be done, on standard error."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

EVERY_SECONDS = {True: 0.5, False: 15.0}  # by whether a person watches: a log wants a line now and then


class Progress:
    """Counts towards a total; safe to advance from many threads.

    unit: what a count of `scale` is called, e.g. MiB with 2**20. Ends by `done`, which says what it took.
    """

    def __init__(
        self,
        title: str,
        total: int,
        *,
        unit: str = "MiB",
        scale: int = 1 << 20,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title, self._total, self._unit, self._scale = title, total, unit, scale
        self._out = out or sys.stderr
        self._clock, self._start = clock, clock()
        self._count = self._skipped = 0
        self._every = EVERY_SECONDS[self._out.isatty()]
        self._said = self._start
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        """So much more is done."""
        with self._lock:
            self._count += count
            now = self._clock()
            if now - self._said >= self._every:
                self._said = now
                self._say(self.line(now))

    def skip(self, count: int) -> None:
        """So much was done before: it counts as done, not as work of this run, from which the end is reckoned."""
        with self._lock:
            self._count += count
            self._skipped += count

    def line(self, now: float) -> str:
        """Title, share, amount, speed and the time that is left."""
        worked, seconds = self._count - self._skipped, max(now - self._start, 1e-9)
        share = 100 * self._count // self._total if self._total else 100
        speed = worked / seconds
        left = f"{(self._total - self._count) / speed:.0f} s left" if speed else "time left not known yet"
        amount = f"{self._count / self._scale:.0f} of {self._total / self._scale:.0f} {self._unit}"
        return f"{self._title}: {share} %, {amount}, {speed / self._scale:.0f} {self._unit}/s, {left}"

    def done(self) -> None:
        """Say how long it took."""
        self._say(
            f"{self._title}: done, {self._total / self._scale:.0f} {self._unit} in {self._clock() - self._start:.1f} s\n"
        )

    def _say(self, text: str) -> None:
        person = self._out.isatty()
        self._out.write(f"\r\033[K{text}" if person else text.rstrip("\n") + "\n")
        self._out.flush()
