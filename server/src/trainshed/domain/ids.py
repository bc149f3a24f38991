"""Ids look like 32 hex characters: the agent takes anything else for a name to look up."""

import re
import uuid

ID = re.compile(r"[-a-f0-9]{30,}\Z")


def new_id() -> str:
    """A random id."""
    return uuid.uuid4().hex
