"""`trainshed user`, `trainshed claim` and keys of users: on the machine with the data, beside the server."""

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from trainshed import bootstrap, cli
from trainshed.cli.common import HOST
from trainshed.ports.query import EVERYTHING
from trainshed.services import Services
from trainshed.settings import Settings
from trainshed.testing.api import TOKEN_SECRET, sqlite_engines

PASSWORD = "correct horse"
DAY = 24 * 3600.0


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data of a server that has run."""
    monkeypatch.setenv("CLEARML_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "data"
    folder.mkdir()
    sqlite_engines(folder).close()
    return folder


def server(data: Path, **settings: Any) -> tuple[bootstrap.Engines, Services]:
    made = Settings(data_dir=data, durable=False, token_secret=TOKEN_SECRET.decode(), **settings)
    engines = bootstrap.open_engines(made)  # with the clock that the command goes by
    services = bootstrap.configured_services(made, engines)
    services.accounts.ensure_admin()
    bootstrap.prepare_accounts(made, services)
    return engines, services


class Command:
    """The command on one data folder."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._data = data
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, line: str, typed: str = "") -> tuple[int, str]:
        """Run it; its exit code and what it says."""
        self._monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = cli.main([*line.split(), f"--data-dir={self._data}"])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def json(self, line: str, typed: str = "") -> Any:
        """What it says, as data."""
        code, said = self(f"{line} --json", typed)
        assert code == 0, said
        return json.loads(said)


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(data, capsys, monkeypatch)


def test_the_life_of_a_user(run: Command, data: Path) -> None:
    user = run.json("user add jane --name Jane --role viewer --stdin", f"{PASSWORD}\n")["id"]
    ticket = run.json("user invite john")
    (jane, john) = run.json("user list")
    assert (jane["username"], jane["role"], jane["has_password"], jane["id"]) == ("jane", "viewer", True, user)
    assert (john["username"], john["role"], john["has_password"], john["id"]) == ("john", "user", False, ticket["user"])
    engines, services = server(data)
    assert services.logins.by_password("jane", PASSWORD, address="::1").user == user
    assert run.json("user role jane admin") == {"user": "jane"}
    assert services.people.person(HOST, "jane").role == "admin"
    assert run("user disable jane")[0] == 0
    assert [person["disabled"] for person in run.json("user list") if person["username"] == "jane"] == [True]
    assert run("user enable jane")[0] == 0
    assert "yes" in run("user list")[1]
    reset = run.json("user passwd jane --token")
    assert services.people.redeem(reset["token"], password="battery staple") == user
    assert run("user delete jane")[0] == 0
    assert [person["username"] for person in run.json("user list") if person["username"]] == ["john"]
    engines.close()


def test_what_is_refused_is_said(run: Command) -> None:
    run.json("user invite jane")
    for line, typed, said in (
        ("user invite jane", "", "taken"),
        ("user role nobody admin", "", "invalid user id"),
        ("user passwd jane --stdin", "short\n", "8 to 1024 characters"),
        ("user delete root", "", "invalid user id"),
    ):
        code, out = run(line, typed)
        assert (code, said in out) == (cli.Exit.USAGE, True), out


def test_no_password_is_an_argument(run: Command) -> None:
    with pytest.raises(SystemExit):
        run(f"user add jane --password {PASSWORD}")


def test_keys_of_a_user(run: Command, data: Path) -> None:
    run.json("user invite jane")
    key = run.json("credentials create --user jane --label laptop")
    (listed,) = run.json("credentials list --user jane")
    assert (listed["access_key"], listed["label"], listed["last_used"]) == (key["access_key"], "laptop", "")
    assert key["secret_key"] not in run("credentials list --user jane")[1]
    assert run(f"credentials revoke {key['access_key']}")[0] == cli.Exit.USAGE  # the administrator's it is not
    assert run(f"credentials revoke {key['access_key']} --user jane")[0] == 0
    assert run.json("credentials list --user jane") == []


def test_a_server_that_others_reach_is_offered_once_and_claimed_once(run: Command, data: Path) -> None:
    engines, services = server(data, host="0.0.0.0")
    offered = bootstrap.claim_file(data)
    assert offered.stat().st_mode & 0o777 == 0o600
    token = offered.read_text().strip()
    left = offered.stat().st_mtime - time.time()  # people are told until when it is good
    assert 0.9 * DAY < left < 1.1 * DAY
    assert run.json("claim") == {"token": token}
    server(data, host="0.0.0.0")[0].close()  # a restart offers no other
    assert offered.read_text().strip() == token
    engines.documents.update_many("tickets", EVERYTHING, lambda ticket: ticket.update(expires="2000-01-01T00:00:00"))
    server(data, host="0.0.0.0")[0].close()
    assert not offered.exists()  # nor one that is too late
    again = run.json("claim")["token"]
    assert offered.read_text().strip() == again != token
    offered.write_text("of another first start, at the same moment")
    again = run.json("claim")["token"]
    assert offered.read_text().strip() == again
    services.people.redeem(again, password=PASSWORD, username="jane")
    assert not offered.exists()
    assert run("claim")[0] == cli.Exit.CONFLICT
    server(data, host="0.0.0.0")[0].close()
    assert not offered.exists()
    engines.close()


def test_a_server_of_this_machine_alone_needs_no_claim(data: Path) -> None:
    engines, _ = server(data)
    assert not bootstrap.claim_file(data).exists()
    engines.close()
