"""Projects as a table of cards shows them: with what they and the projects below them hold, and how that is doing.

Every figure comes from a few questions for all rows together, grouped by project, and is then added up along the tree.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from trainshed.domain import dates
from trainshed.domain.identity import Identity
from trainshed.domain.status import Status
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Exists, Filter, Has, In, Not, Or, Range, Sort
from trainshed.services import joins, listing
from trainshed.services.facets import ARCHIVED
from trainshed.services.projects import Projects

MAX_NAMED = 100  # projects that a question names; for more of them it is asked of all
_STATUSES = tuple(status.value for status in Status if status is not Status.PUBLISHING)
_DONE = (Status.COMPLETED.value, Status.PUBLISHED.value)
_HIDDEN = Has(("system_tags",), "hidden")
_FILES, _SIZE = "ds_file_count", "ds_total_size"


class ProjectStats:
    """The use case of listing projects with statistics."""

    def __init__(self, *, documents: Documents, clock: Clock, projects: Projects) -> None:
        self._documents = documents
        self._clock = clock
        self._projects = projects

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Projects as asked for, references as objects, with the figures that the arguments name."""
        scope = _Scope(self._documents, identity, arguments)
        found = joins.find(
            self._documents,
            joins.PROJECTS,
            identity,
            arguments,
            lambda who, asked: self._projects.find(who, asked, extra=scope.rows()),
        )
        if found.documents:
            self._describe(found.documents, scope)
        return found

    def count(self, identity: Identity, arguments: listing.Arguments, *, extra: Filter = EVERYTHING) -> int:
        """How many projects find would give without pages."""
        scope = _Scope(self._documents, identity, arguments)
        return self._projects.count(identity, arguments, extra=And((scope.rows(), extra)))

    def _describe(self, rows: list[Document], scope: "_Scope") -> None:
        tree = _Tree(self._documents, scope, [str(row["id"]) for row in rows])
        asked = scope.arguments
        if asked.get("include_stats"):
            figures = self._figures(scope, tree)
            for row in rows:
                row["stats"] = {scope.state: _sum(figures[below] for below in tree.counted(row["id"]))}
                row["sub_projects"] = tree.sub_projects(row["id"])
        if asked.get("check_own_contents"):
            own = {kind: tree.own(kind) for kind in ("tasks", "models")}
            for row in rows:
                row.update(own_tasks=own["tasks"].get(row["id"], 0), own_models=own["models"].get(row["id"], 0))
        if asked.get("children_type") == "dataset":
            _show_datasets(rows, tree)
        if asked.get("include_dataset_stats"):
            self._add_dataset_stats(rows)

    def _figures(self, scope: "_Scope", tree: "_Tree") -> dict[str, "_Figures"]:
        figures: dict[str, _Figures] = defaultdict(_Figures)
        by, runtime = [("project",), ("status",)], ("active_duration",)
        for tally in self._documents.tally("tasks", by, tree.tasks, total=runtime):
            project, status = map(str, tally.values)
            figures[project].add(status, tally.count, tally.total)
        since = dates.to_text(self._clock.now() - timedelta(hours=24))
        # Few tasks are recent, so neither project nor status is a condition: an engine would begin with those.
        recent = And((Range(("completed",), low=since), scope.tasks))
        for tally in self._documents.tally("tasks", by, recent):
            project, status = map(str, tally.values)
            if status in _DONE:
                figures[project].completed += tally.count
        return figures

    def _add_dataset_stats(self, rows: list[Document]) -> None:
        """What the newest version says of itself; null until one does."""
        inside = In(("project",), tuple(str(row["id"]) for row in rows))
        told = And((inside, Exists(("runtime", _FILES)), Exists(("runtime", _SIZE))))
        newest: dict[str, Document] = {}
        for task in self._documents.find("tasks", told, sort=(Sort(("last_update",)),)):
            newest[task["project"]] = task["runtime"]
        for row in rows:
            runtime = newest.get(row["id"])
            row["dataset_stats"] = runtime and {"file_count": runtime[_FILES], "total_size": runtime[_SIZE]}


@dataclass(slots=True)
class _Figures:
    """Of the tasks of one project."""

    statuses: dict[str, int] | None = None
    runtime: float = 0.0
    completed: int = 0

    def add(self, status: str, count: int, runtime: float) -> None:
        self.statuses = {**(self.statuses or {}), status: count}
        self.runtime += runtime


def _sum(figures: Iterable[_Figures]) -> dict[str, Any]:
    statuses = dict.fromkeys(_STATUSES, 0)
    runtime, completed = 0.0, 0
    for part in figures:
        for status, count in (part.statuses or {}).items():
            statuses[status] = statuses.get(status, 0) + count
        runtime += part.runtime
        completed += part.completed
    return {
        "status_count": statuses,
        "total_tasks": sum(statuses.values()),
        "total_runtime": int(runtime),
        "completed_tasks_24h": completed,
    }


