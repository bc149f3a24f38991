"""users.*"""

from typing import Any

from trainshed.ports.documents import Document
from trainshed.transport.call import Call
from trainshed.transport.endpoints.listed import listed
from trainshed.transport.fields import listing, sent
from trainshed.transport.wire import users as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


def get_current_user(call: Call, request: Empty) -> Reply:
    """The caller."""
    user = call.services.users.get(call.identity, call.identity.user)
    described: Document = {name: value for name, value in user.items() if name != "email"}
    described["company"] = {"id": user["company"], "name": ""}
    described["preferences"] = call.services.users.preferences(call.identity)
    return {"user": described, "settings": {"max_download_items": str(call.services.limits.table_rows)}}


def get_all(call: Call, request: wire.GetAll) -> Reply:
    return listed("users", call.services.users.find(call.identity, listing(request, call.arguments)))


def get_by_id(call: Call, request: wire.GetById) -> Reply:
    return {"user": call.services.users.get(call.identity, request.user)}


def create(call: Call, request: wire.Create) -> Reply:
    fields = sent(request, "id", "company")
    call.services.users.create(call.identity, request.id, fields, company=request.company)
    return {}


def update(call: Call, request: wire.Update) -> Reply:
    fields = call.services.users.update(call.identity, request.user, sent(request, "user"))
    return {"updated": 1, "fields": fields}


def delete(call: Call, request: wire.Delete) -> Reply:
    call.services.users.delete(call.identity, request.user)
    return {}


def get_preferences(call: Call, request: Empty) -> Reply:
    return {"preferences": call.services.users.preferences(call.identity)}


def set_preferences(call: Call, request: wire.SetPreferences) -> Reply:
    call.services.users.set_preferences(call.identity, request.preferences)
    return {"updated": 1, "fields": {"preferences": request.preferences}}
