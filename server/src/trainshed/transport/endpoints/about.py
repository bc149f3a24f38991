"""debug.*, login.*, server.*: what the server says of itself."""

from dataclasses import asdict
from typing import Any

from trainshed.domain import values
from trainshed.services import listing
from trainshed.transport import body, version
from trainshed.transport.call import Call
from trainshed.transport.wire import server as wire
from trainshed.transport.wire.common import Empty


def ping(call: Call, request: Empty) -> dict[str, Any]:
    """It answers."""
    return {"msg": "Trainshed"}


def info(call: Call, request: Empty) -> dict[str, Any]:
    """Versions."""
    return {
        "version": version.SERVER,
        "build": version.product(),
        "commit": "",
        "uid": "",
        "api_version": version.text(version.API),
    }


def supported_modes(call: Call, request: Empty) -> dict[str, Any]:
    """How people log in: with a password, or elsewhere. And whether this caller has done so."""
    guest = call.services.logins.guest
    return {
        "basic": {
            "enabled": not call.services.logins.name_is_enough,
            "guest": {"enabled": False} if guest is None else asdict(guest),
        },
        "sso": {},
        "sso_providers": [],
        "server_errors": {"missed_es_upgrade": False, "es_connection_error": False},
        "authenticated": call.login is not None,
    }


def config(call: Call, request: wire.Config) -> Any:
    """The limits in force; path: one of them."""
    limits = call.services.limits
    in_force = {
        "request": {"max_body_bytes": body.MAX_BODY, "max_depth": body.MAX_DEPTH},
        "listing": {"max_rows": limits.page_rows, "max_conditions": listing.MAX_CONDITIONS},
        "tasks": {"worker_timeout_sec": limits.task_worker},
    }
    path = request.path.split(".") if request.path else []
    return values.walk(in_force, tuple(path)) or {}


def get_stats(call: Call, request: wire.GetStats) -> dict[str, Any]:
    """How much there is; interval: how much was made in the last so many seconds."""
    return call.services.census.count(call.identity, within=request.interval)


def report_stats_option(call: Call, request: wire.ReportStatsOption) -> dict[str, Any]:
    """This server reports to nobody, whatever is asked for."""
    return {"supported": False, "enabled": False, "current_version": version.product()}
