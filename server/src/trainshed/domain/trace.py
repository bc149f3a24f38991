"""Which request is being answered: replies, errors and lines of the log name it by one id."""

from contextvars import ContextVar

from trainshed.domain.ids import new_id

# Set by the listener for the thread of the request; empty in threads that serve nobody.
current: ContextVar[str] = ContextVar("request", default="")


def request_id() -> str:
    """The id of the present request, or a new one."""
    return current.get() or new_id()
