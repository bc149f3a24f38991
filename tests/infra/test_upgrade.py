"""Upgrades on a real host: Debian with its own systemd, converged, upgraded and taken back by ansible-playbook."""

import base64
import hashlib
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.infra.appliance import ROOT
from tests.infra.docker import answers
from tests.infra.systemd_host import SystemdHost

from trainshed.testing.live import free_ports, wait_until
from trainshed_provision.bake import wheelhouse
from trainshed_provision.bake.context import Bake

pytestmark = pytest.mark.image

OLD, NEW, DEAD, CORRUPTING = "0.1.0", "0.2.0", "0.2.1", "0.2.2"
KILLS = (int(os.environ.get("TRAINSHED_SOAK", "0")) and 20) or 3
TASKS = int(os.environ.get("TRAINSHED_UPGRADE_TASKS", "20"))
POINTS = int(os.environ.get("TRAINSHED_UPGRADE_POINTS", "20000"))  # of all tasks together
PLAYBOOK_SECONDS = 400

# What is changed in the source of each version: (file, text, its replacement).
_SERVE = "    settings, findings = configuration(options)\n"
_RUIN = "__import__('sqlite3').connect(settings.data_dir / 'documents.db', isolation_level=None).execute"
CHANGES: dict[str, list[tuple[str, str, str]]] = {
    OLD: [],
    # Its data are no longer those of the old one, which refuses them.
    NEW: [
        (
            "adapters/sqlite/events/schema.py",
            '        "CREATE TABLE doomed (owner INTEGER PRIMARY KEY) STRICT",\n    ),\n',
            '        "CREATE TABLE doomed (owner INTEGER PRIMARY KEY) STRICT",\n    ),\n'
            '    ("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT",),\n',
        )
    ],
    DEAD: [("cli/serve.py", _SERVE, f"{_SERVE}    raise SystemExit('it does not start')\n")],
    CORRUPTING: [("cli/serve.py", _SERVE, f"{_SERVE}    {_RUIN}('DELETE FROM tasks WHERE rowid % 3 = 0')\n")],
}

PLAY = """
- hosts: all
  gather_subset: ["!all", is_chroot]
  roles: [trainshed]
"""


