"""The log: where it goes, in which form, and that no line of it can be forged by what a caller sends."""

import json
import logging
import re
import sys
import time
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

from trainshed.domain.trace import current

FORMS = ("text", "json")
LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")
ACCESS = "trainshed.access"

# What ends a line somewhere, moves the cursor of a terminal, or turns the direction of what is shown after it.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MOST = 10_000  # characters of a message


@dataclass(frozen=True, kw_only=True)
class Logs:
    """file: where lines go, else to standard error. max_bytes: of the file before it becomes file.1; backups: how many such
    there are. form: one of FORMS. level: the least that is said. access: a line for every request.
    """

    file: Path | None = None
    max_bytes: int = 10_240_000
    backups: int = 3
    form: str = "text"
    level: str = "INFO"
    access: bool = False


def install(logs: Logs) -> None:
    """Have everything that is said from now on go there. Raises OSError."""
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
        former.close()
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if logs.file:
        logs.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = PrivateFile(logs.file, maxBytes=logs.max_bytes, backupCount=logs.backups, encoding="utf-8")
    handler.setFormatter(JsonLines() if logs.form == "json" else TextLines())
    root.addHandler(handler)
    root.setLevel(logs.level)


class PrivateFile(RotatingFileHandler):
    """A file that only its owner and group can read."""

    def _open(self):  # type: ignore[no-untyped-def]  # its type is private to the library
        opened = super()._open()
        Path(self.baseFilename).chmod(0o640)
        return opened


class TextLines(logging.Formatter):
    """`2026-11-21T15:20:35.123Z ERROR trainshed.transport.api [request] message`; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{_moment(record)} {record.levelname} {record.name} [{current.get() or '-'}]"
        line = f"{head} {harmless(record.getMessage())}"
        for text in _details(record):
            line += "".join(f"\n    {harmless(part)}" for part in text.splitlines())
        return line


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, request, message, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "request": current.get() or None,
            "message": harmless(record.getMessage()),
        }
        if details := list(_details(record)):
            line["exception"] = "\n".join(details)
        return json.dumps(line)  # ASCII, so whatever is in it is escaped


def harmless(text: str) -> str:
    r"""The text in one line: control characters as \n, \x1b, \u2028."""
    cut = text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text)} characters)"
    return _CONTROL.sub(_escaped, cut)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "surrogatepass").decode()


def _moment(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


def _details(record: logging.LogRecord) -> list[str]:
    found = []
    if record.exc_info:
        found.append(logging.Formatter().formatException(record.exc_info))
    if record.stack_info:
        found.append(record.stack_info)
    return found
