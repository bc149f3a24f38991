"""The system's clock as the Clock port."""

from datetime import UTC, datetime


class SystemClock:
    """Clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
