"""What spans projects: how much of everything there is, and listings to take along as a table."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from trainshed.domain import fieldpath, values
from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.ports.cache import Cache
from trainshed.ports.documents import Document
from trainshed.ports.query import And, Eq, Filter, Has, In
from trainshed.services import listing
from trainshed.services.catalog import Catalog
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.project_stats import ProjectStats

PREPARED_SECONDS = 600.0  # a prepared table waits so long for its download
_KINDS = {"pipelines": "pipeline", "datasets": "dataset"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. values: what stands for what is stored, by its text."""

    field: str
    name: str
    values: Mapping[str, str]


class Organization:
    """The use cases that span projects."""

    def __init__(
        self,
        *,
        cache: Cache,
        project_stats: ProjectStats,
        tasks: Catalog,
        models: Catalog,
        limits: Limits = LIMITS,
    ) -> None:
        self._cache = cache
        self._limits = limits
        self._project_stats = project_stats
        self._find = {"task": tasks.find_joined, "model": models.find_joined}
        self._catalogs = {"tasks": tasks, "models": models, "reports": tasks}

    def count(self, identity: Identity, kind: str, arguments: listing.Arguments) -> int:
        """How many there are of a kind, among those that the listing arguments mean."""
        if kind in self._catalogs:
            return self._count_entities(identity, kind, arguments)
        if kind in _KINDS:  # they live in hidden projects
            tagged = Has(("system_tags",), _KINDS[kind])
            return self._project_stats.count(identity, {**arguments, "search_hidden": True}, extra=tagged)
        return self._project_stats.count(identity, arguments)

    def _count_entities(self, identity: Identity, kind: str, arguments: listing.Arguments) -> int:
        parts: list[Filter] = []
        if kind == "reports":
            parts.append(Eq(("type",), "report"))
            arguments = {**arguments, "search_hidden": True}
        if arguments.get("active_users"):
            parts.append(In(("user",), tuple(arguments["active_users"])))
        return self._catalogs[kind].count(identity, arguments, extra=And(tuple(parts)))

    # tables

    def prepare(self, entity: str, arguments: listing.Arguments, columns: list[Column]) -> str:
        """Keep what a table is to hold for a while; return the id to download it by."""
        prepared = new_id()
        kept = msgspec.json.encode({"entity": entity, "arguments": arguments, "columns": columns})
        self._cache.set(f"table:{prepared}", kept, PREPARED_SECONDS)
        return prepared

    def download(self, identity: Identity, prepared: str) -> Iterator[str]:
        """The lines of a prepared table as CSV, read piece by piece. Raises INVALID_ID."""
        kept = self._cache.get(f"table:{prepared}")
        if kept is None:
            raise ApiError(Fault.INVALID_ID, prepared)
        table = msgspec.json.decode(kept)
        columns = [msgspec.convert(column, Column) for column in table["columns"]]
        return self._lines(identity, table["entity"], table["arguments"], columns)

    def _lines(
        self, identity: Identity, entity: str, arguments: listing.Arguments, columns: list[Column]
    ) -> Iterator[str]:
        yield _line([column.name for column in columns])
        page = 0
        while True:
            asked = {
                **arguments,
                "page": page,
                "page_size": self._limits.table_batch,
                "only_fields": [c.field for c in columns],
            }
            found = self._find[entity](identity, asked).documents
            for document in found:
                yield _line([_cell(document, column) for column in columns])
            if len(found) < self._limits.table_batch:
                return
            page += 1


def _cell(document: Document, column: Column) -> str:
    value = values.walk(document, fieldpath.parse(column.field))
    text = _text(value)
    return column.values.get(text, text)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # A spreadsheet would run it.
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return _text(", ".join(value))
    return msgspec.json.encode(value).decode()


def _line(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
