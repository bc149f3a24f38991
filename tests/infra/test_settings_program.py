"""trainshed-settings: what files, tags and attributes say becomes variables that the server understands, or a clear line."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from trainshed.settings.loading import load

PROGRAM = Path(__file__).parents[2] / "roles/trainshed/files/trainshed_settings.py"
_spec = importlib.util.spec_from_file_location("trainshed_settings", PROGRAM)
assert _spec
assert _spec.loader
program = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(program)

TOKEN = "token-of-the-session"


class Metadata(BaseHTTPRequestHandler):
    """Both clouds' service, each strict about its header. answers: path -> text."""

    answers: Mapping[str, str] = {}

    def do_PUT(self) -> None:
        ok = self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "").isdigit()
        self.reply(200 if ok else 400, TOKEN)

    def do_GET(self) -> None:
        ec2 = self.path.startswith("/latest/")
        trusted = self.headers.get("X-aws-ec2-metadata-token") == TOKEN
        if not (trusted if ec2 else self.headers.get("Metadata-Flavor") == "Google"):
            self.reply(401 if ec2 else 403, "")
        elif self.path in self.answers:
            self.reply(200, self.answers[self.path])
        else:
            self.reply(404, "")

    def reply(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def metadata() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the machine's other programs were asked for: `<program> <arguments>`, and what they were given to read."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("systemctl", "nft"):
        said = f'{{ echo "{name} $*"; cat; }} </dev/stdin >>{tmp_path}/asked; test "$1" != is-failed'
        (programs / name).write_text(f"#!/bin/sh\n{said}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "asked"


@pytest.fixture
def state(asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    return tmp_path / "run"


def machine(tmp_path: Path, *, vendor: str = "QEMU", metadata: str = "", **files: str) -> Any:
    """A machine. files: volume, instance: what trainshed.yml of the data volume and of the machine say."""
    root = tmp_path / "root"
    for name, text in files.items():
        path = root / {"volume": "opt/clearml/config", "instance": "etc/trainshed"}[name] / "trainshed.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    dmi = root / "sys/class/dmi/id/sys_vendor"
    dmi.parent.mkdir(parents=True, exist_ok=True)
    dmi.write_text(f"{vendor}\n")
    return program.Machine(root=root, metadata=metadata)


def environment(state: Path) -> dict[str, str]:
    """The variables, as a shell takes them and so the command `trainshed`; systemd reads the same quotes."""
    path = state / "environment"
    if not path.exists():
        return {}
    script = f"set -a; . {path}; env -0"
    out = subprocess.run(["sh", "-c", script], env={}, capture_output=True, check=True, text=True).stdout
    words = dict(line.split("=", 1) for line in out.split("\0") if line)
    return {name: value for name, value in words.items() if name.startswith("CLEARML__")}


def problem(state: Path) -> str:
    path = state / "problem"
    return path.read_text() if path.exists() else ""


def in_force(state: Path) -> dict[str, Any]:
    """What the server makes of it."""
    loaded = load(environment(state), folders=())
    assert loaded.settings, loaded.findings
    return {key: shown.value for key, shown in loaded.shown.items() if shown.origin != "default"}


def test_a_machine_that_was_told_nothing_leaves_nothing(state: Path, tmp_path: Path) -> None:
    assert program.main(machine(tmp_path)) == 0
    assert list(state.iterdir()) == []


def test_all_that_can_be_said_reaches_the_server(state: Path, tmp_path: Path) -> None:
    told = """
        url: https://shed.example.com
        api-url: https://api.example.com
        files-url: https://files.example.com
        tls: own
        trusted-proxies: [10.0.0.0/16, 10.2.0.7]
        claim-deadline: 2h
        keep-logs: 30
        keep_images: 60
        keep-plots: "90"
        profile: embedded
    """
    program.main(machine(tmp_path, instance=told))
    assert problem(state) == ""
    assert in_force(state) == {
        "trainshed.addresses.web": "https://shed.example.com",
        "trainshed.addresses.api": "https://api.example.com",
        "trainshed.addresses.files": "https://files.example.com",
        "trainshed.tls.own": True,
        "trainshed.tls.redirect_port": 8000,
        "trainshed.proxies.trusted": ["10.0.0.0/16", "10.2.0.7/32"],
        "trainshed.accounts.tickets.claim": 7200,
        "trainshed.keep.logs": 30,
        "trainshed.keep.images": 60,
        "trainshed.keep.plots": 90,
        "trainshed.profile": "embedded",
    }
    assert len(program.KEYS) == 10


def test_what_the_machine_was_told_wins_over_the_volume_and_a_second_run_forgets(state: Path, tmp_path: Path) -> None:
    program.main(machine(tmp_path, volume="keep-logs: 1\nkeep-plots: 2", instance="keep-logs: 3\n"))
    assert in_force(state) == {"trainshed.keep.logs": 3, "trainshed.keep.plots": 2}
    program.main(machine(tmp_path, volume="", instance="# nothing"))
    assert environment(state) == {}


@pytest.mark.parametrize(
    ("told", "said", "left"),
    [
        ("tsl: own", "'tsl' is no key; is tls meant?", {}),
        ("colour: red", "the keys are profile, url", {}),
        ("password: hunter2", "looks like a secret", {}),
        ("token-secret: x", "looks like a secret", {}),
        ("ssh-key: x", "looks like a secret", {}),
        ("url: shed", "'url' must be an address", {}),
        ("url: 7", "'url' must be an address", {}),
        ("keep-logs: soon", "'keep-logs' must be a whole number of days", {}),
        ("trusted-proxies: everybody", "'trusted-proxies' must be", {}),
        ("claim-deadline: 1s", "'claim-deadline' must be a time", {}),
        ('url: "https://a.example/\'; reboot"', "'url'", {}),
        ("tls: onw", "'tls' must be own or off", {"trainshed.tls.own": True, "trainshed.tls.redirect_port": 8000}),
        ("tls: off", "", {"trainshed.tls.own": False}),
        ("redis: redis://10.0.0.5:6379", "redis: without effect", {}),
        ("redis: redis://:hunter2@10.0.0.5", "has a name or password in it", {}),
        ("a: [", "it is no YAML, line 1", {}),
        ("- tls", "must have lines", {}),
        ("x" * 70_000, "larger than", {}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_understood_is_a_line_and_the_server_starts(
    state: Path, tmp_path: Path, told: str, said: str, left: dict[str, Any]
) -> None:
    program.main(machine(tmp_path, instance=told))
    found = problem(state)
    assert said in found
    assert found.count("\n") == (1 if said else 0)
    assert "hunter2" not in found
    assert in_force(state) == left


@pytest.mark.parametrize("told", ["profile: scale-out", "profile: [1]", "profile: scale out"])
def test_another_profile_is_refused_by_the_server_itself(state: Path, tmp_path: Path, told: str) -> None:
    program.main(machine(tmp_path, instance=f"{told}\nmongodb: mongodb://10.0.0.5:27017\n"))
    loaded = load(environment(state), folders=())
    assert loaded.settings is None
    (error,) = [finding for finding in loaded.findings if finding.level == "error"]
    assert error.path == "trainshed.profile"


def test_tags_of_an_ec2_instance(state: Path, tmp_path: Path, metadata: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = "/latest/meta-data/tags/instance"
    told = {
        tags: "Name\ntrainshed-tls\ntrainshed-trusted-proxies\ntrainshed-typo",
        f"{tags}/trainshed-tls": "own",
        f"{tags}/trainshed-trusted-proxies": "10.0.0.0/16, 10.2.0.7",
        f"{tags}/trainshed-typo": "1",
    }
    monkeypatch.setattr(Metadata, "answers", told)
    program.main(machine(tmp_path, vendor="Amazon EC2", metadata=metadata, instance="tls: off"))
    assert in_force(state)["trainshed.tls.own"] is True
    assert in_force(state)["trainshed.proxies.trusted"] == ["10.0.0.0/16", "10.2.0.7/32"]
    assert problem(state).startswith("Not understood: the instance's tag trainshed-typo: 'typo' is no key")


def test_an_ec2_instance_whose_tags_are_not_shown(
    state: Path, tmp_path: Path, metadata: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Metadata, "answers", {})
    program.main(machine(tmp_path, vendor="Amazon EC2", metadata=metadata))
    assert list(state.iterdir()) == []


def test_attributes_of_a_gce_instance(
    state: Path, tmp_path: Path, metadata: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {"ssh-keys": "somebody's", "trainshed-yml": "keep-logs: 5\ntls: own", "trainshed-keep-plots": "6"}
    path = "/computeMetadata/v1/instance/attributes/?recursive=true"
    monkeypatch.setattr(Metadata, "answers", {path: json.dumps(attributes)})
    program.main(machine(tmp_path, vendor="Google", metadata=metadata))
    assert problem(state) == ""
    assert in_force(state) == {
        "trainshed.keep.logs": 5,
        "trainshed.keep.plots": 6,
        "trainshed.tls.own": True,
        "trainshed.tls.redirect_port": 8000,
    }


@pytest.mark.parametrize("vendor", ["Amazon EC2", "Google"])
def test_a_cloud_that_does_not_answer_is_a_line(
    state: Path, tmp_path: Path, vendor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.time, "sleep", lambda seconds: None)
    program.main(machine(tmp_path, vendor=vendor, metadata="http://127.0.0.1:1", instance="keep-logs: 3"))
    assert "the metadata service does not answer" in problem(state)
    assert in_force(state) == {"trainshed.keep.logs": 3}


@pytest.mark.parametrize(
    ("vendor", "label", "waits"),
    [
        ("QEMU", "", False),
        ("QEMU", "cidata", True),
        ("QEMU", "config-2", True),
        ("VMware, Inc.", r"OVF\x20ENV", True),
        ("Google", "", True),
        ("Microsoft Corporation", "", True),
    ],
)
def test_user_data_are_waited_for_where_there_can_be_any(
    tmp_path: Path, asked: Path, vendor: str, label: str, waits: bool
) -> None:
    made = machine(tmp_path, vendor=vendor)
    if label:
        made.path(f"/dev/disk/by-label/{label}").mkdir(parents=True)
    program.wait_for_user_data(made)
    assert asked.exists() == waits
    if waits:
        assert asked.read_text().splitlines()[-1] == "systemctl start cloud-init-network.service"


@pytest.mark.parametrize("wanted", [True, False])
def test_the_ports_of_tls_are_open_while_it_is_spoken(tmp_path: Path, asked: Path, wanted: bool) -> None:
    made = machine(tmp_path)
    rules = made.path(program.HTTPS)
    rules.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROGRAM.with_name("https.nft"), rules)
    program.open_https(made, wanted=wanted)
    text = asked.read_text()
    assert text.startswith("nft -f -\ntable inet trainshed_https\ndelete table inet trainshed_https\n")
    assert (f"tcp dport 80 redirect to :{program.REDIRECT_PORT}" in text) is wanted


@pytest.mark.parametrize(
    ("vendor", "version", "wanted"),
    [
        ("Amazon EC2", "1.0", "[Ec2, None]"),
        ("Xen", "4.11.amazon", "[Ec2, None]"),
        ("Google", "Google", "[GCE, None]"),
        ("Microsoft Corporation", "Hyper-V UEFI", "[NoCloud, ConfigDrive, Azure, None]"),
        ("QEMU", "1.16", "[NoCloud, ConfigDrive, OVF, None]"),
        ("", "", "[NoCloud, ConfigDrive, OVF, None]"),
    ],
)
def test_a_cloud_is_asked_only_where_it_is(tmp_path: Path, vendor: str, version: str, wanted: str) -> None:
    made = machine(tmp_path, vendor=vendor)
    made.path("/sys/class/dmi/id/bios_version").write_text(version)
    asks = Path(__file__).parents[2] / "roles/trainshed_base/files/trainshed-datasource"
    subprocess.run(["sh", asks, made.root], check=True)
    assert made.path("/run/cloud-init/cloud.cfg").read_text() == f"datasource_list: {wanted}\n"
    assert (made.vendor() == "Amazon EC2") is (wanted == "[Ec2, None]")


def test_it_runs_by_the_python_of_the_server() -> None:
    home = "/opt/trainshed"
    assert PROGRAM.read_text().startswith(f"#!{home}/current/bin/python3\n")
    assert f"trainshed_home: {home}\n" in (PROGRAM.parents[1] / "defaults/main.yml").read_text()


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/images.md").read_text()
    table = page[page.index("### What it can be told") : page.index("Of these the later one wins")]
    assert set(re.findall(r"`([a-z-]+)`", table)) >= {*program.KEYS, *program.ENGINES}
