"""debug.*, server.*, users.*: what the server says of itself and of the caller."""

from typing import Any

from trainshed.transport import version
from trainshed.transport.call import Call
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


def get_current_user(call: Call, request: Empty) -> dict[str, Any]:
    """The caller."""
    user = call.services.accounts.user(call.identity.user)
    shown = ("id", "name", "given_name", "family_name", "role", "created")
    described = {name: user[name] for name in shown if name in user}
    return {"user": {**described, "company": {"id": user["company"], "name": ""}}}