def wheels(version: str, folder: Path) -> Path:
    """The wheelhouse of this checkout's server under another number, changed as CHANGES says."""
    checkout = folder / version
    shutil.copytree(ROOT / "server", checkout / "server", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(ROOT / "requirements.lock", checkout)
    project = checkout / "server/pyproject.toml"
    project.write_text(re.sub(r'^version = ".*"$', f'version = "{version}"', project.read_text(), flags=re.MULTILINE))
    for name, text, replacement in CHANGES[version]:
        source = checkout / "server/src/trainshed" / name
        assert source.read_text().count(text) == 1, name
        source.write_text(source.read_text().replace(text, replacement))
    (checkout / "build").mkdir()
    (checkout / "build/cache").symlink_to(ROOT / "build/cache")
    (checkout / "work").mkdir()
    bake = Bake(checkout=checkout, work=checkout / "work", version=version, commit="", epoch=1_780_000_000, inputs="")
    return wheelhouse.make(bake)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The host, and the playbooks for it."""

    host: SystemdHost
    ports: dict[str, int]
    houses: dict[str, Path]
    keys: dict[str, str] = field(default_factory=dict)

    def play(self, playbook: Path, *options: str, ok: bool = True, **variables: Any) -> str:
        """Run a playbook on it as a person does; all it said."""
        done = self.begin(playbook, *options, **variables)
        said, _ = done.communicate(timeout=PLAYBOOK_SECONDS)
        assert (done.returncode == 0) is ok, said
        print(said)
        return said

    def begin(self, playbook: Path, *options: str, **variables: Any) -> "subprocess.Popen[str]":
        """Start a playbook."""
        told = {"trainshed_data_volume": False, "trainshed_firewall": False, **variables}
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        enter = self.host.folder / "enter"
        enter.write_text(f'#!/bin/sh\nshift\nexec {shlex.join(self.host.enter())} "$@"\n')
        enter.chmod(0o755)
        connection = ["--inventory", f"/proc/{self.host.pid}/root,", "--connection", "community.general.chroot"]
        return subprocess.Popen(
            [program, *connection, "--extra-vars", json.dumps(told), *options, str(playbook)],
            env={
                **os.environ,
                "ANSIBLE_CHROOT_EXE": str(enter),
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
                "ANSIBLE_HOME": str(self.host.folder / "ansible"),
                "ANSIBLE_REMOTE_TMP": "/tmp/ansible",
                "USER": "ann",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def upgrade(self, version: str, *options: str, ok: bool = True, **variables: Any) -> str:
        """By the playbook."""
        told = {"trainshed_version": version, "trainshed_wheelhouse": str(self.houses[version]), **variables}
        return self.play(ROOT / "playbooks/upgrade.yml", *options, ok=ok, **told)

    def rollback(self, ok: bool = True, **variables: Any) -> str:
        """By the playbook."""
        return self.play(ROOT / "playbooks/rollback.yml", ok=ok, **variables)

    def back(self) -> None:
        """To the old version, without a playbook: quick."""
        found = json.loads(self.host.inside("trainshed-upgrade", "preflight", "--back", f"--to={OLD}"))
        self.host.inside("trainshed-upgrade", "switch", f"--to={OLD}", f"--restore={found['restore']}")

    @property
    def version(self) -> str:
        """The one that is pointed at."""
        return Path(self.host.inside("readlink", "/opt/trainshed/current").strip()).name

    def serves(self) -> str:
        """Wait until all three listeners answer; the version that does."""
        wait_until(lambda: all(answers(self.url(name)) for name in self.ports), seconds=60, poll=0.05)
        return self.version

    def url(self, listener: str) -> str:
        """The address of a listener."""
        return f"http://127.0.0.1:{self.ports[listener]}"

    def call(self, endpoint: str, **fields: Any) -> Any:
        """The data of a reply of the API."""
        return self._ask("api", endpoint, json.dumps(fields).encode(), "application/json")

    def _ask(self, listener: str, path: str, body: bytes, kind: str) -> Any:
        request = urllib.request.Request(f"{self.url(listener)}/{path}", body, {"Content-Type": kind})
        request.add_header("Authorization", f"Bearer {self.keys['token']}" if self.keys else "")
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer = json.load(reply)
        return answer["data"] if listener == "api" else answer

    def log_in(self) -> None:
        """With a key of the administrator."""
        made = json.loads(self.host.inside("trainshed", "credentials", "create", "--json"))
        pair = base64.b64encode(f"{made['access_key']}:{made['secret_key']}".encode()).decode()
        request = urllib.request.Request(f"{self.url('api')}/auth.login", b"{}")
        request.add_header("Authorization", f"Basic {pair}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as reply:
            self.keys["token"] = json.load(reply)["data"]["token"]

    def fill(self) -> None:
        """Tasks with points and logs, and a file."""
        each = POINTS // TASKS
        for number in range(TASKS):
            task = self.call("tasks.create", name=f"task {number}", type="training")["id"]
            self.call(
                "events.add", task=task, type="log", worker="w", level="info", msg=f"line of {number}", timestamp=1
            )
            for begin in range(0, each, 5000):
                lines = [
                    {"type": "training_stats_scalar", "task": task, "metric": "loss", "variant": "train", "iter": i}
                    | {"value": number + i / 1000, "timestamp": i + 1}
                    for i in range(begin, min(begin + 5000, each))
                ]
                body = "\n".join(map(json.dumps, lines)).encode()
                self._ask("api", "events.add_batch", body, "application/json-lines")
        head = '--x\r\nContent-Disposition: form-data; name="team/model.bin"; filename="team/model.bin"\r\n\r\n'
        self._ask("files", "", head.encode() + b"weights" * 999 + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")

    def checksum(self) -> str:
        """Of all that fill() wrote, as a client reads it. Whatever the version."""
        total = hashlib.sha256()
        tasks = self.call(
            "tasks.get_all", only_fields=["name", "created", "status"], order_by=["id"], page=0, page_size=500
        )
        total.update(json.dumps(tasks["tasks"], sort_keys=True).encode())
        for task in tasks["tasks"][:5]:
            for endpoint in ("events.scalar_metrics_iter_histogram", "events.get_task_log"):
                total.update(json.dumps(self.call(endpoint, task=task["id"]), sort_keys=True).encode())
        request = urllib.request.Request(f"{self.url('files')}/team/model.bin")
        request.add_header("Authorization", f"Bearer {self.keys['token']}")
        with urllib.request.urlopen(request, timeout=30) as reply:
            total.update(reply.read())
        return total.hexdigest()


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest) -> Path:
    """The root of every image before anything of ours is in it."""
    if not list((ROOT / "build/cache").glob("base-amd64-*.tar")):
        request.getfixturevalue("baked")
    return max((ROOT / "build/cache").glob("base-amd64-*.tar"), key=lambda path: path.stat().st_mtime)


@pytest.fixture(scope="module")
def machine(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One that runs the old version, with data."""
    if os.geteuid() != 0 or shutil.which("nsenter") is None:
        pytest.skip("a host of its own needs root, unshare and nsenter")
    folder = tmp_path_factory.mktemp("upgrade")
    ports = dict(zip(("web", "api", "files"), free_ports(3), strict=True))
    host = SystemdHost(folder)
    try:
        host.unpack(base)
        drop_in = host.root / "etc/systemd/system/trainshed.service.d"
        drop_in.mkdir()
        names = {"web": "TRAINSHED__WEB", "api": "APISERVER__LISTEN", "files": "FILESERVER__LISTEN"}
        words = " ".join(f"CLEARML__{names[name]}__PORT={port}" for name, port in ports.items())
        (drop_in / "ports.conf").write_text(f"[Service]\nEnvironment={words}\n")
        host.boot()
        houses = {version: wheels(version, folder / "checkouts") for version in CHANGES}
        made = Machine(host=host, ports=ports, houses=houses)
        play = folder / "deploy.yml"
        play.write_text(PLAY)
        made.play(play, trainshed_version=OLD, trainshed_wheelhouse=str(houses[OLD]))
        assert made.serves() == OLD
        made.log_in()
        made.fill()
        yield made
    finally:
        host.remove()


def test_a_dry_run_says_what_would_be_and_changes_nothing(machine: Machine) -> None:
    before = machine.host.inside("find", "/opt/trainshed", "/etc", "-newer", "/opt/trainshed/current")
    said = machine.upgrade(NEW, "--check", "--diff")
    assert f"from {OLD} to {NEW}" in said
    assert machine.version == OLD
    assert machine.host.inside("find", "/opt/trainshed", "/etc", "-newer", "/opt/trainshed/current") == before


@pytest.mark.parametrize("version", [DEAD, CORRUPTING])
def test_a_broken_version_is_left_within_a_minute_with_the_data_as_they_were(machine: Machine, version: str) -> None:
    before = machine.checksum()
    said = machine.upgrade(version, ok=False)
    assert f"{OLD} runs, with its data as they were" in said
    journal = json.loads(machine.host.inside("trainshed-upgrade", "status"))
    assert journal["times"]["returned"] - journal["times"]["stopping"] < 60
    assert machine.serves() == OLD
    assert machine.checksum() == before


def test_an_upgrade_takes_seconds_and_a_second_one_changes_nothing(machine: Machine) -> None:
    before = machine.checksum()
    said = machine.upgrade(NEW)
    (down,) = re.findall(r"Without answers: ([\d.]+) s", said)[-1:]
    print(f"DOWNTIME {said[said.index('Without answers') :].splitlines()[0]}")
    assert float(down) < 15
    assert machine.serves() == NEW
    assert machine.checksum() == before
    again = machine.upgrade(NEW)
    assert re.search(r"changed=0 ", again), again


def test_a_rollback_asks_first_and_takes_the_data_back(machine: Machine) -> None:
    before = machine.checksum()
    task = machine.call("tasks.create", name="written since", type="training")["id"]
    said = " ".join(machine.rollback(ok=False).split())
    assert "all that was written since" in said
    assert "1 tasks" in said
    assert "trainshed_lose_writes=true" in said
    assert machine.version == NEW
    machine.rollback(trainshed_lose_writes=True)
    assert machine.serves() == OLD
    assert machine.checksum() == before
    assert task not in json.dumps(machine.call("tasks.get_all", only_fields=["id"]))


def test_a_second_operator_is_told_who_has_the_host(machine: Machine) -> None:
    machine.host.inside("trainshed-upgrade", "lock", "--run=1", "--who=bob@home")
    said = " ".join(machine.upgrade(NEW, ok=False).split())
    assert "bob@home has it since 20" in said
    assert machine.version == OLD
    machine.host.inside("trainshed-upgrade", "unlock", "--run=1")


def test_whatever_is_killed_and_whenever_the_host_serves_whole_data(machine: Machine) -> None:
    chance = random.Random(os.environ.get("TRAINSHED_SEED", "1"))
    for number in range(KILLS):
        killed(machine, ("program", "server", "machine")[number % 3], chance.uniform(0.3, 8))


def killed(machine: Machine, what: str, moment: float) -> None:
    """Begin an upgrade, kill something after so many seconds, and find whole data, then and after a second run."""
    before = machine.checksum()
    switch = ["trainshed-upgrade", "switch", f"--to={NEW}", "--who=ann@desk"]
    asking = subprocess.Popen(
        [*machine.host.enter(), *switch], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(moment)
    if what == "machine":
        machine.host.cut_power()
        machine.host.boot()
    else:
        unit = {"program": "trainshed-upgrade.service", "server": "trainshed.service"}[what]
        machine.host.inside("systemctl", "kill", "--signal=SIGKILL", "--kill-whom=all", unit, ok=(0, 1))
    asking.wait(120)
    wait_until(lambda: ended(machine), seconds=60, poll=0.2)
    version = machine.serves()
    journal = json.loads(machine.host.inside("trainshed-upgrade", "status"))
    print(f"KILLED {what} after {moment:.1f} s: {version}, {journal['phase']}, {journal.get('problem', '')}")
    assert machine.checksum() == before
    machine.host.inside("trainshed-upgrade", "switch", f"--to={NEW}")
    assert machine.serves() == NEW
    assert machine.checksum() == before
    machine.back()
    assert machine.serves() == OLD


def ended(machine: Machine) -> bool:
    """Whether no upgrade is under way."""
    said = machine.host.inside("trainshed-upgrade", "status", ok=(0, 1, 9))
    return bool(said.strip()) and json.loads(said).get("phase") in ("committed", "returned", "dropped")


def test_an_operator_whose_controller_dies_runs_it_again(machine: Machine) -> None:
    before = machine.checksum()
    told = {"trainshed_version": NEW, "trainshed_wheelhouse": str(machine.houses[NEW])}
    run = machine.begin(ROOT / "playbooks/upgrade.yml", **told)
    wait_until(
        lambda: json.loads(machine.host.inside("trainshed-upgrade", "status"))["phase"] == "stopping", seconds=120
    )
    run.kill()
    run.communicate()
    wait_until(lambda: ended(machine), seconds=60, poll=0.2)
    assert machine.serves() == NEW  # what was begun on the host goes on
    assert machine.checksum() == before
    assert re.search(r"failed=0 ", machine.upgrade(NEW, trainshed_take_lock=True))
