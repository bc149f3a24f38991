"""Dates as text: ISO 8601 in UTC with microseconds, always 32 characters, so that text order is time order."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(moment: datetime) -> str:
    """2026-11-20T18:05:00.000000+00:00"""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Read any ISO 8601 date; one without an offset is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def of_milliseconds(moment: int) -> str:
    """Milliseconds since the epoch for people to read: the number itself when no calendar has it."""
    try:
        return to_text(_EPOCH + timedelta(milliseconds=moment))
    except OverflowError:
        return str(moment)
