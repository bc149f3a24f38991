"""Projects: a tree of names with `/` between them."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, Has, In, Or
from trainshed.services import checks, listing, publicity
from trainshed.services.limits import LIMITS, Limits

_NAMED = 100  # projects that a question for those below them names; for more of them it asks for all
_FIELDS = ("description", "tags", "system_tags", "default_output_destination")


class Projects:
    """The use cases of projects."""

    def __init__(self, *, documents: Documents, cache: Cache, clock: Clock, limits: Limits = LIMITS) -> None:
        self._documents = documents
        self._limits = limits
        self._cache = cache
        self._clock = clock

    def get(self, identity: Identity, project_id: str) -> Document:
        """Raises INVALID_PROJECT_ID."""
        return checks.existing(self._documents, "projects", identity, project_id, Fault.INVALID_PROJECT_ID)

    def find(self, identity: Identity, arguments: listing.Arguments, *, extra: Filter = EVERYTHING) -> listing.Listed:
        """Projects as asked for. `parent` means at any depth unless shallow_search; that alone means the top level.

        extra: a further condition.
        """
        arguments, extra = _placed(arguments, extra)
        return listing.fetch(
            self._documents, self._cache, listing.PROJECTS, identity, arguments, extra=extra, limits=self._limits
        )

    def count(self, identity: Identity, arguments: listing.Arguments, *, extra: Filter = EVERYTHING) -> int:
        """How many projects find would give without pages."""
        arguments, extra = _placed(arguments, extra)
        return listing.count(self._documents, listing.PROJECTS, identity, arguments, extra=extra)

    def check_depth(self, parts: Sequence[str]) -> None:
        """Raises PROJECT_PATH_TOO_DEEP for a name of so many parts."""
        if len(parts) > self._limits.project_depth:
            raise ApiError(Fault.PROJECT_PATH_TOO_DEEP, f"at most {self._limits.project_depth} levels")

    def create(self, identity: Identity, name: str, fields: dict[str, Any]) -> str:
        """Add a project and the parents that are missing; return its id. Raises NOT_UNIQUE when the name is taken."""
        parts = _split(name)
        self.check_depth(parts)
        full = "/".join(parts)
        self.check_not_public(full)
        if self.by_name(identity, full) is not None:
            raise _taken(full)
        parent = self._ensure(identity, parts[:-1])
        try:
            return str(self._insert(identity, full, parent, fields)["id"])
        except Duplicate as error:
            raise _taken(full) from error

    def update(self, identity: Identity, project_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change the fields; return what was changed. A new name may differ in its last part only and renames descendants."""
        project = self.get(identity, project_id)
        checks.writable(project)
        changed = {name: fields[name] for name in _FIELDS if name in fields}
        changed["last_update"] = self._now()
        name = self._new_name(identity, project, fields["name"]) if "name" in fields else None

        def change(document: Document) -> None:
            if name is not None:
                # The one part alone: those above it may be renamed at the same time.
                _rename_part(document, len(project["path"]), name.rsplit("/", 1)[-1])
            if document["id"] == project_id:
                document.update(changed)

        # With its descendants in one step: no reader meets a child under a name that its parent no longer has.
        itself = Eq(("id",), project_id)
        where = itself if name is None else Or((itself, Has(("path",), project_id)))
        try:
            self._documents.update_many("projects", where, change)
        except Duplicate as error:
            raise _taken(str(name)) from error
        if name is None:
            return changed
        if "dataset" in project["system_tags"]:
            self._rename_versions(project, name.rsplit("/", 1)[-1])
        return {**changed, "name": name}

    def make_public(self, identity: Identity, ids: list[str]) -> int:
        """Show the projects to every company; return how many. Raises INVALID_PROJECT_ID."""
        return publicity.make_public(self._documents, "projects", identity, ids, Fault.INVALID_PROJECT_ID)

    def make_private(self, identity: Identity, ids: list[str]) -> int:
        """Take back what make_public showed; return how many. Raises INVALID_PROJECT_ID."""
        return publicity.make_private(self._documents, "projects", identity, ids, Fault.INVALID_PROJECT_ID)

    def descendants(self, project_ids: list[str]) -> list[str]:
        """The ids of the projects and of every project below them."""
        wanted = set(project_ids)
        few = Or(tuple(Has(("path",), project) for project in wanted)) if len(wanted) <= _NAMED else EVERYTHING
        below = [str(p["id"]) for p in self._documents.find("projects", few) if not wanted.isdisjoint(p["path"])]
        return [*project_ids, *below]

    def within(self, arguments: listing.Arguments) -> tuple[Filter, listing.Arguments]:
        """For a listing of what projects hold: the condition that include_subprojects makes of `project`, and the other arguments.

        Without it a project means that project only, as every list filter does.
        """
        project = arguments.get("project")
        if not (project and arguments.get("include_subprojects")):
            return EVERYTHING, arguments
        wanted = project if isinstance(project, list) else [project]
        inside = In(("project",), tuple(self.descendants(wanted)))
        return inside, {name: value for name, value in arguments.items() if name != "project"}

    def ensure(self, identity: Identity, name: str, *, system_tags: Sequence[str] = ()) -> Document:
        """The project of this name, made with the parents that are missing. system_tags: of the last one, when it is made."""
        parts = _split(name)
        self.check_depth(parts)
        self.check_not_public("/".join(parts))
        found = self._ensure(identity, parts, {"system_tags": list(system_tags)})
        assert found is not None, "a name has at least one part"
        return found

    def check_not_public(self, name: str) -> None:
        """Raises PUBLIC_PROJECT_EXISTS for a name at or below a public project."""
        parts = name.split("/")
        names = tuple("/".join(parts[: depth + 1]) for depth in range(len(parts)))
        if self._documents.count("projects", And((Eq(("company",), ""), In(("name",), names)))):
            raise ApiError(Fault.PUBLIC_PROJECT_EXISTS, name)

    def by_name(self, identity: Identity, name: str) -> Document | None:
        """The company's project of this name."""
        where = And((Eq(("company",), identity.company), Eq(("name",), name)))
        found = self._documents.find("projects", where)
        return found[0] if found else None

    def _rename_versions(self, project: Document, name: str) -> None:
        # Clients find a version of a data set by its project and by its own name, which are the same to them.
        named = And((Has(("system_tags",), "dataset"), Eq(("name",), project["basename"])))
        where = And((Eq(("project",), project["id"]), named))
        self._documents.update_many("tasks", where, lambda task: task.update(name=name))

    def _new_name(self, identity: Identity, project: Document, name: str) -> str:
        parts = _split(name)
        self.check_depth(parts)
        if parts[:-1] != project["name"].split("/")[:-1]:
            raise ApiError(Fault.CANNOT_UPDATE_PROJECT_LOCATION)
        full = "/".join(parts)
        self.check_not_public(full)
        taken = self.by_name(identity, full)
        if taken is not None and taken["id"] != project["id"]:
            raise _taken(full)
        return full

    def _ensure(self, identity: Identity, parts: list[str], fields: dict[str, Any] | None = None) -> Document | None:
        """The project at this path of names, made with its parents when it is not there; None at the root.

        fields: of the last one, when it is made.
        """
        parent: Document | None = None
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            given = fields if fields and depth == len(parts) else {}
            parent = self._found_or_made(identity, name, parent, given)
        return parent

    def _found_or_made(
        self, identity: Identity, name: str, parent: Document | None, fields: dict[str, Any]
    ) -> Document:
        while True:
            if found := self.by_name(identity, name):
                return found
            with suppress(Duplicate):  # somebody else was quicker
                return self._insert(identity, name, parent, fields)

    def _insert(self, identity: Identity, name: str, parent: Document | None, fields: dict[str, Any]) -> Document:
        now = self._now()
        document: Document = {
            "id": new_id(),
            "name": name,
            "basename": name.rsplit("/", 1)[-1],
            "path": [*parent["path"], parent["id"]] if parent else [],
            "user": identity.user,
            "company": identity.company,
            "created": now,
            "last_update": now,
            "description": fields.get("description") or "",
            "tags": fields.get("tags") or [],
            "system_tags": fields.get("system_tags") or [],
        }
        if parent:
            document["parent"] = parent["id"]
        if fields.get("default_output_destination"):
            document["default_output_destination"] = fields["default_output_destination"]
        self._documents.insert("projects", document)
        return self._settled(document, parent)

    def _settled(self, document: Document, parent: Document | None) -> Document:
        """The new project below its parent as that is now: since it was read it may have been renamed, moved or removed.

        Where the project cannot be it is gone again: raises NOT_UNIQUE, and INVALID_PROJECT_ID without a parent.
        """
        while parent is not None and (present := self._documents.get("projects", parent["id"])) != parent:
            parent = present
            try:
                if parent is None:
                    raise ApiError(Fault.INVALID_PROJECT_ID, "the project above was removed")
                document = self._documents.update("projects", document["id"], partial(_put_below, parent))
            except (ApiError, Duplicate) as error:
                self._documents.delete("projects", Eq(("id",), document["id"]))
                raise _taken(document["name"]) if isinstance(error, Duplicate) else error from error
        return document

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _placed(arguments: listing.Arguments, extra: Filter) -> tuple[listing.Arguments, Filter]:
    """What the arguments say of the place in the tree as a condition, and the other arguments."""
    parents = arguments.get("parent")
    shallow = bool(arguments.get("shallow_search"))
    if parents is not None and not shallow:
        wanted = parents if isinstance(parents, list) else [parents]
        extra = And((extra, Or(tuple(Has(("path",), parent) for parent in wanted if parent))))
        arguments = {name: value for name, value in arguments.items() if name != "parent"}
    elif parents is None and shallow:
        extra = And((extra, Eq(("parent",), None)))
    return arguments, extra


def _put_below(parent: Document, document: Document) -> None:
    document.update(name=f"{parent['name']}/{document['basename']}", path=[*parent["path"], parent["id"]])


def _taken(name: str) -> ApiError:
    return ApiError(Fault.NOT_UNIQUE, f"a project named {name!r} exists")


def _rename_part(document: Document, depth: int, part: str) -> None:
    """Give the part at this depth of the project's name another text."""
    parts = document["name"].split("/")
    parts[depth] = part
    document.update(name="/".join(parts), basename=parts[-1])


def _split(name: str) -> list[str]:
    parts = [part.strip() for part in name.strip().split("/")]
    if not all(parts):
        raise ApiError(Fault.INVALID_PROJECT_NAME, repr(name))
    checks.name_length("/".join(parts), at_least=checks.MIN_NAME)
    return parts
