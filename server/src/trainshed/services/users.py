"""Users as others see them, and what each of them prefers. Who may call is services.accounts."""

from collections.abc import Callable
from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound
from trainshed.domain.identity import Identity, Role
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import EVERYTHING, And, Eq, Filter, In
from trainshed.services import checks, listing, stored_settings
from trainshed.services.limits import LIMITS, Limits
from trainshed.services.projects import Projects

_NAMES = ("name", "given_name", "family_name", "avatar")
_MAY_EDIT_OTHERS = frozenset({Role.SYSTEM, Role.ROOT, Role.ADMIN})


class Users:
    """The use cases of users. changed: called after each change of who may do what."""

    def __init__(
        self,
        *,
        documents: Documents,
        cache: Cache,
        clock: Clock,
        projects: Projects,
        changed: Callable[[], object] = lambda: None,
        limits: Limits = LIMITS,
    ) -> None:
        self._documents = documents
        self._limits = limits
        self._cache = cache
        self._clock = clock
        self._projects = projects
        self._changed = changed

    def get(self, identity: Identity, user_id: str) -> Document:
        """Raises INVALID_USER_ID."""
        return checks.existing(self._documents, "users", identity, user_id, Fault.INVALID_USER_ID)

    def find(self, identity: Identity, arguments: listing.Arguments) -> listing.Listed:
        """Users as asked for. active_in_projects: those with a task or model there; an empty list means in any project."""
        extra: Filter = EVERYTHING
        projects = arguments.get("active_in_projects")
        if projects is not None:
            extra = In(("id",), tuple(self._active(identity, projects)))
        return listing.fetch(
            self._documents, self._cache, listing.USERS, identity, arguments, extra=extra, limits=self._limits
        )

    def create(
        self, identity: Identity, user_id: str, fields: dict[str, Any], *, company: str, role: Role = Role.USER
    ) -> None:
        """Add a user to the caller's company. Raises USER_ID_EXISTS."""
        if company != identity.company:
            raise ApiError(Fault.VALIDATION_ERROR, "no such company")
        if not user_id or not fields["name"].strip():
            raise ApiError(Fault.DATA_VALIDATION_ERROR, "a user has an id and a name")
        user: Document = {
            "id": user_id,
            "given_name": "",
            "family_name": "",
            **fields,
            "company": identity.company,
            "role": role.value,
            "created": dates.to_text(self._clock.now()),
        }
        try:
            self._documents.insert("users", user)
        except Duplicate as error:
            raise ApiError(Fault.USER_ID_EXISTS, user_id) from error

    def update(self, identity: Identity, user_id: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Change names; others' names are an administrator's to change. Returns the changed fields."""
        self.get(identity, user_id)
        if user_id != identity.user and identity.role not in _MAY_EDIT_OTHERS:
            raise ApiError(Fault.ROLE_NOT_ALLOWED, "another user")
        changed = {name: fields[name] for name in _NAMES if name in fields}
        return self._change(user_id, changed)

    def change_role(self, identity: Identity, user_id: str, role: Role) -> dict[str, Any]:
        """Give a user another role. Nobody makes, or unmakes, one who may do more than they."""
        before = Role(self.get(identity, user_id)["role"])
        if before.outranks(identity.role) or role.outranks(identity.role):
            raise ApiError(Fault.ROLE_NOT_ALLOWED, "that role may do more than the caller")
        return self._change(user_id, {"role": role.value})

    def delete(self, identity: Identity, user_id: str) -> None:
        """Remove a user and what logs the user in. Tasks and models stay."""
        self.get(identity, user_id)
        self._documents.delete("credentials", Eq(("user",), user_id))
        self._documents.delete("tickets", Eq(("user",), user_id))
        self._documents.delete("logins", Eq(("id",), user_id))
        self._documents.delete("users", Eq(("id",), user_id))
        self._documents.delete("settings", Eq(("id",), _preferences_of(user_id)))
        self._changed()

    # preferences

    def preferences(self, identity: Identity) -> dict[str, Any]:
        """What the caller's clients stored."""
        found: dict[str, Any] = stored_settings.read(self._documents, _preferences_of(identity.user)).get("values", {})
        return found

    def set_preferences(self, identity: Identity, preferences: dict[str, Any]) -> None:
        """Replace the given ones at the top level."""

        def change(document: Document) -> None:
            document["values"] = {**document.get("values", {}), **preferences}

        stored_settings.change(self._documents, _preferences_of(identity.user), change)

    def _change(self, user_id: str, changed: dict[str, Any]) -> dict[str, Any]:
        try:
            self._documents.update("users", user_id, lambda user: user.update(changed))
        except NotFound as error:
            raise ApiError(Fault.INVALID_USER_ID, user_id) from error
        self._changed()
        return changed

    def _active(self, identity: Identity, projects: list[str]) -> list[str]:
        inside = In(("project",), tuple(self._projects.descendants(projects))) if projects else EVERYTHING
        where = And((listing.visible(identity), inside))
        active = {user for kind in ("tasks", "models") for user in self._documents.distinct(kind, ("user",), where)}
        return sorted(active)


def _preferences_of(user_id: str) -> str:
    return f"preferences:{user_id}"