class _Scope:
    """Which rows and which of their contents the arguments mean."""

    def __init__(self, documents: Documents, identity: Identity, arguments: listing.Arguments) -> None:
        self._documents = documents
        self.arguments = arguments
        self.state: str = arguments.get("stats_for_state") or "active"
        mine = arguments.get("non_public") or arguments.get("allow_public") is False
        self.seen = Eq(("company",), identity.company) if mine else listing.visible(identity)
        self._hides = not (
            arguments.get("search_hidden") or arguments.get("id") or arguments.get("children_type") is not None
        )

    @cached_property
    def shown(self) -> Filter:
        """Hidden things count when hidden projects are listed."""
        return Not(_HIDDEN) if self._hides else EVERYTHING

    @cached_property
    def contents(self) -> Filter:
        """Of tasks and models."""
        return And((self.seen, self.shown, ARCHIVED if self.state == "archived" else Not(ARCHIVED)))

    @cached_property
    def tasks(self) -> Filter:
        """Of tasks alone."""
        parts: list[Filter] = [self.contents]
        if self.arguments.get("active_users"):
            parts.append(In(("user",), tuple(self.arguments["active_users"])))
        if self.arguments.get("include_stats_filter"):
            parts.append(
                listing.condition(listing.TASKS, {**self.arguments["include_stats_filter"], "search_hidden": True})
            )
        if self.arguments.get("children_type") == "report":
            parts += [Eq(("type",), "report"), self._tagged]
        if self.holders is not None:
            parts.append(In(("project",), tuple(str(project["id"]) for project in self.holders)))
        return And(tuple(parts))

    @cached_property
    def holders(self) -> list[Document] | None:
        """The projects that are pipelines or datasets, when only those count."""
        kind = self.arguments.get("children_type")
        if kind not in ("pipeline", "dataset"):
            return None
        return self._documents.find("projects", And((self.seen, Has(("system_tags",), kind), self._tagged)))

    @property
    def _tagged(self) -> Filter:
        parts: list[Filter] = []
        if self.arguments.get("children_tags"):
            parts.append(listing.match_list(("tags",), self.arguments["children_tags"]))
        if self.arguments.get("children_tags_filter"):
            parts.append(listing.match_groups(("tags",), self.arguments["children_tags_filter"]))
        return And(tuple(parts))

    def rows(self) -> Filter:
        """Which projects are listed at all: those at or above what children_type and active_users ask for."""
        parts: list[Filter] = []
        if self.holders is not None:
            parts.append(_any_of({above for project in self.holders for above in project["path"]}))
        if self.arguments.get("children_type") == "report" or self.arguments.get("active_users"):
            ids = tuple(map(str, self._documents.distinct("tasks", ("project",), self.tasks)))
            places = self._documents.find("projects", In(("id",), ids))
            parts.append(_any_of({place for project in places for place in (*project["path"], project["id"])}))
        return And(tuple(parts))


class _Tree:
    """The listed projects with everything below them."""

    def __init__(self, documents: Documents, scope: _Scope, rows: list[str]) -> None:
        self._documents = documents
        self._scope = scope
        self._with_children = scope.arguments.get("stats_with_children") is not False
        few = len(rows) <= MAX_NAMED
        under = Or(tuple(Has(("path",), row) for row in rows)) if few else EVERYTHING
        wanted = set(rows)
        self.below: dict[str, list[Document]] = defaultdict(list)
        projects = documents.find("projects", And((scope.seen, scope.shown, under)), sort=(Sort(("name",)),))
        for project in projects:
            for above in wanted.intersection(project["path"]):
                self.below[above].append(project)
        counted = {*rows, *(str(project["id"]) for found in self.below.values() for project in found)}
        self._inside = In(("project",), tuple(sorted(counted))) if few else EVERYTHING
        self._place = {str(project["id"]): _shown_place(project) for found in self.below.values() for project in found}

    @property
    def tasks(self) -> Filter:
        """The tasks that count, wherever a question about all projects is not cheaper."""
        return And((self._inside, self._scope.tasks))

    def counted(self, row: str) -> list[str]:
        """The projects whose contents count for the row."""
        return [row, *(str(project["id"]) for project in self.below[row])] if self._with_children else [row]

    def sub_projects(self, row: str) -> list[Document]:
        return [{"id": project["id"], "name": project["name"]} for project in self.below[row]]

    def own(self, collection: str) -> dict[str, int]:
        """project -> how many it holds itself; of a kind of children, those in its hidden project of them."""
        where = self.tasks if collection == "tasks" else And((self._inside, self._scope.contents))
        hidden = self._scope.arguments.get("children_type") is not None
        counts: dict[str, int] = defaultdict(int)
        for tally in self._documents.tally(collection, [("project",)], where):
            project = str(tally.values[0])
            counts[self._place.get(project, project) if hidden else project] += tally.count
        return counts

    def datasets(self, row: str) -> list[Document]:
        """The datasets below the row."""
        return [project for project in self._scope.holders or () if row in project["path"]]


def _show_datasets(rows: list[Document], tree: _Tree) -> None:
    for row in rows:
        datasets = tree.datasets(row["id"])
        if "stats" in row:
            tags = sorted({tag for dataset in datasets for tag in dataset["tags"]})
            row["stats"]["datasets"] = {"count": len(datasets), "tags": tags}
        if "own_tasks" in row:
            del row["own_tasks"]
            row["own_datasets"] = sum(_shown_place(dataset) == row["id"] for dataset in datasets)


def _shown_place(project: Document) -> str:
    """The nearest project at or above this one that is outside of `.pipelines` and the like."""
    names, ids = project["name"].split("/"), [*project["path"], project["id"]]
    depth = next((depth for depth, name in enumerate(names) if name.startswith(".")), len(names))
    return str(ids[max(depth - 1, 0)])


def _any_of(ids: Iterable[str]) -> Filter:
    return In(("id",), tuple(sorted(ids)))
