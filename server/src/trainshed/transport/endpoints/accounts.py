"""accounts.*: logging in with a password, and who has an account. Ours; what the contract has of it is auth.* and users.*."""

from dataclasses import asdict
from typing import Any

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity, Role
from trainshed.transport.call import Call
from trainshed.transport.endpoints.auth import access_keys
from trainshed.transport.wire import accounts as wire
from trainshed.transport.wire.common import Empty

Reply = dict[str, Any]


def get_modes(call: Call, request: Empty) -> Reply:
    """How people log in here, and whether this caller has."""
    logins, people = call.services.logins, call.services.people
    by_name = logins.name_is_enough
    return {
        "password": not by_name,
        "name": by_name,
        "unclaimed": not by_name and not people.has_passwords(),
        "elsewhere": list(logins.elsewhere),
        "authenticated": call.login is not None,
    }


def login(call: Call, request: wire.Login) -> Reply:
    """Log a browser in with a username and a password: the reply sets the session's cookie.

    Too many wrong ones are 429, with the seconds to wait for in Retry-After. A program uses an access key, or auth.login.
    """
    call.session.check()
    return _logged_in(call, call.services.logins.by_password(request.username, request.password, address=call.address))


def login_by_name(call: Call, request: wire.LoginByName) -> Reply:
    """Log a browser in with a name alone, on a server that only its own machine reaches and where nobody has a password."""
    if not call.session.is_local():
        raise ApiError(Fault.ROLE_NOT_ALLOWED, "a name alone is enough only on the server's own machine")
    return _logged_in(call, call.services.logins.by_name(request.name))


def redeem(call: Call, request: wire.Redeem) -> Reply:
    """Choose a password with a one-time token, of an invitation, a reset or the claim of a new server; and be logged in."""
    call.session.check()
    user = call.services.people.redeem(
        request.token, password=request.password, username=request.username, name=request.name
    )
    return _logged_in(call, call.services.accounts.identity(user))


def change_password(call: Call, request: wire.ChangePassword) -> Reply:
    """Change one's own password. Every session of the caller ends, and this browser gets a new one. Access keys stay."""
    services = call.services
    services.logins.prove_again(call.identity, request.password, address=call.address)
    services.people.change_password(call.identity, request.new_password)
    if not call.proof.access_key:
        call.session.offer(services.accounts.issue_token(call.identity))
    return {}


def get_all(call: Call, request: Empty) -> Reply:
    """All users, with what an administrator needs to know of their accounts."""
    return {"accounts": [asdict(person) for person in call.services.people.everybody(call.identity)]}


def create(call: Call, request: wire.Create) -> Reply:
    """Add a user with a password."""
    role = Role(request.role)
    user = call.services.people.create(
        call.identity, request.username, name=request.name, role=role, password=request.password
    )
    return {"id": user}


def invite(call: Call, request: wire.Invite) -> Reply:
    """Add a user who will choose the password: the one-time token is theirs alone."""
    role = Role(request.role)
    return asdict(call.services.people.invite(call.identity, request.username, name=request.name, role=role))


def reset_password(call: Call, request: wire.OfUser) -> Reply:
    """A one-time token with which the user chooses a new password; the old one is good until then."""
    return asdict(call.services.people.ticket(call.identity, request.user))


def set_role(call: Call, request: wire.SetRole) -> Reply:
    """Give somebody else another role; it holds from their next call on."""
    call.services.people.set_role(call.identity, request.user, Role(request.role))
    return {"updated": 1}


def disable(call: Call, request: wire.OfUser) -> Reply:
    """Let somebody no longer in. Their keys and all that is theirs stay."""
    call.services.people.disable(call.identity, request.user)
    return {"updated": 1}


def enable(call: Call, request: wire.OfUser) -> Reply:
    """Let somebody in again."""
    call.services.people.enable(call.identity, request.user)
    return {"updated": 1}


def delete(call: Call, request: wire.OfUser) -> Reply:
    """Remove an account and its access keys. Tasks and models stay."""
    call.services.people.delete(call.identity, request.user)
    return {"deleted": 1}


def get_credentials(call: Call, request: wire.OfUser) -> Reply:
    """Somebody's access keys, without their secrets."""
    user = call.services.people.person(call.identity, request.user).id
    return {"credentials": access_keys(call, user)}


def revoke_credentials(call: Call, request: wire.RevokeKey) -> Reply:
    """End somebody's access key and its tokens."""
    user = call.services.people.managed(call.identity, request.user)
    call.services.accounts.revoke_credentials(user, request.access_key)
    return {"revoked": 1}


def _logged_in(call: Call, identity: Identity) -> Reply:
    call.session.begin(call.services.accounts.issue_token(identity))
    return {"user": {"id": identity.user, "name": identity.name, "role": identity.role.value}}
