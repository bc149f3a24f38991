"""Who calls."""

from dataclasses import dataclass
from enum import StrEnum

# The one company of a server of one's own. Clients show it nowhere, yet every document carries it.
DEFAULT_COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"
# The users that a server makes for itself: of two first starts at once only one can.
FIRST_ADMIN = "5f0c2d7e9b1a4c3f8e6d0a7b4c9e2f13"
ROOT = "a2e84b6c1d3f4957b0c8e5d7f19a6b30"


class Role(StrEnum):
    """Roles of the contract, and viewer, which is ours; the most powerful first."""

    SYSTEM = "system"
    ROOT = "root"
    ADMIN = "admin"
    SUPERUSER = "superuser"
    USER = "user"
    ANNOTATOR = "annotator"
    VIEWER = "viewer"
    GUEST = "guest"

    @property
    def only_reads(self) -> bool:
        """Whether it changes nothing but its own account."""
        return self in (Role.VIEWER, Role.GUEST)

    def outranks(self, other: "Role") -> bool:
        """Whether this role is the more powerful one."""
        order = list(Role)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An authenticated caller."""

    user: str
    company: str = DEFAULT_COMPANY
    role: Role = Role.USER
    name: str = ""
