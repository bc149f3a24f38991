"""Requests of the auth service."""

from trainshed.transport.wire.common import Request


class Login(Request, kw_only=True):
    expiration_sec: int | None = None


class CreateCredentials(Request, kw_only=True):
    label: str | None = None


class RevokeCredentials(Request, kw_only=True):
    access_key: str


class EditCredentials(Request, kw_only=True):
    access_key: str
    label: str | None = None
