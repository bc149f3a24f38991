"""`trainshed config`: what it prints and its exit codes."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from trainshed import cli

PORT = "apiserver.listen.port"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLEARML_CONFIG_DIR", str(tmp_path))
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert cli.main(["config", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_what_is_in_force_and_where_it_comes_from(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "apiserver.conf").write_text("listen.port: 9000")
    shown = printed(capsys, "show", "--origin")
    assert shown[PORT] == {"value": 9000, "origin": str(folder / "apiserver.conf")}
    assert shown["apiserver.listen.ip"] == {"value": "127.0.0.1", "origin": "default"}
    assert printed(capsys, "show")[PORT] == 9000
    assert cli.main(["config", "show", "--origin"]) == 0
    assert f"{PORT} = 9000  # {folder / 'apiserver.conf'}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "level", "code", "strict"),
    [
        ("", None, 0, 0),
        ("mongo.strict: true", "note", 0, 0),
        ("lisen.port: 1", "warning", 0, 2),
        ("listen: 1", "error", 2, 2),
    ],
    ids=["fine", "note", "warning", "error"],
)
def test_the_exit_code_says_how_bad_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, level: str | None, code: int, strict: int
) -> None:
    (folder / "apiserver.conf").write_text(text)
    found = printed(capsys, "check", code=code)
    assert [finding["level"] for finding in found] == ([level] if level else [])
    assert printed(capsys, "check", "--strict", code=strict) == found
    cli.main(["config", "check"])
    assert capsys.readouterr().out.startswith(level or "nothing is wrong")


HASH = "JDJiJDEyJDk3OHBFcHFlNEsxTkFoZDlPcGZsbC5sU1pmM3huZ1RpeHc0ay5WUjlzTzN5WE1WRXJrUmhp"


@pytest.mark.parametrize(
    ("users", "said"),
    [
        ([("jane", HASH)], None),
        ([("jane", HASH), ("Jane", HASH)], "'jane' twice"),
        ([("jane", "12345678")], "'jane' is not the base64 form of a bcrypt hash"),
        ([("jane", HASH[:-8])], "is not the base64 form"),
        ([("jane", base64.b64encode(b"$2b$99$" + base64.b64decode(HASH)[7:]).decode())], "is not the base64 form"),
        ([("jane", base64.b64encode(b"$2b$xx$" + base64.b64decode(HASH)[7:]).decode())], "is not the base64 form"),
    ],
)
def test_users_who_cannot_be_meant(
    folder: Path, capsys: pytest.CaptureFixture[str], users: list[tuple[str, str]], said: str | None
) -> None:
    shown = [{"username": name, "password": password} for name, password in users]
    fixed = {"enabled": True, "pass_hashed": True, "users": shown}
    (folder / "apiserver.conf").write_text(json.dumps({"auth": {"fixed_users": fixed}}))
    found = printed(capsys, "check", code=2 if said else 0)
    assert [finding["level"] for finding in found] == (["error"] if said else [])
    assert (said or "") in json.dumps(found)


def test_a_mistake_is_said_beside_what_is_in_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "apiserver.conf").write_text("listen.port: 70000")
    assert cli.main(["config", "show"]) == cli.Exit.USAGE
    said = capsys.readouterr()
    assert f"{PORT} = 8008\n" in said.out
    assert "70000" in said.err


def test_a_folder_of_data_that_only_the_configuration_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "trainshed.conf").write_text(f"data_dir: {folder / 'elsewhere'}")
    assert cli.main(["files", "pending"]) == cli.Exit.MISSING
    assert str(folder / "elsewhere") in capsys.readouterr().err


def test_a_profile_that_this_release_has_not_is_refused_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server keeps things in a folder whose owner meant a cluster."""
    monkeypatch.setenv("CLEARML__TRAINSHED__PROFILE", "scale-out")
    (finding,) = printed(capsys, "check", code=2)
    assert (finding["path"], finding["level"]) == ("trainshed.profile", "error")
    assert "scale-out" in finding["text"]
    assert cli.main(["serve", "--data-dir", str(folder / "data")]) == cli.Exit.USAGE
    assert "trainshed.profile: must be embedded" in capsys.readouterr().err
    assert not (folder / "data").exists()
    monkeypatch.setenv("CLEARML__TRAINSHED__PROFILE", "Embedded")
    assert printed(capsys, "show")["trainshed.profile"] == "embedded"
