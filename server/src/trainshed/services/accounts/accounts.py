"""Access keys, and the tokens that stand for a login.

An access key is a public name and a secret of 256 random bits. Only the secret's SHA-256 is stored: a slow hash protects
guessable secrets, and would cost a login 200 ms for nothing here.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

import jwt

from trainshed.domain import dates
from trainshed.domain.errors import ApiError, Duplicate, Fault, NotFound, StoreFull
from trainshed.domain.identity import DEFAULT_COMPANY, FIRST_ADMIN, ROOT, Identity, Role
from trainshed.domain.ids import new_id
from trainshed.ports.cache import Cache
from trainshed.ports.clock import Clock
from trainshed.ports.documents import Document, Documents
from trainshed.ports.query import And, Eq, Sort
from trainshed.services.accounts.memory import Remembered
from trainshed.services.accounts.policy import OUT_OF_THE_BOX, Policy

log = logging.getLogger(__name__)

_MAY_IMPERSONATE = frozenset({Role.SYSTEM, Role.ROOT, Role.ADMIN})
_ALGORITHM = "HS256"
_KEY_BYTES = 15  # 20 characters: an access key is a name, not a secret
_SECRET_BYTES = 32
_NOTED_SECONDS = 60  # the last use of a key is as exact as that: to note each would be a write for each
# The server's own: only who is root on the host makes keys for them.
_OURS = frozenset({FIRST_ADMIN, ROOT})
CONFIGURED, FIXED, LOCAL, NAMED, OIDC, HEADER = "configured", "fixed", "local", "named", "oidc", "header"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new access key; the secret is shown once and kept nowhere."""

    access_key: str
    secret_key: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a token tells the client about the server: how it chooses its dialect."""

    api_version: str
    server_version: str


class Accounts:
    """Who may call, and as whom."""

    def __init__(
        self,
        *,
        documents: Documents,
        cache: Cache,
        clock: Clock,
        token_secret: bytes,
        announcement: Announcement,
        policy: Policy = OUT_OF_THE_BOX,
    ) -> None:
        self._documents = documents
        self._cache = cache
        self._clock = clock
        self._token_secret = token_secret
        self._announcement = announcement
        self._policy = policy
        self._known: Remembered[tuple[Identity, str, float]] = Remembered(policy.tokens.remember)

    def forget(self) -> None:
        """Ask the store anew about every token: something about accounts has changed."""
        self._known.forget()

    # users

    def ensure_admin(
        self, prepare: Callable[[str, KeyPair], object] = lambda user, pair: None
    ) -> tuple[str, KeyPair | None]:
        """Make the first user, an administrator with one key pair, when there is none. Returns its id and the new pair.

        prepare: called with both before they are stored. The user comes last, so whoever dies in the midst begins anew. Of
        two that do it at once both have a good pair, and of one user.
        """
        present = self._documents.find("users", Eq(("role",), Role.ADMIN))
        if present:
            return str(present[0]["id"]), None
        user, pair = FIRST_ADMIN, _new_pair("first start")
        prepare(user, pair)
        self._insert_credentials(user, pair)
        try:
            self._insert_user(user, "admin", Role.ADMIN)
        except Duplicate:  # somebody else was quicker, or gave it another role since
            self._documents.update("users", user, lambda document: document.update(role=Role.ADMIN.value))
        return user, pair

    def ensure_root(self) -> str:
        """The id of the user for what administrators may not do, made when it is missing."""
        with suppress(Duplicate):
            self._insert_user(ROOT, "root", Role.ROOT)
        return ROOT

    def create_user(self, name: str, *, role: Role = Role.USER) -> str:
        """Add a user; return the id."""
        user = new_id()
        self._insert_user(user, name, role)
        return user

    def _insert_user(self, user: str, name: str, role: Role) -> None:
        self._documents.insert(
            "users",
            {
                "id": user,
                "name": name,
                "given_name": name,
                "family_name": "",
                "company": DEFAULT_COMPANY,
                "role": role.value,
                "created": dates.to_text(self._clock.now()),
            },
        )

    def user(self, user_id: str) -> Document:
        """Raises INVALID_USER_ID."""
        user = self._documents.get("users", user_id)
        if user is None:
            raise ApiError(Fault.INVALID_USER_ID, user_id)
        return user

    def owners(self, company: str) -> list[dict[str, str]]:
        """The company's administrators: id and name."""
        found = self._documents.find("users", And((Eq(("company",), company), Eq(("role",), Role.ADMIN))))
        return [{"id": user["id"], "name": user["name"]} for user in found]

    # access keys

    def create_credentials(self, user: str, *, label: str = "") -> KeyPair:
        """A new access key for the user."""
        pair = _new_pair(label)
        self._insert_credentials(user, pair)
        return pair

    def _insert_credentials(self, user: str, pair: KeyPair, source: str = "") -> None:
        self._documents.insert(
            "credentials",
            {
                "id": pair.access_key,
                "user": user,
                "source": source,
                "label": pair.label,
                "secret_sha256": _digest(pair.secret_key),
                "created": dates.to_text(self._clock.now()),
            },
        )

    def credentials(self, user: str) -> list[Document]:
        """The user's access keys, oldest first."""
        return self._documents.find("credentials", Eq(("user",), user), sort=(Sort(("created",)),))

    def relabel_credentials(self, user: str, access_key: str, label: str) -> None:
        """Raises INVALID_ACCESS_KEY unless the key is the user's own."""
        if not self._documents.count("credentials", _own(user, access_key)):
            raise ApiError(Fault.INVALID_ACCESS_KEY)
        self._documents.update("credentials", access_key, lambda document: document.update(label=label))

    def revoke_credentials(self, user: str, access_key: str) -> None:
        """End the key and every token it gave. Raises INVALID_ACCESS_KEY unless the key is the user's own."""
        if not self._documents.count("credentials", _own(user, access_key)):
            raise ApiError(Fault.INVALID_ACCESS_KEY)
        self._end_key(access_key)

    def _end_key(self, access_key: str) -> None:
        # The tokens first: should this end in between, the key is still there to be revoked again.
        self._cache.set(f"revoked:{access_key}", b"", self._policy.tokens.longest)
        self._documents.delete("credentials", Eq(("id",), access_key))
        self.forget()

    def configure_keys(self) -> None:
        """Let the keys of the configuration be good, and no longer those that it had and has no more. Raises ValueError."""
        given = self._policy.system_keys.given()
        wanted = {key.access_key: key for key in given.values()}
        for document in self._documents.find("credentials", Eq(("source",), CONFIGURED)):
            key = wanted.get(document["id"])
            if key is None or document["secret_sha256"] != _digest(key.secret_key):
                self._end_key(document["id"])
        for part, key in given.items():
            user = _user_of(part)
            with suppress(Duplicate):
                self._insert_user(user, part, key.role)
            self._documents.update("users", user, partial(dict.update, role=key.role.value))
            with suppress(Duplicate):
                self._insert_credentials(
                    user, KeyPair(key.access_key, key.secret_key, "of the configuration"), CONFIGURED
                )
            self._cache.delete(f"revoked:{key.access_key}")

    # identities and tokens

    def by_credentials(self, access_key: str, secret_key: str, *, address: str = "") -> tuple[Identity, str]:
        """The caller of an access key, and the key.

        Raises INVALID_CREDENTIALS, the same for a wrong key and a wrong secret; of an account that may not log in
        NOT_AUTHORIZED and INVALID_FIXED_USER.
        """
        document = self._documents.get("credentials", access_key)
        stored = document["secret_sha256"] if document else _digest("")
        if not hmac.compare_digest(stored, _digest(secret_key)) or document is None:
            raise ApiError(Fault.INVALID_CREDENTIALS)
        identity, _ = self._standing(document["user"], Fault.INVALID_CREDENTIALS)
        self._note_use(document, address)
        return identity, access_key

    def has_key(self, access_key: str) -> bool:
        """Whether there is such an access key; its name is no secret."""
        return self._documents.get("credentials", access_key) is not None

    def _note_use(self, document: Document, address: str) -> None:
        now = self._clock.now()
        recent = dates.to_text(now - timedelta(seconds=_NOTED_SECONDS))
        if recent < document.get("last_used", "") <= dates.to_text(now) and document.get("last_used_from") == address:
            return
        used = {"last_used": dates.to_text(now), "last_used_from": address}
        try:
            self._documents.update("credentials", document["id"], lambda stored: stored.update(used))
        except NotFound as error:  # revoked between the two
            raise ApiError(Fault.INVALID_CREDENTIALS) from error
        except StoreFull:  # reading goes on, and it begins with a login
            log.warning("the disk is full: the last use of an access key is not noted")

    def by_token(self, token: str) -> tuple[Identity, str]:
        """The caller of a token, and the access key it came from.

        Raises INVALID_TOKEN and BLOCKED_TOKEN; of an account that may not log in NOT_AUTHORIZED and INVALID_FIXED_USER.
        """
        now = self._clock.now().timestamp()
        known = self._known.get(token, now)
        if known is None:
            turn = self._known.turn
            known = self._by_token(token)
            self._known.keep(token, known, now, turn)
        identity, access_key, expires = known
        if expires <= now:
            raise ApiError(Fault.INVALID_TOKEN, "it has expired")
        return identity, access_key

    def _by_token(self, token: str) -> tuple[Identity, str, float]:
        claims = self._claims(token)
        if any(self._cache.get(f"revoked:{claims[name]}") is not None for name in ("jti", "key") if claims.get(name)):
            raise ApiError(Fault.BLOCKED_TOKEN)
        try:
            user_id, company = str(claims["identity"]["user"]), str(claims["identity"]["company"])
            relies_on = dict(claims.get("sessions", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(Fault.INVALID_TOKEN) from error
        # The token says who it is; what that user may do, and whether there still is one, is asked anew.
        identity, _ = self._standing(user_id, Fault.INVALID_TOKEN)
        for user, session in relies_on.items():
            if session not in (None, self._standing(user, Fault.INVALID_TOKEN)[1]):
                raise ApiError(Fault.BLOCKED_TOKEN)
        return replace(identity, company=company), str(claims.get("key", "")), claims["exp"]

    def _standing(self, user_id: str, unknown: Fault) -> tuple[Identity, int]:
        """Who the user is, and the number of its sessions' generation. Raises unless the user may log in."""
        user = self._documents.get("users", user_id)
        if user is None:
            raise ApiError(unknown, "no such user" if unknown is Fault.INVALID_TOKEN else "")
        login = self._documents.get("logins", user_id) or {}
        if login.get("disabled"):
            raise ApiError(Fault.NOT_AUTHORIZED, "this account is disabled")
        if not self.is_admitted(user_id, login.get("source", "")):
            raise ApiError(Fault.INVALID_FIXED_USER)
        identity = Identity(user=user_id, company=user["company"], role=Role(user["role"]), name=user["name"])
        return identity, login.get("sessions", 0)

    def is_admitted(self, user_id: str, source: str) -> bool:
        """Whether a user who has its account from there may log in: fixed users leave no room for others."""
        policy = self._policy
        if not policy.fixed_users.enabled or source == FIXED or user_id in _OURS:
            return True
        elsewhere = {OIDC: policy.oidc.issuer, HEADER: policy.trusted_header.name}
        return user_id in _PARTS_BESIDE_FIXED or bool(elsewhere.get(source))

    def impersonate(self, identity: Identity, user_id: str) -> Identity:
        """The other user, when the caller may act as one and gains nothing by it. Raises IMPERSONATION_ERROR."""
        if identity.role not in _MAY_IMPERSONATE:
            raise ApiError(Fault.IMPERSONATION_ERROR)
        user = self._documents.get("users", user_id)
        if user is None or user["company"] != identity.company:
            raise ApiError(Fault.IMPERSONATION_ERROR, "no such user")
        other = self._identity(user_id)
        if other.role.outranks(identity.role):
            raise ApiError(Fault.IMPERSONATION_ERROR, "that user may do more than the caller")
        return other

    def act_as(self, identity: Identity, user_id: str, company: str | None) -> Identity:
        """The identity of a user of the caller's company. Raises INVALID_USER_ID."""
        user = self.user(user_id)
        if user["company"] != identity.company or company not in (None, identity.company):
            raise ApiError(Fault.INVALID_USER_ID, user_id)
        return self._identity(user_id)

    def issue_token(
        self, identity: Identity, *, access_key: str = "", lifetime: int | None = None, by: Identity | None = None
    ) -> str:
        """A token for the identity. It ends with what it relies on: the access key, or else the user's sessions.

        lifetime: seconds. by: the caller, where it is another who acts as this one; the token ends with the caller's too.
        """
        limits = self._policy.tokens
        seconds = min(lifetime if lifetime and lifetime > 0 else limits.default, limits.longest)
        now = self._clock.now()
        users = {identity.user, by.user if by else identity.user}
        claims = {
            "jti": new_id(),
            "key": access_key,
            "iat": now,
            "exp": now + timedelta(seconds=seconds),
            "auth_type": "Bearer",
            "sessions": {user: None if access_key else self._session(user) for user in sorted(users)},
            "identity": {
                "user": identity.user,
                "company": identity.company,
                "role": identity.role.value,
                "user_name": identity.name,
                "company_name": "",
            },
            "api_version": self._announcement.api_version,
            "server_version": self._announcement.server_version,
            "feature_set": "basic",  # anything else makes the client ask for what an open server does not have
        }
        return jwt.encode(claims, self._token_secret, algorithm=_ALGORITHM)

    def _session(self, user_id: str) -> int:
        generation: int = (self._documents.get("logins", user_id) or {}).get("sessions", 0)
        return generation

    def revoke_token(self, token: str) -> None:
        """End one token, as a logout does. Raises INVALID_TOKEN."""
        claims = self._claims(token)
        left = claims["exp"] - self._clock.now().timestamp()
        self._cache.set(f"revoked:{claims['jti']}", b"", max(left, 1.0))
        self.forget()

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            claims = _signed(token, self._token_secret)
        except jwt.InvalidTokenError as error:
            raise ApiError(Fault.INVALID_TOKEN) from error
        expires = claims["exp"]
        if not isinstance(expires, int | float) or expires <= self._clock.now().timestamp():
            raise ApiError(Fault.INVALID_TOKEN, "it has expired")
        return claims

    def identity(self, user_id: str) -> Identity:
        """Of a user who may log in. Raises INVALID_USER_ID, NOT_AUTHORIZED, INVALID_FIXED_USER."""
        return self._standing(user_id, Fault.INVALID_USER_ID)[0]

    def _identity(self, user_id: str) -> Identity:
        user = self.user(user_id)
        return Identity(user=user_id, company=user["company"], role=Role(user["role"]), name=user["name"])


def _user_of(part: str) -> str:
    return f"__{part}__"


# The keys of the web application and of tests stand for nobody: they are no good beside fixed users.
_PARTS_BESIDE_FIXED = frozenset(map(_user_of, ("apiserver", "fileserver", "services_agent")))


def _new_pair(label: str) -> KeyPair:
    return KeyPair(secrets.token_urlsafe(_KEY_BYTES), secrets.token_urlsafe(_SECRET_BYTES), label)


# A client sends one token with thousands of calls, and to check it is a third of the work of a small one. Whether it has
# expired or was revoked is asked anew each time.
@lru_cache(maxsize=1024)
def _signed(token: str, secret: bytes) -> Mapping[str, Any]:
    """What a token with our signature says. Raises InvalidTokenError."""
    claims: Mapping[str, Any] = jwt.decode(
        token,
        secret,
        algorithms=[_ALGORITHM],
        # Expiry is judged by our clock, which tests move.
        options={"require": ["exp", "iat", "jti", "identity"], "verify_exp": False, "verify_iat": False},
    )
    return claims


def _own(user: str, access_key: str) -> And:
    return And((Eq(("id",), access_key), Eq(("user",), user)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
