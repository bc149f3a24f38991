"""Secrets: they come from files too, and stand in nothing that is shown, logged or refused."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from trainshed import cli
from trainshed.settings import Settings
from trainshed.settings.forms import MASK
from trainshed.settings.keys import SECRETS
from trainshed.settings.loading import Level, Loaded, load

TOKEN = "secure.auth.token_secret"
VARIABLE = "CLEARML__SECURE__AUTH__TOKEN_SECRET"
SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"
ANOTHER = "correct-horse-battery-staple-correct"


def loaded(tmp_path: Path, text: str = "", **variables: str) -> Loaded:
    (tmp_path / "secure.conf").write_text(text)
    return load({"CLEARML_CONFIG_DIR": str(tmp_path), **variables})


def settings(tmp_path: Path, text: str = "", **variables: str) -> Settings:
    found = loaded(tmp_path, text, **variables)
    assert found.settings is not None, found.findings
    return found.settings


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A file with a secret, as people make it: with a line break at its end."""
    path = tmp_path / "kept"
    path.write_text(f"{SECRET}\n")
    return path


def test_a_secret_in_a_file_of_its_own(tmp_path: Path, kept: Path) -> None:
    assert settings(tmp_path, f'auth.token_secret.file: "{kept}"').token_secret == SECRET
    assert settings(tmp_path, **{f"{VARIABLE}__FILE": str(kept)}).token_secret == SECRET
    assert (
        settings(tmp_path, CREDENTIALS_DIRECTORY=str(kept.parent), **{f"{VARIABLE}__FILE": kept.name}).token_secret
        == SECRET
    )


def test_the_stronger_source_wins_whichever_form_it_has(tmp_path: Path, kept: Path) -> None:
    named = f'auth.token_secret.file: "{kept}"'
    assert settings(tmp_path, named, **{VARIABLE: ANOTHER}).token_secret == ANOTHER
    found = loaded(tmp_path, f'auth.token_secret: "{ANOTHER}"', **{f"{VARIABLE}__FILE": str(kept)})
    assert found.settings is not None
    assert found.settings.token_secret == SECRET
    assert found.shown[TOKEN].origin == f"${VARIABLE}__FILE"
    assert settings(tmp_path, 'auth.token_secret.file: "/not/there"', **{VARIABLE: ANOTHER}).token_secret == ANOTHER


@pytest.mark.parametrize(
    ("name", "said"),
    [("/not/there", "cannot be read"), ("a/relative/one", "absolute"), ("", "must be"), ("/dev/zero", "too large")],
)
def test_a_file_that_is_no_secret(tmp_path: Path, name: str, said: str) -> None:
    (finding,) = loaded(tmp_path, f'auth.token_secret.file: "{name}"').findings
    assert finding.level is Level.ERROR
    assert said in finding.text


@pytest.mark.parametrize(
    "text",
    [
        f'auth.token_secret: "{SECRET}"',
        f'auth.tokn_secret: "{SECRET}"',
        f'auth.token_secret: ["{SECRET}"]',
        f'auth.token_secret {{ "{SECRET}": 1 }}',
        f'auth {{ token_secret: "{SECRET}"\n }} }} {SECRET}',
        f'auth.token_secret: "{SECRET}" {{',
        f"auth.token_secret: {SECRET} ${{NOT_THERE}}",
        f'redis.apiserver.password: "{SECRET}"',
        f'auth: "{SECRET}"',
        f'include "more.inc", auth.token_secret: "{SECRET}"',
    ],
)
def test_a_secret_stands_in_nothing_that_is_said(
    tmp_path: Path,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "more.inc").write_text(f'auth.token_secret: "{SECRET}", auth.secret: "{SECRET}"')
    found = loaded(tmp_path, text)
    assert SECRET not in repr(found)
    monkeypatch.setenv("CLEARML_CONFIG_DIR", str(tmp_path))
    with caplog.at_level(logging.DEBUG):
        for command in (["config", "check"], ["config", "show", "--origin"], ["files", "pending"]):
            cli.main(command)
    printed = capsys.readouterr()
    assert printed.out + printed.err
    assert SECRET not in printed.out + printed.err + caplog.text


def test_what_signs_cannot_be_guessed(tmp_path: Path) -> None:
    (finding,) = loaded(tmp_path, 'auth.token_secret: "short"').findings
    assert finding.text == 'must be a text of 32 characters or more, in quotes: "..."'


@pytest.mark.parametrize(
    ("users", "said"),
    [
        (f'[{{ username: jane, password: "{SECRET}" }}]', None),
        (f'{{ username: jane, password: "{SECRET}" }}', "must be a list of objects"),
        (f'"{SECRET}"', "must be a list of objects"),
        (f'[{{ username: jane, password: ["{SECRET}"] }}]', "[0].password must be a text"),
        (f'[{{ username: jane, pasword: "{SECRET}" }}]', "[0] has no 'pasword'"),
        (f'[{{ username: jane, password: "{SECRET}" }}, {{ username: john }}]', "[1] needs password"),
        ("[{ username: jane, password: 12345678 }]", "[0].password must be a text, in quotes"),
    ],
)
def test_passwords_of_users_are_secrets_too(tmp_path: Path, users: str, said: str | None) -> None:
    (tmp_path / "apiserver.conf").write_text(f"auth.fixed_users.users: {users}")
    found = loaded(tmp_path)
    assert SECRET not in repr(found)
    assert [finding.level for finding in found.findings] == ([Level.ERROR] if said else [])
    assert (said or "") in "".join(finding.text for finding in found.findings)


def test_every_secret_is_masked(tmp_path: Path) -> None:
    for path in SECRETS:
        found = load({"CLEARML_CONFIG_DIR": ""}, {path: ("a test", SECRET)})
        assert found.shown[path].value == MASK
        assert SECRET not in repr(found), path


def test_no_secret_is_a_flag() -> None:
    parser: Any = cli._parser()
    flags = json.dumps([vars(action) for action in _actions(parser)], default=str)
    assert not [path for path in SECRETS if path in flags]


def _actions(parser: Any) -> list[Any]:
    found = []
    for action in parser._actions:
        found.append(action)
        if isinstance(action.choices, dict):
            for below in action.choices.values():
                found += _actions(below)
    return found
