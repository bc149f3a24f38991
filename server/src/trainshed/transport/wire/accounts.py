"""Requests of the accounts service, which is ours: the contract has no user store."""

from typing import Annotated, Literal, TypedDict

from msgspec import Meta

from trainshed.transport.wire.common import Request

# What an administrator gives; the roles above are the server's own.
AccountRole = Literal["admin", "user", "viewer"]
# Longer ones are refused before anything is computed of them.
_Name = Annotated[str, Meta(max_length=1_000)]
_Secret = Annotated[str, Meta(max_length=10_000)]


class Login(Request, kw_only=True):
    username: _Name
    password: _Secret


class LoginByName(Request, kw_only=True):
    name: _Name


class Redeem(Request, kw_only=True):
    token: _Secret
    password: _Secret
    username: _Name = ""
    name: _Name = ""


class ChangePassword(Request, kw_only=True):
    password: _Secret
    new_password: _Secret


class Create(Request, kw_only=True):
    username: _Name
    password: _Secret
    name: _Name = ""
    role: AccountRole = "user"


class Invite(Request, kw_only=True):
    username: _Name
    name: _Name = ""
    role: AccountRole = "user"


class OfUser(Request, kw_only=True):
    user: _Name


class SetRole(OfUser, kw_only=True):
    role: AccountRole


class RevokeKey(OfUser, kw_only=True):
    access_key: _Name


class Account(TypedDict):
    """A user as an administrator sees them. source: what made the account; empty: an older release, or the API."""

    id: str
    username: str
    name: str
    role: str
    source: str
    disabled: bool
    has_password: bool
    created: str
    last_login: str


class Ticket(TypedDict):
    """A one-time token with which a person chooses a password; shown once."""

    user: str
    token: str
    expires: str


class Elsewhere(TypedDict):
    """A login elsewhere: what the button says, and where it leads."""

    label: str
    url: str
