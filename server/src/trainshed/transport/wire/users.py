"""Requests of the users service."""

from msgspec import UNSET

from trainshed.transport.wire.common import ONE_OR_MANY, Count, FieldNames, FreeForm, ManyIds, Maybe, Number, Request


class GetAll(Request, kw_only=True):
    id: ONE_OR_MANY = None
    name: str | None = None
    only_fields: str | FieldNames | None = None
    order_by: str | FieldNames | None = None
    page: Number | None = None
    page_size: Count | None = None


class GetAllEx(GetAll, kw_only=True):
    active_in_projects: ManyIds | None = None


class GetById(Request, kw_only=True):
    user: str


class Create(Request, kw_only=True):
    id: str
    company: str
    name: str
    given_name: Maybe[str] = UNSET
    family_name: Maybe[str] = UNSET
    avatar: Maybe[str] = UNSET


class Update(Request, kw_only=True):
    user: str
    name: Maybe[str] = UNSET
    given_name: Maybe[str] = UNSET
    family_name: Maybe[str] = UNSET
    avatar: Maybe[str] = UNSET


class Delete(Request, kw_only=True):
    user: str


class SetPreferences(Request, kw_only=True):
    preferences: FreeForm
