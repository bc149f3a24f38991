"""organization.*"""

from typing import Any

from msgspec import to_builtins

from trainshed.transport.call import Call
from trainshed.transport.wire import organization as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


def get_tags(call: Call, request: wire.GetTags) -> Reply:
    """The tags of tasks and models."""
    return call.services.facets.tags(
        call.identity, ["tasks", "models"], where=to_builtins(request.filter), system=bool(request.include_system)
    )


def get_user_companies(call: Call, request: Empty) -> Reply:
    """The one company of this server."""
    owners = [{**owner, "avatar": None} for owner in call.services.accounts.owners(call.identity.company)]
    return {"companies": [{"id": call.identity.company, "name": "", "allocated": len(owners), "owners": owners}]}
