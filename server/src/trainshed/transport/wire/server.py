"""Requests of the server service."""

from trainshed.transport.wire.common import Int64, Request


class Config(Request, kw_only=True):
    path: str | None = None


class GetStats(Request, kw_only=True):
    interval: Int64 | None = None


class ReportStatsOption(Request, kw_only=True):
    enabled: bool | None = None
