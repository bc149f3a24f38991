"""Passwords: how they are kept, and how one is checked in the same time whoever it belongs to.

bcrypt, as the configuration's hashes are bcrypt: a second algorithm would be a second library and no gain. A password of
our own goes through SHA-256 first, as bcrypt reads 72 bytes and no more.
"""

import base64
import binascii
import hashlib
import hmac
import re
import threading
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

import bcrypt

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Role
from trainshed.services.accounts.policy import FixedUsers

LONGEST = 1024  # characters; a longer one is no password
_AT_ONCE = 2  # checks that run at once: each takes a processor for its time, and other calls need some too
_PATIENCE = 5.0  # seconds that one waits for its turn
_BCRYPT_READS = 72
_LEAST, _MOST = 4, 31  # rounds of the cheapest hash and of the dearest
_BCRYPT = re.compile(r"(\$2[abxy]\$)(\d\d)(\$[./A-Za-z0-9]{53})")  # the number of rounds stands between the dollars


class Kind(Enum):
    """What a stored password is."""

    OURS = "bcrypt of SHA-256"
    BCRYPT = "bcrypt"
    PLAIN = "plain"
    NONE = "there is none"


@dataclass(frozen=True, slots=True)
class Secret:
    """A password as it is stored."""

    kind: Kind
    value: str = ""

    def __repr__(self) -> str:
        return f"Secret({self.kind})"


NONE = Secret(Kind.NONE)


def from_base64(text: str) -> Secret:
    """The configuration's form of a hash: base64 of bcrypt's text. Raises ValueError."""
    try:
        value = base64.b64decode(text, validate=True).decode("ascii")
        found = _BCRYPT.fullmatch(value)
        if found is None or not _LEAST <= int(found[2]) <= _MOST:
            raise ValueError
        # What would raise at the first login raises now; with the fewest rounds, as there may be many at each start.
        bcrypt.checkpw(b"", f"{found[1]}{_LEAST:02}{found[3]}".encode())
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ValueError("is not the base64 form of a bcrypt hash") from error
    return Secret(Kind.BCRYPT, value)


def of_fixed(users: FixedUsers) -> dict[str, Secret]:
    """Username -> password of the configuration. Raises ValueError for what is no hash where hashes stand."""
    secrets = {}
    for user in users.everyone():
        is_hashed = users.pass_hashed and user.role is not Role.GUEST
        try:
            secrets[user.username] = from_base64(user.password) if is_hashed else Secret(Kind.PLAIN, user.password)
        except ValueError as error:
            raise ValueError(f"auth.fixed_users: the password of {user.username!r} {error}") from error
    return secrets


class Checker:
    """Makes and checks hashes, a few at a time.

    rounds: of new hashes. others: hashes that were made elsewhere. A check takes as long as that of the dearest of all.
    """

    def __init__(self, rounds: int, others: Collection[Secret] = ()) -> None:
        self._rounds = rounds
        self._time = max([rounds, *map(cost, others)])
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def hashed(self, password: str) -> str:
        """What is stored of a new password. Raises TOO_MANY_LOGINS when the server is too busy with others."""
        with self._turn():
            return bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._rounds)).decode()

    def matches(self, password: str, secret: Secret) -> bool:
        """Whether it is the one. Raises TOO_MANY_LOGINS when the server is too busy with others."""
        with self._turn():
            if secret.kind in (Kind.NONE, Kind.PLAIN):  # as long as for a hash, or time would tell who has an account
                bcrypt.checkpw(_digest(password), _dummy(self._time))
                same = hmac.compare_digest(_digest(password), _digest(secret.value))
                return same and secret.kind is Kind.PLAIN
            given = _digest(password) if secret.kind is Kind.OURS else _raw(password)
            good = bcrypt.checkpw(given, secret.value.encode())
            # A cheaper hash: 2^n + 2^n + 2^(n+1) + ... + 2^(time-1) = 2^time.
            for rounds in range(cost(secret), self._time):
                bcrypt.checkpw(given, _dummy(rounds))
            return good

    def _turn(self) -> "_Turn":
        return _Turn(self._turns)


class _Turn:
    def __init__(self, turns: threading.BoundedSemaphore) -> None:
        self._turns = turns

    def __enter__(self) -> None:
        if not self._turns.acquire(timeout=_PATIENCE):
            raise ApiError(Fault.TOO_MANY_LOGINS, "the server is busy with other logins", retry_after=_PATIENCE)

    def __exit__(self, *_: object) -> None:
        self._turns.release()


def cost(secret: Secret) -> int:
    """The rounds of a hash, as a power of two."""
    return int(secret.value.split("$")[2]) if secret.kind in (Kind.OURS, Kind.BCRYPT) else _LEAST


def _digest(password: str) -> bytes:
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


def _raw(password: str) -> bytes:
    """What bcrypt made the configuration's hash of: it has always read so many bytes."""
    return password.encode()[:_BCRYPT_READS]


def _dummy(rounds: int) -> bytes:
    """A hash that no password is known to match."""
    return b"$2b$%02d$NobodyAtTrainshed.....uPaWD0Dq3RrZ1Z2mEfmLCZPZQ1cNG9O" % rounds
