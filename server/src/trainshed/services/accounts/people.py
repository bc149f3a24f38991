"""The user store: who has an account, with which role, and the one-time tokens that let a person choose a password.

Of a user the collection `users` has what others may see, and `logins`, under the same id, what the login needs:
username and key (the form it is looked up by), source (what made the account), password (a hash), disabled, sessions (the
number of the generation that is good), last_login. A ticket is stored by its hash alone.
"""

import hashlib
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound
from trainshed.domain.identity import DEFAULT_COMPANY, FIRST_ADMIN, ROOT, Identity, Role
from trainshed.domain.ids import new_id
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import Eq, In, Sort
from trainshed.services.accounts import passwords
from trainshed.services.accounts.accounts import FIXED, LOCAL
from trainshed.services.accounts.policy import FixedUser, FixedUsers, Policy

LONGEST_NAME = 200
_MAY_MANAGE = frozenset({Role.SYSTEM, Role.ROOT, Role.ADMIN})
_TICKET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user as an administrator sees them. source: what made the account; empty: an older release or the API."""

    id: str
    username: str
    name: str
    role: str
    source: str
    disabled: bool
    has_password: bool
    created: str
    last_login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A one-time token with which a person chooses a password; shown once and kept nowhere."""

    user: str
    token: str
    expires: str


class Claim(Enum):
    """How far the claim of a new server is."""

    NEVER_OFFERED = "never offered"
    OPEN = "open"
    TOO_LATE = "too late"
    DONE = "done"


