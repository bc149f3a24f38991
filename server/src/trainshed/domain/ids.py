"""Ids look like 32 hex characters: the agent takes anything else for a name to look up."""

import uuid


def new_id() -> str:
    """A random id."""
    return uuid.uuid4().hex
