"""Requests of the files service, which is ours: the contract has no links to files."""

from typing import Annotated, Literal

from msgspec import Meta

from trainshed.services.file_links import LONGEST
from trainshed.transport.wire.common import Request


class GetLinks(Request, kw_only=True):
    files: Annotated[list[str], Meta(max_length=10_000)]
    method: Literal["GET", "PUT", "DELETE"] = "GET"
    seconds: Annotated[int, Meta(ge=1, le=LONGEST)] = 3600
