"""Who calls."""

from dataclasses import dataclass
from enum import StrEnum

# The one company of a server of one's own. Clients show it nowhere, yet every document carries it.
DEFAULT_COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"


class Role(StrEnum):
    """Roles of the contract, most powerful first."""

    SYSTEM = "system"
    ROOT = "root"
    ADMIN = "admin"
    SUPERUSER = "superuser"
    USER = "user"
    ANNOTATOR = "annotator"
    GUEST = "guest"

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
