"""Requests of the auth service."""

from typing import Literal

from msgspec import UNSET

from trainshed.transport.wire.common import Maybe, Request

# What a user can be made through the API; the roles above are the server's own.
UserRole = Literal["admin", "superuser", "user", "annotator"]


class Login(Request, kw_only=True):
    expiration_sec: int | None = None


class CreateCredentials(Request, kw_only=True):
    label: str | None = None


class RevokeCredentials(Request, kw_only=True):
    access_key: str | None = None


class EditCredentials(Request, kw_only=True):
    access_key: str
    label: str | None = None


class CreateUser(Request, kw_only=True):
    name: str
    company: str
    email: str
    role: UserRole | None = None
    given_name: Maybe[str] = UNSET
    family_name: Maybe[str] = UNSET
    avatar: Maybe[str] = UNSET


class EditUser(Request, kw_only=True):
    user: str | None = None
    role: UserRole | None = None


class GetTokenForUser(Request, kw_only=True):
    user: str
    company: str | None = None
    expiration_sec: int | None = None


class ValidateToken(Request, kw_only=True):
    token: str
