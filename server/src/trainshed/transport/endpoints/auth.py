"""auth.*: tokens and access keys."""

from typing import Any

from trainshed.transport.call import Call
from trainshed.transport.wire import auth as wire
from trainshed.transport.wire.common import Empty


def login(call: Call, request: wire.Login) -> dict[str, Any]:
    """A token for whoever proved who they are, by access key or by an older token."""
    accounts = call.services.accounts
    token = accounts.issue_token(call.identity, access_key=call.access_key, lifetime=request.expiration_sec)
    return {"token": token}


def logout(call: Call, request: Empty) -> dict[str, Any]:
    """End the token of this call."""
    if call.token:
        call.services.accounts.revoke_token(call.token)
    return {}


def get_credentials(call: Call, request: Empty) -> dict[str, Any]:
    """The caller's access keys."""
    shown = ("label", "last_used", "last_used_from")
    return {
        "credentials": [
            {"access_key": key["id"], **{name: key[name] for name in shown if name in key}}
            for key in call.services.accounts.credentials(call.identity.user)
        ]
    }


def create_credentials(call: Call, request: wire.CreateCredentials) -> dict[str, Any]:
    """A new access key; the only time its secret is shown."""
    pair = call.services.accounts.create_credentials(call.identity.user, label=request.label or "")
    return {"credentials": {"access_key": pair.access_key, "secret_key": pair.secret_key, "label": pair.label}}


def edit_credentials(call: Call, request: wire.EditCredentials) -> dict[str, Any]:
    """Another label."""
    call.services.accounts.relabel_credentials(call.identity.user, request.access_key, request.label or "")
    return {"updated": 1}


def revoke_credentials(call: Call, request: wire.RevokeCredentials) -> dict[str, Any]:
    """End an access key and its tokens."""
    call.services.accounts.revoke_credentials(call.identity.user, request.access_key)
    return {"revoked": 1}
