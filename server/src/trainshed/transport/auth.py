"""Who calls: the Authorization header of a request, as an identity."""

import base64
import binascii
from dataclasses import dataclass, replace

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.services.accounts import Accounts


@dataclass(frozen=True, slots=True)
class Login:
    """An authenticated request: the caller, the token that proved it if one did, and the access key behind either."""

    identity: Identity
    token: str = ""
    access_key: str = ""


def authenticate(accounts: Accounts, header: str | None, *, address: str) -> Login:
    """Basic (access key and secret) or Bearer (token).

    Raises NO_CREDENTIALS, BAD_AUTH_TYPE, BAD_CREDENTIALS, and what Accounts raises for wrong ones: all are 401, so that the
    client logs in anew.
    """
    if not header:
        raise ApiError(Fault.NO_CREDENTIALS)
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        identity, key = accounts.by_token(value)
        return Login(identity, token=value, access_key=key)
    if scheme.lower() == "basic":
        access_key, secret_key = _basic(value)
        identity, key = accounts.by_credentials(access_key, secret_key, address=address)
        return Login(identity, access_key=key)
    raise ApiError(Fault.BAD_AUTH_TYPE)


def impersonate(accounts: Accounts, login: Login, user: str | None) -> Login:
    """The same login, acting as the user that the caller's header names, if it names one."""
    return replace(login, identity=accounts.impersonate(login.identity, user)) if user else login


def _basic(value: str) -> tuple[str, str]:
    try:
        access_key, separator, secret_key = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ApiError(Fault.BAD_CREDENTIALS) from error
    if not separator:
        raise ApiError(Fault.BAD_CREDENTIALS)
    return access_key, secret_key
