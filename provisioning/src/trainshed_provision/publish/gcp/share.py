"""Who may launch an image: members of the role compute.imageUser in the image's own policy."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, Client, Refused

if TYPE_CHECKING:
    from google.cloud.compute_v1 import Binding, Policy

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
        there = _members(policy)
        wanted = sorted((there | frozenset(add)) - frozenset(remove))
        if there == set(wanted):
            return
        # Every other binding, and one of the role with a condition, stays as it is.
        others = [binding for binding in policy.bindings if not _is_ours(binding)]
        ours: list[Any] = [{"role": ROLE, "members": wanted}] if wanted else []
        policy.bindings = [*others, *ours]
        body = {"resource": image, "global_set_policy_request_resource": {"policy": policy}}
        try:
            client.call(client.images.set_iam_policy, **body)
        except Refused as refused:
            if refused.status not in CHANGED_MEANWHILE:
                raise
            continue
        return
    raise ShedError(f"others keep changing who may use '{image}'", hint=AGAIN, code=Exit.CONFLICT)


def _read(client: Client, image: str) -> "Policy":
    policy: Policy = client.call(client.images.get_iam_policy, resource=image, options_requested_policy_version=3)
    return policy


def _members(policy: "Policy") -> frozenset[str]:
    return frozenset(member for binding in policy.bindings if _is_ours(binding) for member in binding.members)


def _is_ours(binding: "Binding") -> bool:
    return bool(binding.role == ROLE and "condition" not in binding)
