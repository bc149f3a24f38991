"""storage.*"""

from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.fields import sent
from trainshed.transport.wire import storage as wire
from trainshed.transport.wire.common import Empty


def get_settings(call: Call, request: Empty) -> dict[str, Any]:
    return call.services.storage.settings(call.identity)


def set_settings(call: Call, request: wire.SetSettings) -> dict[str, Any]:
    call.services.storage.set(call.identity, sent(request))
    return {"updated": 1}


def reset_settings(call: Call, request: wire.ResetSettings) -> dict[str, Any]:
    call.services.storage.reset(call.identity, list(request.keys or []))
    return {"updated": 1}
