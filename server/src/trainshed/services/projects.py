"""Projects: a tree of names with `/` between them."""

from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault
from trainshed.domain.identity import Identity
from trainshed.domain.ids import new_id
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, Has, In, Or
from trainshed.services import checks, listing

MAX_DEPTH = 10
_FIELDS = ("description", "tags", "system_tags", "default_output_destination")


class Projects:
    """The use cases of projects."""

    def __init__(self, *, documents: Documents, cache: Cache, clock: Clock) -> None:
        self._documents = documents
        self._cache = cache
        self._clock = clock

    def get(self, identity: Identity, project_id: str) -> Document:
        """Raises INVALID_PROJECT_ID."""
        return checks.existing(self._documents, "projects", identity, project_id, Fault.INVALID_PROJECT_ID)

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Projects as asked for. `parent` means at any depth unless shallow_search; that alone means the top level."""
        parents = arguments.get("parent")
        shallow = bool(arguments.get("shallow_search"))
        extra: Filter = EVERYTHING
        if parents is not None and not shallow:
            wanted = parents if isinstance(parents, list) else [parents]
            extra = Or(tuple(Has(("path",), parent) for parent in wanted if parent))
            arguments = {name: value for name, value in arguments.items() if name != "parent"}
        elif parents is None and shallow:
            extra = Eq(("parent",), None)
        return listing.fetch(self._documents, self._cache, listing.PROJECTS, identity, arguments, extra=extra)

    def create(self, identity: Identity, name: str, fields: dict[str, Any]) -> str:
        """Add a project and the parents that are missing; return its id. Raises NOT_UNIQUE when the name is taken."""
        parts = _split(name)
        full = "/".join(parts)
        if self._by_name(identity, full) is not None:
            raise ApiError(Fault.NOT_UNIQUE, f"a project named {full!r} exists")
        parent = self.ensure(identity, "/".join(parts[:-1])) if len(parts) > 1 else None
        try:
            return self._insert(identity, full, parent, fields)
        except Duplicate as error:
            raise ApiError(Fault.NOT_UNIQUE, f"a project named {full!r} exists") from error

    def ensure(self, identity: Identity, name: str) -> str:
        """The id of the project with this name, made with its parents when it is not there."""
        parts = _split(name)
        parent: str | None = None
        for depth in range(1, len(parts) + 1):
            full = "/".join(parts[:depth])
            found = self._by_name(identity, full)
            if found is None:
                try:
                    parent = self._insert(identity, full, parent, {})
                    continue
                except Duplicate:  # somebody else was quicker
                    found = self._by_name(identity, full)
            parent = str(found["id"]) if found else parent
        return str(parent)

    def update(self, identity: Identity, project_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change the fields; return what was changed. A new name may differ in its last part only and renames descendants."""
        project = self.get(identity, project_id)
        checks.writable(project)
        changed = {name: fields[name] for name in _FIELDS if name in fields}
        if fields.get("name") is not None:
            changed["name"] = self._new_name(identity, project, fields["name"])
        changed["last_update"] = self._now()
        old_name = project["name"]

        def change(document: Document) -> None:
            document.update(changed)
            document["basename"] = document["name"].rsplit("/", 1)[-1]

        try:
            self._documents.update("projects", project_id, change)
        except Duplicate as error:
            raise ApiError(Fault.NOT_UNIQUE, f"a project named {changed['name']!r} exists") from error
        if changed.get("name", old_name) != old_name:
            self._rename_descendants(project_id, old_name, changed["name"])
        return changed

    def descendants(self, project_ids: list[str]) -> list[str]:
        """The ids of the projects and of every project below them."""
        below = self._documents.find("projects", Or(tuple(Has(("path",), p) for p in project_ids)))
        return [*project_ids, *(str(project["id"]) for project in below)]

    def names(self, project_ids: list[str]) -> dict[str, str]:
        """id -> name of those that exist."""
        found = self._documents.find("projects", In(("id",), tuple(project_ids)))
        return {str(project["id"]): str(project["name"]) for project in found}

    def _new_name(self, identity: Identity, project: Document, name: str) -> str:
        parts = _split(name)
        if parts[:-1] != project["name"].split("/")[:-1]:
            raise ApiError(Fault.CANNOT_UPDATE_PROJECT_LOCATION)
        full = "/".join(parts)
        taken = self._by_name(identity, full)
        if taken is not None and taken["id"] != project["id"]:
            raise ApiError(Fault.NOT_UNIQUE, f"a project named {full!r} exists")
        return full

    def _rename_descendants(self, project_id: str, old: str, new: str) -> None:
        def change(document: Document) -> None:
            document["name"] = new + document["name"][len(old) :]

        self._documents.update_many("projects", Has(("path",), project_id), change)

    def _by_name(self, identity: Identity, name: str) -> Document | None:
        where = And((Eq(("company",), identity.company), Eq(("name",), name)))
        found = self._documents.find("projects", where)
        return found[0] if found else None

    def _insert(self, identity: Identity, name: str, parent: str | None, fields: dict[str, Any]) -> str:
        now, project_id = self._now(), new_id()
        path = [*self._documents.get("projects", parent)["path"], parent] if parent else []  # type: ignore[index] # ensured above
        document: Document = {
            "id": project_id,
            "name": name,
            "basename": name.rsplit("/", 1)[-1],
            "path": path,
            "user": identity.user,
            "company": identity.company,
            "created": now,
            "last_update": now,
            "description": fields.get("description") or "",
            "tags": fields.get("tags") or [],
            "system_tags": fields.get("system_tags") or [],
        }
        if parent:
            document["parent"] = parent
        if fields.get("default_output_destination"):
            document["default_output_destination"] = fields["default_output_destination"]
        self._documents.insert("projects", document)
        return project_id

    def _now(self) -> str:
        return dates.to_text(self._clock.now())


def _split(name: str) -> list[str]:
    parts = [part.strip() for part in name.strip().split("/")]
    if not all(parts):
        raise ApiError(Fault.INVALID_PROJECT_NAME, repr(name))
    if len(parts) > MAX_DEPTH:
        raise ApiError(Fault.PROJECT_PATH_TOO_DEEP, f"at most {MAX_DEPTH} levels")
    if len("/".join(parts)) < checks.MIN_NAME:
        raise ApiError(Fault.DATA_VALIDATION_ERROR, f"a name has at least {checks.MIN_NAME} characters")
    return parts
