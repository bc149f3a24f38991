"""The status of a task and which changes of it are allowed."""

from enum import StrEnum


class Status(StrEnum):
    """The states of the contract."""

    CREATED = "created"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    STOPPED = "stopped"
    PUBLISHED = "published"
    PUBLISHING = "publishing"
    CLOSED = "closed"
    FAILED = "failed"
    COMPLETED = "completed"
    UNKNOWN = "unknown"


_S = Status

# new status -> the statuses it may follow without force. Repeating the present status is always allowed.
_MAY_FOLLOW: dict[Status, frozenset[Status]] = {
    _S.CREATED: frozenset(_S) - {_S.PUBLISHED, _S.PUBLISHING},
    _S.QUEUED: frozenset({_S.CREATED, _S.STOPPED}),
    _S.IN_PROGRESS: frozenset({_S.CREATED, _S.QUEUED, _S.STOPPED, _S.COMPLETED, _S.FAILED, _S.CLOSED, _S.UNKNOWN}),
    _S.STOPPED: frozenset({_S.IN_PROGRESS, _S.QUEUED, _S.COMPLETED, _S.FAILED, _S.UNKNOWN}),
    _S.COMPLETED: frozenset({_S.IN_PROGRESS, _S.STOPPED, _S.QUEUED, _S.UNKNOWN}),
    _S.CLOSED: frozenset({_S.IN_PROGRESS, _S.STOPPED, _S.COMPLETED, _S.UNKNOWN}),
    _S.FAILED: frozenset({_S.CREATED, _S.QUEUED, _S.IN_PROGRESS, _S.STOPPED, _S.COMPLETED, _S.CLOSED, _S.UNKNOWN}),
    _S.PUBLISHED: frozenset({_S.STOPPED, _S.COMPLETED, _S.CLOSED, _S.FAILED, _S.PUBLISHING}),
}

# A task in one of these is over: it has an end.
FINISHED = frozenset({_S.STOPPED, _S.COMPLETED, _S.CLOSED, _S.FAILED, _S.PUBLISHED})


def may_change(old: Status, new: Status) -> bool:
    """Whether the change needs no force."""
    return old is new or old in _MAY_FOLLOW.get(new, frozenset())
