"""Requests of the pipelines service."""

from trainshed.transport.wire.common import ManyIds, Request


class Argument(Request, kw_only=True):
    name: str
    value: str | None = None


class StartPipeline(Request, kw_only=True):
    task: str
    queue: str | None = None
    args: list[Argument] | None = None
    verify_watched_queue: bool | None = None


class DeleteRuns(Request, kw_only=True):
    ids: ManyIds
    project: str
