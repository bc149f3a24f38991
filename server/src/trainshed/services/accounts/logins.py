"""Logging in over the web: by password, by name alone on a laptop, or because somebody trusted says who it is."""

import logging
from collections.abc import Mapping

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity, Role
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import Eq
from trainshed.services.accounts import passwords
from trainshed.services.accounts.accounts import HEADER, NAMED, Accounts
from trainshed.services.accounts.attempts import Limiter
from trainshed.services.accounts.passwords import Kind, Secret
from trainshed.services.accounts.people import LONGEST_NAME, People, key_of
from trainshed.services.accounts.policy import Guest, Policy

OIDC_PATH = "/login/oidc"

log = logging.getLogger(__name__)


class Logins:
    """Proofs of who calls, other than access keys and tokens.

    fixed: the passwords of the configuration. name_login: whether a name alone is enough while nobody has a password.
    Raises ValueError for a trusted header that callers could send, too.
    """

    def __init__(
        self,
        *,
        documents: Documents,
        cache: Cache,
        clock: Clock,
        accounts: Accounts,
        people: People,
        checker: passwords.Checker,
        fixed: Mapping[str, Secret],
        policy: Policy,
        name_login: bool,
    ) -> None:
        policy.trusted_header.check()
        self._documents = documents
        self._accounts = accounts
        self._people = people
        self._policy = policy
        self._limiter = Limiter(cache=cache, clock=clock, limits=policy.attempts)
        self._name_login = name_login
        self._fixed = {key_of(username): secret for username, secret in fixed.items()}
        self._checker = checker

    @property
    def elsewhere(self) -> tuple[dict[str, str], ...]:
        """Logins elsewhere: what the button says, and where on the web listener it leads."""
        oidc = self._policy.oidc
        return ({"label": oidc.label, "url": OIDC_PATH},) if oidc.issuer else ()

    @property
    def only_fixed_users(self) -> bool:
        """Whether the users are those of the configuration."""
        return self._policy.fixed_users.enabled

    @property
    def guest(self) -> Guest | None:
        """Who anybody may log in as."""
        fixed = self._policy.fixed_users
        return fixed.guest if fixed.enabled and fixed.guest.enabled else None

    @property
    def name_is_enough(self) -> bool:
        """Whether a name alone logs in now."""
        return self._name_login and not self._people.has_passwords()

    def by_password(self, username: str, password: str, *, address: str) -> Identity:
        """Raises INVALID_CREDENTIALS, the same and as late whatever is wrong, and TOO_MANY_LOGINS."""
        key = key_of(username[:LONGEST_NAME])
        taken = self._limiter.take(key, address)
        login = self._people.by_username(key)
        good = self._checker.matches(password[: passwords.LONGEST + 1], self._secret(key, login))
        if not good or login is None:
            log.warning("login of %r from %s refused", username[:LONGEST_NAME], address)
            raise ApiError(Fault.INVALID_CREDENTIALS)
        identity = self._standing(login)
        self._limiter.succeeded(taken)
        self._people.note_login(identity.user)
        return identity

    def prove_again(self, identity: Identity, password: str, *, address: str) -> None:
        """Let somebody who is logged in show the password once more. Raises as by_password."""
        login = self._documents.get("logins", identity.user)
        if self.by_password(login["username"] if login else "", password, address=address).user != identity.user:
            raise ApiError(Fault.INVALID_CREDENTIALS)

    def by_name(self, name: str) -> Identity:
        """The user of that name, made when there is none. Raises ROLE_NOT_ALLOWED where a name is not enough."""
        if not self.name_is_enough:
            raise ApiError(Fault.ROLE_NOT_ALLOWED, "a name alone is not enough on this server")
        login = self._people.by_username(name)
        if login is not None:
            return self._standing(login)
        found = self._documents.find("users", Eq(("name",), name.strip()))
        if found and not Role(found[0]["role"]).outranks(Role.ADMIN):
            return self._accounts.identity(found[0]["id"])
        return self._accounts.identity(self._people.add(name, name=name, role=Role.USER, source=NAMED))

    def by_header(self, username: str) -> Identity:
        """The user that a trusted proxy names. Raises NOT_AUTHORIZED for one who has no account and gets none."""
        trusted = self._policy.trusted_header
        return self.from_elsewhere(username, name="", source=HEADER, role=trusted.role, create=trusted.create)

    def from_elsewhere(
        self,
        username: str,
        *,
        name: str,
        source: str,
        role: Role,
        create: bool,
        subject: str = "",
        keep_role: bool = True,
    ) -> Identity:
        """The user whom another system has logged in; the account was made by it, or is made now.

        subject: what the other system knows them by, if not the username. keep_role: the role is for new accounts alone.
        Raises NOT_AUTHORIZED: an account of another source is not taken over because its name is the same.
        """
        where = Eq(("subject",), subject) if subject else Eq(("key",), key_of(username))
        found = self._documents.find("logins", where)
        if found:
            login = found[0]
            if login.get("source") != source:
                raise ApiError(Fault.NOT_AUTHORIZED, "an account of that name exists, and logs in otherwise")
            identity = self._standing(login)
            if not keep_role and identity.role is not role:
                self._documents.update("users", identity.user, lambda user: user.update(role=role.value))
                self._accounts.forget()
            return self._accounts.identity(identity.user)
        if not create:
            raise ApiError(Fault.NOT_AUTHORIZED, "nobody of that name has an account here")
        user = self._people.add(username, name=name or username, role=role, source=source, subject=subject)
        return self._accounts.identity(user)

    def _standing(self, login: Document) -> Identity:
        """Raises INVALID_CREDENTIALS for one who may not log in now."""
        try:
            return self._accounts.identity(login["id"])
        except ApiError as error:
            raise ApiError(Fault.INVALID_CREDENTIALS) from error

    def _secret(self, key: str, login: Document | None) -> Secret:
        if self._policy.fixed_users.enabled:
            return self._fixed.get(key, passwords.NONE)
        if login is None or not login.get("protected"):
            return passwords.NONE
        return Secret(Kind.OURS, login["password"])
