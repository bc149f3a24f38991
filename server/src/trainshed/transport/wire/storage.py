"""Requests of the storage service."""

from typing import Literal

from msgspec import UNSET

from trainshed.transport.wire.common import Maybe, Request


class AwsBucket(Request, kw_only=True):
    bucket: Maybe[str] = UNSET
    subdir: Maybe[str] = UNSET
    host: Maybe[str] = UNSET
    key: Maybe[str] = UNSET
    secret: Maybe[str] = UNSET
    token: Maybe[str] = UNSET
    multipart: bool = True
    acl: Maybe[str] = UNSET
    secure: bool = True
    region: Maybe[str] = UNSET
    verify: bool = True
    use_credentials_chain: bool = False


class Aws(Request, kw_only=True):
    key: Maybe[str] = UNSET
    secret: Maybe[str] = UNSET
    region: Maybe[str] = UNSET
    token: Maybe[str] = UNSET
    use_credentials_chain: bool = False
    buckets: Maybe[list[AwsBucket]] = UNSET


class GoogleBucket(Request, kw_only=True):
    bucket: Maybe[str] = UNSET
    project: Maybe[str] = UNSET
    subdir: Maybe[str] = UNSET
    credentials_json: Maybe[str] = UNSET


class Google(Request, kw_only=True):
    project: Maybe[str] = UNSET
    credentials_json: Maybe[str] = UNSET
    buckets: Maybe[list[GoogleBucket]] = UNSET


class AzureContainer(Request, kw_only=True):
    account_name: Maybe[str] = UNSET
    account_key: Maybe[str] = UNSET
    container_name: Maybe[str] = UNSET


class Azure(Request, kw_only=True):
    containers: Maybe[list[AzureContainer]] = UNSET


class SetSettings(Request, kw_only=True):
    aws: Maybe[Aws] = UNSET
    google: Maybe[Google] = UNSET
    azure: Maybe[Azure] = UNSET


class ResetSettings(Request, kw_only=True):
    keys: list[Literal["azure", "aws", "google"]] | None = None