class People:
    """The use cases of the user store.

    changed: called after each change of who may do what. claimed: called when somebody becomes the first administrator.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        clock: Clock,
        checker: passwords.Checker,
        policy: Policy,
        changed: Callable[[], object],
        claimed: Callable[[], object] = lambda: None,
    ) -> None:
        self._documents = documents
        self._clock = clock
        self._checker = checker
        self._policy = policy
        self._changed = changed
        self._claimed = claimed

    # looking

    def everybody(self, identity: Identity) -> list[Person]:
        """All users, by name. Raises ROLE_NOT_ALLOWED."""
        _check_manages(identity)
        logins = {login["id"]: login for login in self._documents.find("logins")}
        users = self._documents.find("users", Eq(("company",), identity.company), sort=(Sort(("name",)),))
        return [_person(user, logins.get(user["id"], {})) for user in users]

    def person(self, identity: Identity, user: str) -> Person:
        """By id or username. Raises INVALID_USER_ID, ROLE_NOT_ALLOWED."""
        _check_manages(identity)
        document = self._user(identity, user)
        return _person(document, self._documents.get("logins", document["id"]) or {})

    def managed(self, identity: Identity, user: str) -> str:
        """The id of somebody whose account the caller may change. Raises INVALID_USER_ID, ROLE_NOT_ALLOWED."""
        document = self._user(identity, user)
        _check_manages(identity, Role(document["role"]))
        return str(document["id"])

    def by_username(self, username: str) -> Document | None:
        """The login of a name, if there is one."""
        found = self._documents.find("logins", Eq(("key",), key_of(username)))
        return found[0] if found else None

    def has_passwords(self) -> bool:
        """Whether anybody can log in with a password."""
        return self._policy.fixed_users.enabled or bool(self._documents.count("logins", Eq(("protected",), True)))

    # accounts

    def create(
        self, identity: Identity, username: str, *, name: str = "", role: Role = Role.USER, password: str | None = None
    ) -> str:
        """Add a user; return the id. Without a password the account waits for a ticket.

        Raises NOT_UNIQUE for a name that is taken, DATA_VALIDATION_ERROR for a bad name or password, ROLE_NOT_ALLOWED.
        """
        _check_manages(identity, role)
        if self._policy.fixed_users.enabled:
            raise ApiError(Fault.INVALID_FIXED_USER, "users come from the configuration (auth.fixed_users)")
        return self.add(username, name=name, role=role, source=LOCAL, hashed=self._hash(password))

    def add(
        self,
        username: str,
        *,
        name: str,
        role: Role,
        source: str,
        hashed: str | None = None,
        user_id: str = "",
        subject: str = "",
    ) -> str:
        """Add a user from any source; return the id. Raises NOT_UNIQUE, DATA_VALIDATION_ERROR."""
        username, user_id = _checked_name(username), user_id or new_id()
        login: Document = {"id": user_id, "username": username, "key": key_of(username), "source": source}
        try:
            self._documents.insert(
                "logins", {**login, **_protection(hashed), **({"subject": subject} if subject else {})}
            )
        except Duplicate as error:
            raise ApiError(Fault.NOT_UNIQUE, "the username is taken") from error
        shown = _shown(name or username)
        user: Document = {"id": user_id, **shown, "family_name": "", "company": DEFAULT_COMPANY, "role": role.value}
        try:
            self._documents.insert("users", {**user, "created": dates.to_text(self._clock.now())})
        except Duplicate:  # an account of an older release gets a login
            self._documents.update("users", user_id, lambda document: document.update(shown))
        self._changed()
        return user_id

    def set_role(self, identity: Identity, user: str, role: Role) -> None:
        """Another role, from the next call on. Nobody changes their own, so that an administrator is left."""
        document = self._other(identity, user)
        _check_manages(identity, role)
        self._documents.update("users", document["id"], lambda stored: stored.update(role=role.value))
        self._changed()

    def disable(self, identity: Identity, user: str) -> None:
        """Let the user no longer in, by no password, key or token. All that is theirs stays."""
        self._set_disabled(self._other(identity, user), disabled=True)

    def enable(self, identity: Identity, user: str) -> None:
        """Let the user in again, with the keys they had; web sessions begin anew."""
        self._set_disabled(self._other(identity, user), disabled=False)

    def delete(self, identity: Identity, user: str) -> None:
        """Remove the account and its keys for good. Tasks and models stay."""
        document = self._other(identity, user)
        if document["id"] in (FIRST_ADMIN, ROOT):
            raise ApiError(Fault.ROLE_NOT_ALLOWED, "this is the server's own account; it can be disabled")
        self._documents.delete("credentials", Eq(("user",), document["id"]))
        self._documents.delete("tickets", Eq(("user",), document["id"]))
        self._documents.delete("users", Eq(("id",), document["id"]))
        self._documents.delete("logins", Eq(("id",), document["id"]))
        self._changed()

    # passwords

    def set_password(self, identity: Identity, user: str, password: str) -> None:
        """Give somebody a password; their sessions end. Raises DATA_VALIDATION_ERROR, INVALID_FIXED_USER."""
        document = self._user(identity, user)
        _check_manages(identity, Role(document["role"]))
        self._store_password(document, password)

    def change_password(self, identity: Identity, password: str) -> None:
        """A new one of one's own, the old one having been proved; one's sessions end."""
        self._store_password(self._user(identity, identity.user), password)

    def ticket(self, identity: Identity, user: str, *, seconds: int | None = None) -> Ticket:
        """A one-time token with which the user chooses a password; older ones are void."""
        document = self._user(identity, user)
        _check_manages(identity, Role(document["role"]))
        self._check_not_fixed(document["id"])
        now = self._clock.now()
        expires = dates.to_text(now + timedelta(seconds=seconds or self._policy.tickets.reset))
        token = secrets.token_urlsafe(_TICKET_BYTES)
        self._documents.delete("tickets", Eq(("user",), document["id"]))
        self._documents.insert("tickets", {"id": _digest(token), "user": document["id"], "expires": expires})
        return Ticket(user=document["id"], token=token, expires=expires)

    def invite(self, identity: Identity, username: str, *, name: str = "", role: Role = Role.USER) -> Ticket:
        """Add a user who will choose the password. Raises as create."""
        user = self.create(identity, username, name=name, role=role)
        return self.ticket(identity, user, seconds=self._policy.tickets.invitation)

    def is_good(self, token: str) -> bool:
        """Whether a one-time token is still to be used."""
        ticket = self._documents.get("tickets", _digest(token))
        return ticket is not None and ticket["expires"] > dates.to_text(self._clock.now())

    def redeem(self, token: str, *, password: str, username: str = "", name: str = "") -> str:
        """Choose a password with a ticket, which is used up; return the user's id.

        username, name: for the first administrator, who has none before the claim. Raises INVALID_TICKET, and
        DATA_VALIDATION_ERROR and NOT_UNIQUE, by which the ticket is not used up.
        """
        ticket = self._documents.get("tickets", _digest(token)) if self.is_good(token) else None
        user = self._documents.get("users", ticket["user"]) if ticket else None
        if ticket is None or user is None:
            raise ApiError(Fault.INVALID_TICKET)
        login = self._documents.get("logins", user["id"])
        wanted = _checked_name(username) if username and user["id"] == FIRST_ADMIN else ""
        if wanted and (taken := self.by_username(wanted)) and taken["id"] != user["id"]:
            raise ApiError(Fault.NOT_UNIQUE, "the username is taken")
        self._check_not_fixed(user["id"])
        hashed = self._hash(password)
        # Of two who come at once with one ticket, one removes it.
        if not self._documents.delete("tickets", Eq(("id",), ticket["id"])):
            raise ApiError(Fault.INVALID_TICKET)
        if login is None:
            self.add(
                wanted or user["name"], name=name or wanted or user["name"], role=Role(user["role"]), source=LOCAL,
                hashed=hashed, user_id=user["id"],
            )  # fmt: skip
        else:
            renamed = {"username": wanted, "key": key_of(wanted)} if wanted else {}
            self._change_login(user["id"], {**_protection(hashed), **renamed}, end_sessions=True)
            if name and user["id"] == FIRST_ADMIN:
                self._documents.update("users", user["id"], lambda stored: stored.update(_shown(name)))
        if user["id"] == FIRST_ADMIN:
            self._claimed()
        return str(user["id"])

    # the claim of a new server

    def is_claimed(self) -> bool:
        """Whether the first administrator has a password."""
        return bool((self._documents.get("logins", FIRST_ADMIN) or {}).get("protected"))

    def claim_ticket(self) -> Ticket:
        """A token that makes whoever has it the administrator. Only who is root on the host asks for one."""
        root = Identity(user=ROOT, role=Role.ROOT)
        return self.ticket(root, FIRST_ADMIN, seconds=self._policy.tickets.claim)

    def claim(self) -> Claim:
        """How far it is."""
        if self.is_claimed():
            return Claim.DONE
        now = dates.to_text(self._clock.now())
        tickets = self._documents.find("tickets", Eq(("user",), FIRST_ADMIN))
        if not tickets:
            return Claim.NEVER_OFFERED
        return Claim.OPEN if any(ticket["expires"] > now for ticket in tickets) else Claim.TOO_LATE

    # users of the configuration

    def configure_fixed(self) -> None:
        """Make the store agree with the configuration: new users are added, names refreshed, those that are gone disabled.

        Nobody's keys or data are ever removed. Raises ValueError for a configuration that cannot be meant.
        """
        fixed = self._policy.fixed_users
        if not fixed.enabled:
            return
        check_names(fixed)
        ids = [self._configure_one(user) for user in fixed.everyone()]
        for login in self._documents.find("logins", Eq(("source",), FIXED)):
            gone = login["id"] not in ids
            if bool(login.get("disabled")) != gone:
                self._set_disabled({"id": login["id"]}, disabled=gone)

    def _configure_one(self, user: FixedUser) -> str:
        known = self.by_username(user.username)
        shown = _shown(user.name or user.username)
        if known is None:
            self.add(user.username, name=user.name, role=user.role, source=FIXED, user_id=fixed_id(user.username))
            return fixed_id(user.username)
        self._change_login(
            known["id"], {"username": user.username, "source": FIXED, "protected": False, "password": ""}
        )
        self._documents.update("users", known["id"], lambda stored: stored.update({**shown, "role": user.role.value}))
        return str(known["id"])

    # parts

    def note_login(self, user: str) -> None:
        """Remember when the user last logged in over the web."""
        self._change_login(user, {"last_login": dates.to_text(self._clock.now())})

    def _store_password(self, user: Document, password: str) -> None:
        self._check_not_fixed(user["id"])
        hashed = self._hash(password)
        if self._documents.get("logins", user["id"]) is None:
            self.add(
                user["name"],
                name=user["name"],
                role=Role(user["role"]),
                source=LOCAL,
                hashed=hashed,
                user_id=user["id"],
            )
        else:
            self._change_login(user["id"], _protection(hashed), end_sessions=True)
        self._documents.delete("tickets", Eq(("user",), user["id"]))

    def _hash(self, password: str | None) -> str | None:
        if password is None:
            return None
        least = self._policy.passwords.min_length
        if not least <= len(password) <= passwords.LONGEST:
            raise ApiError(Fault.DATA_VALIDATION_ERROR, f"a password has {least} to {passwords.LONGEST} characters")
        return self._checker.hashed(password)

    def _set_disabled(self, user: Document, *, disabled: bool) -> None:
        if self._documents.get("logins", user["id"]) is None:
            self.add(user["name"], name=user["name"], role=Role(user["role"]), source=LOCAL, user_id=user["id"])
        self._change_login(user["id"], {"disabled": disabled}, end_sessions=True)

    def _change_login(self, user: str, changed: dict[str, Any], *, end_sessions: bool = False) -> None:
        def change(login: Document) -> None:
            login.update(changed)
            login["sessions"] = login.get("sessions", 0) + end_sessions

        try:
            self._documents.update("logins", user, change)
        except Duplicate as error:
            raise ApiError(Fault.NOT_UNIQUE, "the username is taken") from error
        except NotFound as error:
            raise ApiError(Fault.INVALID_USER_ID, user) from error
        self._changed()

    def _check_not_fixed(self, user: str) -> None:
        login = self._documents.get("logins", user) or {}
        if self._policy.fixed_users.enabled and login.get("source") == FIXED:
            raise ApiError(Fault.INVALID_FIXED_USER, "the password stands in the configuration (auth.fixed_users)")

    def _user(self, identity: Identity, user: str) -> Document:
        ids = [user, *([login["id"]] if (login := self.by_username(user)) else [])]
        found = self._documents.find("users", In(("id",), tuple(ids)))
        document = next((one for one in found if one["company"] == identity.company), None)
        if document is None:
            raise ApiError(Fault.INVALID_USER_ID, user[:LONGEST_NAME])
        return document

    def _other(self, identity: Identity, user: str) -> Document:
        document = self._user(identity, user)
        _check_manages(identity, Role(document["role"]))
        if document["id"] == identity.user:
            raise ApiError(Fault.ROLE_NOT_ALLOWED, "your own account: somebody else has to do that")
        return document


def check_names(fixed: FixedUsers) -> None:
    """Raises ValueError for a user who is named twice."""
    names = [user.username for user in fixed.everyone()]
    keys = [*map(key_of, names)]
    if double := [name for name, key in zip(names, keys, strict=True) if keys.count(key) > 1]:
        raise ValueError(f"auth.fixed_users names {double[0]!r} twice")


def key_of(username: str) -> str:
    """The form by which a username is looked up: as people read it, whichever way it is typed."""
    return unicodedata.normalize("NFKC", username).strip().casefold()


def fixed_id(username: str) -> str:
    """The id of a user of the configuration: the same on every server, so that credentials and data keep their owner."""
    return hashlib.md5(f"{DEFAULT_COMPANY}:{username}".encode(), usedforsecurity=False).hexdigest()


def _check_manages(identity: Identity, role: Role = Role.GUEST) -> None:
    """Administrators manage users, and nobody one who may do more than they."""
    if identity.role not in _MAY_MANAGE or role.outranks(identity.role):
        raise ApiError(Fault.ROLE_NOT_ALLOWED, identity.role.value)


def _checked_name(username: str) -> str:
    name = unicodedata.normalize("NFC", username).strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or ":" in name:
        # HTTP Basic ends the name at the first colon.
        raise ApiError(
            Fault.DATA_VALIDATION_ERROR, f"a username has 1 to {LONGEST_NAME} visible characters and no colon"
        )
    return name


def _shown(name: str) -> Document:
    return {"name": name[:LONGEST_NAME], "given_name": name[:LONGEST_NAME]}


def _protection(hashed: str | None) -> Document:
    return {} if hashed is None else {"password": hashed, "protected": True}


def _person(user: Document, login: Document) -> Person:
    return Person(
        id=user["id"],
        username=login.get("username", ""),
        name=user["name"],
        role=user["role"],
        source=login.get("source", ""),
        disabled=bool(login.get("disabled")),
        has_password=bool(login.get("protected")) or (login.get("source") == FIXED and not login.get("disabled")),
        created=user.get("created", ""),
        last_login=login.get("last_login", ""),
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
