"""What can go wrong for a user of `shed`, each kind with its own exit code.

An error is one line that names the thing and one hint that says what to do next. Everything else that is raised is a bug
and leaves by way of the crash log (see cli.main).
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes by kind, printed by `shed --help`."""

    OK = 0
    CRASH = 1  # a bug: a log is written
    USAGE = 2  # unknown command, option or value
    MISSING = 3  # a program, right or file that is needed is not there
    NOT_FOUND = 4  # no such image, machine or disk
    CORRUPT = 5  # something is there and is not what it should be
    CONFLICT = 6  # a port, name or disk is taken by something that is not ours
    NO_SPACE = 7  # a disk is full, or would be
    FAILED = 8  # an external program failed
    UNHEALTHY = 9  # it runs, and it does not pass its checks
    REFUSED = 10  # not signed by whom we trust, expired, or revoked
    INTERRUPTED = 130


class ShedError(Exception):
    """An expected failure.

    message: what is wrong, one line, names the file, port or host.
    hint: what to do next, one line.
    code: the kind.
    """

    def __init__(self, message: str, *, hint: str = "", code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
