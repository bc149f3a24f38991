"""auth.*: tokens and access keys."""

import re
from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Role
from trainshed.domain.ids import new_id
from trainshed.transport.call import Call
from trainshed.transport.fields import sent
from trainshed.transport.wire import auth as wire
from trainshed.transport.wire.common import Empty

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\Z")


def login(call: Call, request: wire.Login) -> dict[str, Any]:
    """A token for whoever proved who they are: by access key, by an older token, by username and password (Basic)."""
    proof = call.proof
    token = call.services.accounts.issue_token(
        proof.identity, by=proof.by, access_key=proof.access_key, lifetime=request.expiration_sec
    )
    if proof.password:
        call.session.offer(token)
    return {"token": token}


def logout(call: Call, request: Empty) -> dict[str, Any]:
    """End the token of this call, and the browser's session."""
    if call.login and call.login.token:
        call.services.accounts.revoke_token(call.login.token)
        call.session.end()
    return {}


def get_credentials(call: Call, request: Empty) -> dict[str, Any]:
    """The caller's access keys."""
    return {"credentials": access_keys(call, call.identity.user)}


def access_keys(call: Call, user: str) -> list[dict[str, Any]]:
    """The user's, as clients are shown them."""
    shown = ("label", "last_used", "last_used_from")
    return [
        {"access_key": key["id"], **{name: key[name] for name in shown if name in key}}
        for key in call.services.accounts.credentials(user)
    ]


def create_credentials(call: Call, request: wire.CreateCredentials) -> dict[str, Any]:
    """A new access key; the only time its secret is shown."""
    pair = call.services.accounts.create_credentials(call.identity.user, label=request.label or "")
    return {"credentials": {"access_key": pair.access_key, "secret_key": pair.secret_key, "label": pair.label}}


def edit_credentials(call: Call, request: wire.EditCredentials) -> dict[str, Any]:
    """Another label."""
    call.services.accounts.relabel_credentials(call.identity.user, request.access_key, request.label or "")
    return {"updated": 1}


def revoke_credentials(call: Call, request: wire.RevokeCredentials) -> dict[str, Any]:
    """End an access key and its tokens; without one there is nothing to end."""
    if request.access_key is None:
        return {"revoked": 0}
    call.services.accounts.revoke_credentials(call.identity.user, request.access_key)
    return {"revoked": 1}


def get_token_for_user(call: Call, request: wire.GetTokenForUser) -> dict[str, Any]:
    """A token for another user of the company."""
    accounts = call.services.accounts
    identity = accounts.act_as(call.identity, request.user, request.company)
    return {"token": accounts.issue_token(identity, lifetime=request.expiration_sec)}


def validate_token(call: Call, request: wire.ValidateToken) -> dict[str, Any]:
    """Whose token it is, when it is good."""
    try:
        identity, _ = call.services.accounts.by_token(request.token)
    except ApiError:
        return {"valid": False}
    return {"valid": True, "user": identity.user, "company": identity.company}


def create_user(call: Call, request: wire.CreateUser) -> dict[str, Any]:
    """A new user, who has no access key yet."""
    if not _EMAIL.match(request.email):
        raise ApiError(Fault.INVALID_EMAIL, request.email[:100])
    user = new_id()
    fields = sent(request, "company", "role")
    role = Role(request.role or Role.USER)
    call.services.users.create(call.identity, user, fields, company=request.company, role=role)
    return {"id": user}


def edit_user(call: Call, request: wire.EditUser) -> dict[str, Any]:
    """Another role; it holds from the next call of that user."""
    if request.role is None:
        return {"updated": 0, "fields": {}}
    fields = call.services.users.change_role(call.identity, request.user or call.identity.user, Role(request.role))
    return {"updated": 1, "fields": fields}


def fixed_users_mode(call: Call, request: Empty) -> dict[str, Any]:
    """Whether the users are those of the configuration."""
    return {"enabled": call.services.logins.only_fixed_users, "server_errors": {}}
