"""The log: its forms, its file, and that nothing a caller sends makes a line of its own."""

import io
import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.domain.trace import current
from trainshed.services import logs
from trainshed.services.logs import JsonLines, Logs, TextLines, harmless

HOSTILE = "a\nERROR forged\r\n\x1b[2J\x00\x7f\x85\u2028\u202eevil\ud800 ok é 漢"


@pytest.fixture(autouse=True)
def former_handlers() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    former = current.set("")
    yield
    current.reset(former)
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def said(form: logging.Formatter, message: str, *, failing: bool = False) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(form)
    log = logging.Logger("trainshed.tests")
    log.addHandler(handler)
    try:
        if failing:
            raise ValueError(message)
        log.warning("it said %s", message)
    except ValueError:
        log.exception("it failed: %s", message)
    return out.getvalue()


def test_a_line_of_text() -> None:
    current.set("the-request")
    line = said(TextLines(), "nothing")
    moment, rest = line.split(" ", 1)
    assert rest == "WARNING trainshed.tests [the-request] it said nothing\n"
    assert moment.endswith("Z")
    assert len(moment) == len("2026-11-21T15:20:35.123Z")
    current.set("")
    assert " [-] " in said(TextLines(), "nothing")


def test_an_object_a_line() -> None:
    current.set("")
    line = json.loads(said(JsonLines(), HOSTILE, failing=True))
    assert (line["level"], line["logger"], line["request"]) == ("ERROR", "trainshed.tests", None)
    assert line["message"] == f"it failed: {harmless(HOSTILE)}"
    assert line["exception"].startswith("Traceback")


@pytest.mark.parametrize("failing", [False, True])
def test_nobody_forges_a_line(failing: bool) -> None:
    text = said(TextLines(), HOSTILE, failing=failing)
    first, *others = text.rstrip("\n").split("\n")
    assert all(line.startswith("    ") for line in others)
    assert first.endswith(r"a\nERROR forged\r\n\x1b[2J\x00\x7f\x85\u2028\u202eevil\ud800 ok é 漢")
    assert not set(text) & set("\r\x1b\x00\x7f\x85\u2028\u202e\ud800")
    assert said(JsonLines(), HOSTILE, failing=failing).count("\n") == 1


def test_a_long_message_is_cut() -> None:
    assert harmless("x" * 20_000) == "x" * 10_000 + "... (20000 characters)"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_file_is_private_and_begun_anew(tmp_path: Path, form: str) -> None:
    file = tmp_path / "logs" / "server.log"
    logs.install(Logs(file=file, max_bytes=2000, backups=2, form=form, level="WARNING"))
    for number in range(100):
        logging.getLogger("trainshed.tests").warning("line %d", number)
        logging.getLogger("trainshed.tests").info("not said")
    assert {path.name for path in file.parent.iterdir()} == {"server.log", "server.log.1", "server.log.2"}
    for path in file.parent.iterdir():
        assert path.stat().st_size <= 2000
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert "not said" not in path.read_text()
    assert "line 99" in file.read_text()


def test_installed_again_it_goes_to_one_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.install(Logs(file=tmp_path / "log"))
    logs.install(Logs())
    logging.getLogger("trainshed.tests").info("here")
    assert capsys.readouterr().err.count("here") == 1
    assert (tmp_path / "log").read_text() == ""
