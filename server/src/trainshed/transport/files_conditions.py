"""If-Match, If-None-Match and their likes: requests that are for the file as somebody knows it."""

from flask import Request

from trainshed.domain.errors import ApiError, Fault
from trainshed.ports.blobs import BlobInfo


def check(request: Request, info: BlobInfo | None) -> None:
    """Raise PRECONDITION_FAILED when the file, or that there is none, is not what the request requires."""
    if request.if_match:
        met = info is not None and request.if_match.contains(info.etag)
    elif (since := request.if_unmodified_since) is not None:
        met = info is not None and info.modified.replace(microsecond=0) <= since
    else:
        met = True
    if request.method not in ("GET", "HEAD") and request.if_none_match:
        met = met and not (info is not None and request.if_none_match.contains_weak(info.etag))
    if not met:
        raise ApiError(Fault.PRECONDITION_FAILED)


def has_conditions(request: Request) -> bool:
    """Whether there is anything to check."""
    names = ("If-Match", "If-None-Match", "If-Unmodified-Since")
    return any(name in request.headers for name in names)


def is_known(request: Request, info: BlobInfo) -> bool:
    """Whether who asks has the file as it is."""
    if request.if_none_match:
        return request.if_none_match.contains_weak(info.etag)
    since = request.if_modified_since
    return since is not None and info.modified.replace(microsecond=0) <= since


def is_same(request: Request, info: BlobInfo) -> bool:
    """Whether If-Range, if there is one, means the file as it is now."""
    condition = request.if_range
    if condition.date is not None:
        return condition.date == info.modified.replace(microsecond=0)
    return condition.etag is None or condition.etag == info.etag
