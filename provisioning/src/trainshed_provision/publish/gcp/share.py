"""Who may launch an image: members of the role compute.imageUser in the image's own policy."""

import re
from collections.abc import Iterable

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, Client, Json, Refused

ROLE = "roles/compute.imageUser"
EVERYBODY = (
    "allAuthenticatedUsers"  # everybody with a Google account: what Marketplace asks for; allUsers Google refuses here
)
MEMBER = re.compile(r"allAuthenticatedUsers|(user|group|serviceAccount):[^@\s:]+@[^@\s]+|domain:[^@\s]+")
TRIES = 5  # of a change that somebody else's came in between
CHANGED_MEANWHILE = (409, 412)


def check(member: str) -> str:
    """The member as it is; USAGE unless it is one."""
    if not MEMBER.fullmatch(member):
        raise ShedError(
            f"'{member}' is nobody an image can be shared with",
            hint=f"user:NAME@HOST, group:..., serviceAccount:..., domain:NAME or {EVERYBODY}",
            code=Exit.USAGE,
        )
    return member


def members(client: Client, image: str) -> frozenset[str]:
    """Those who may launch it besides the project's own."""
    return _members(_read(client, image))


def change(client: Client, image: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Let some in and others out. What others changed meanwhile stays: the etag makes us read it again."""
    for _ in range(TRIES):
        policy = _read(client, image)
        new = changed(policy, add=frozenset(add), remove=frozenset(remove))
        if new == policy:
            return
        try:
            client.call("POST", client.images(f"/{image}/setIamPolicy"), body={"policy": new})
        except Refused as refused:
            if refused.status not in CHANGED_MEANWHILE:
                raise
            continue
        return
    raise ShedError(f"others keep changing who may use '{image}'", hint=AGAIN, code=Exit.CONFLICT)


def changed(policy: Json, *, add: frozenset[str], remove: frozenset[str]) -> Json:
    """The policy with our role's members changed; every other binding, and those with a condition, as they are."""
    wanted = sorted((_members(policy) | add) - remove)
    others = [binding for binding in policy.get("bindings", []) if not _is_ours(binding)]
    bindings = [*others, {"role": ROLE, "members": wanted}] if wanted else others
    return policy if _members(policy) == set(wanted) else {**policy, "bindings": bindings}


def _read(client: Client, image: str) -> Json:
    return client.call("GET", client.images(f"/{image}/getIamPolicy"), query={"optionsRequestedPolicyVersion": "3"})


def _members(policy: Json) -> frozenset[str]:
    return frozenset(m for binding in policy.get("bindings", []) if _is_ours(binding) for m in binding["members"])


def _is_ours(binding: Json) -> bool:
    return bool(binding["role"] == ROLE and "condition" not in binding)
