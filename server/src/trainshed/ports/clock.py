"""The Clock port: the only source of the present time, so that tests never sleep."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as the rest of the world has it."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, in UTC."""
        ...
