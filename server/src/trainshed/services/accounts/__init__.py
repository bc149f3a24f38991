"""Accounts: who there is, how they prove it, and what stands for the proof afterwards. The model is in docs/security.md."""

from trainshed.services.accounts.accounts import Accounts, Announcement, KeyPair
from trainshed.services.accounts.logins import Logins
from trainshed.services.accounts.people import Claim, People, Person
from trainshed.services.accounts.policy import DEFAULT_LIFETIME, MAX_LIFETIME, OUT_OF_THE_BOX, Policy
from trainshed.services.accounts.sso import SingleSignOn

__all__ = [
    "DEFAULT_LIFETIME",
    "MAX_LIFETIME",
    "OUT_OF_THE_BOX",
    "Accounts",
    "Announcement",
    "Claim",
    "KeyPair",
    "Logins",
    "People",
    "Person",
    "Policy",
    "SingleSignOn",
]
