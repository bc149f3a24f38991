"""trainshed-welcome: what a machine says of itself in each state, with stand-ins for the programs that it asks."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/trainshed/files/trainshed-welcome"
TOKEN = "a-token-of-forty-characters-or-some-more"
READY = "".join(f"http://127.0.0.1:{port}\n" for port in (8080, 8008, 8081))


class Machine:
    """A machine whose files are in a folder. state: of the server, as systemd calls it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = "active"
        self.stand_in("ip", "echo '2: ens3    inet 10.0.0.5/24 brd 10.0.0.255 scope global ens3'")
        self.stand_in("id", "echo 0")
        self.stand_in("journalctl", "echo 'trainshed: the configuration has an error: trainshed.profile'")
        self.file("opt/trainshed/releases/0.1.0/.installed", "")
        (root / "opt/trainshed/current").symlink_to("releases/0.1.0")
        # All its paths stand at its head.
        text = re.sub(r"^(\w+)=/", rf"\1={root}/", PROGRAM.read_text(), flags=re.MULTILINE)
        self.program = self.file("program", text)

    def stand_in(self, name: str, body: str) -> None:
        self.file(f"bin/{name}", f"#!/bin/sh\n{body}\n").chmod(0o755)

    def file(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def claim(self, *, left: float) -> None:
        path = self.file("var/lib/trainshed/data/secrets/claim", f"{TOKEN}\n")
        os.utime(path, (time.time() + left, time.time() + left))

    def says(self, *words: str) -> str:
        self.stand_in("systemctl", f"echo {self.state}")
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", self.program, *words], env=environment, capture_output=True, text=True, check=False, timeout=20
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("words", [[], ["--wait"]])
def test_a_server_that_nobody_has_claimed(machine: Machine, words: list[str]) -> None:
    machine.file("run/trainshed/ready", READY)
    machine.claim(left=3600)
    said = machine.says(*words)
    assert "Trainshed 0.1.0 is running." in said
    assert re.search(r"^  api +http://10\.0\.0\.5:8008$", said, flags=re.MULTILINE)
    assert f"\n  {TOKEN}\n" in said
    assert "http://10.0.0.5:8008/accounts.redeem" in said


def test_a_token_that_is_too_late_is_not_shown(machine: Machine) -> None:
    machine.file("run/trainshed/ready", READY)
    machine.claim(left=-1)
    assert TOKEN not in machine.says()
    assert "sudo trainshed claim" in machine.says()


def test_a_server_that_is_claimed_and_has_a_name(machine: Machine) -> None:
    machine.file("run/trainshed/ready", READY.replace("http", "https"))
    machine.file(
        "run/trainshed-settings/environment", "CLEARML__TRAINSHED__ADDRESSES__WEB='https://shed.example.com'\n"
    )
    said = machine.says()
    assert re.search(r"^  web +https://10\.0\.0\.5:8080$", said, flags=re.MULTILINE)
    assert re.search(r"^  url +https://shed\.example\.com$", said, flags=re.MULTILINE)
    assert "claim" not in said


def test_without_a_network_it_is_called_localhost(machine: Machine) -> None:
    machine.stand_in("ip", "exit 0")
    machine.file("run/trainshed/ready", READY)
    assert "http://localhost:8080" in machine.says()


def test_a_server_that_gave_up_says_why(machine: Machine) -> None:
    machine.state = "failed"
    machine.file("run/trainshed-settings/problem", "Not understood: 'tsl' is no key\n")
    said = machine.says("--wait")
    assert "Trainshed 0.1.0 is not running:\ntrainshed: the configuration has an error: trainshed.profile\n" in said
    assert "\n\nNot understood: 'tsl' is no key\n" in said


def test_a_server_without_its_volume(machine: Machine) -> None:
    machine.state = "inactive"
    machine.file("run/trainshed-data/problem", "Trainshed is not running: no data volume is attached.\n")
    assert machine.says("--wait").strip() == "Trainshed is not running: no data volume is attached."


def test_a_server_that_starts(machine: Machine) -> None:
    machine.state = "activating"
    assert "is starting" in machine.says()
