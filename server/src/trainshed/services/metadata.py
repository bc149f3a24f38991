"""The metadata of models and queues: entries by key."""

from typing import Any

from trainshed.ports.documents import Document

Entries = dict[str, dict[str, Any]]


def by_key(items: list[dict[str, Any]]) -> Entries:
    """As documents hold it."""
    return {item["key"]: item for item in items}


def put(document: Document, items: list[dict[str, Any]], *, replace: bool) -> None:
    """Add and replace entries; replace: these and no others."""
    document["metadata"] = {**({} if replace else document["metadata"]), **by_key(items)}


def remove(document: Document, keys: list[str]) -> None:
    """Take entries off; keys that are not there do not matter."""
    document["metadata"] = {key: item for key, item in document["metadata"].items() if key not in keys}
