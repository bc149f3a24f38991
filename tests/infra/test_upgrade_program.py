"""trainshed-upgrade: a host has the new version with its data, or the old one with them as they were; whatever dies when."""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.infra.upgrade_host import Host, program

from trainshed.testing.live import LiveServer


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path)
    made.start()
    yield made
    made.close()


def is_old(host: Host, before: dict[str, Any]) -> bool:
    return host.current == "0.1.0" and host.holds() == before


def is_new(host: Host, before: dict[str, Any]) -> bool:
    return host.current == "0.2.0" and host.holds() == {**before, "form": 2}


def answers(host: Host) -> bool:
    """Whether the server does, where everybody comes."""
    said = (host.root / "run/trainshed/ready").read_text()
    return all(f":{port}\n" in said for port in host.ports)


def preflight(host: Host, *words: str) -> dict[str, Any]:
    done = host.call("preflight", *words)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_upgrade_keeps_the_data_and_sets_them_aside_as_they_were(host: Host) -> None:
    before = host.holds()
    done = host.switch()
    assert done.returncode == 0, f"{done.stderr}\n{host.log()}"
    assert "0.2.0 runs. Without answers: " in done.stdout
    assert is_new(host, before)  # and nothing of the check is left, no key either
    assert answers(host)
    (kept,) = (host.root / "var/upgrades").glob("2*")
    assert json.loads((kept / "set.json").read_text())["account"]["tasks"] == 50
    assert (kept / "data/files/a/model.bin").samefile(host.root / "var/data/files/a/model.bin")  # not copied
    again = host.switch()
    assert (again.returncode, again.stdout) == (0, "0.2.0 runs already; nothing was changed\n")


STEP = 1 if os.environ.get("TRAINSHED_SOAK") else 7  # operations between two at which the program is killed
slowly = pytest.mark.faults  # each takes a second or two


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        pytest.param("dies", "the server does not start", id="dies", marks=slowly),
        pytest.param("mute", "not up in time", id="mute", marks=slowly),
        pytest.param("loses", "of 50 tasks the new version has 25", id="loses"),
        pytest.param("scribbles", "damaged", id="scribbles", marks=slowly),
        pytest.param("refuses", "tasks.create answers 500", id="refuses", marks=slowly),
        pytest.param("shuts", "the server does not start", id="shuts", marks=slowly),
    ],
)
def test_a_broken_version_is_left_again_with_the_data_as_they_were(host: Host, broken: str, problem: str) -> None:
    before = host.holds()
    host.install("0.2.0", broken)
    done = host.switch("0.2.0", "--patience=1")
    assert done.returncode == 9
    assert problem in done.stderr
    assert is_old(host, before)
    assert answers(host)
    (given_up,) = (host.root / "var/upgrades").glob("2*")
    assert (given_up / "failed/documents.db").exists()  # nothing is removed


@slowly
@pytest.mark.parametrize("phase", ["stopping", "keeping", "swapping", "trying", "proved"])
def test_killed_in_a_phase_the_next_run_goes_back_or_on(host: Host, phase: str) -> None:
    before = host.holds()
    host.plan()
    assert host.run(phase).returncode == -9
    assert host.run().returncode == 0, host.log()
    assert (is_new if phase == "proved" else is_old)(host, before)
    assert answers(host)
    assert host.switch().returncode == 0
    assert is_new(host, before)


@pytest.mark.parametrize(
    "phase", ["trying", *(pytest.param(phase, marks=slowly) for phase in ("keeping", "proved", "returning"))]
)
def test_after_a_loss_of_power_the_boot_goes_back_or_on_before_the_server_starts(host: Host, phase: str) -> None:
    before = host.holds()
    if phase == "returning":
        host.install("0.2.0", "loses")
    host.plan()
    assert host.run(phase).returncode == -9
    host.lose_power()
    host.start()
    assert answers(host)
    assert host.current == ("0.2.0" if phase == "proved" else "0.1.0")
    assert host.journal()["phase"] == ("committed" if phase == "proved" else "returned")
    held = host.holds()
    assert {**held, "keys": 0} == {**before, "form": 2 if phase == "proved" else 1}


@slowly
@pytest.mark.parametrize("broken", ["", "loses"])
def test_killed_after_any_operation_the_data_are_whole(tmp_path: Path, broken: str) -> None:
    last, number = False, 1 - STEP
    while not last:
        number += STEP
        (tmp_path / str(number)).mkdir()
        host = Host(tmp_path / str(number))
        try:
            host.start()
            before = host.holds()
            host.install("0.2.0", broken)
            host.plan()
            last = host.run(str(number)).returncode == 0
            if number // STEP % 2:  # a loss of power, and the boot after it
                host.lose_power()
                host.start()
            else:
                assert host.run(str(1 + number // 2)).returncode in (0, -9)  # and killed again
            assert host.run().returncode == 0, host.log()
            held = {**host.holds(), "keys": 0}
            assert held == {**before, "form": 2 if host.current == "0.2.0" else 1}, number
            host.install("0.2.0")
            assert host.switch().returncode == 0, host.log()
            assert {**host.holds(), "keys": 0} == {**before, "form": 2}
        finally:
            host.close()
    assert number > 20


@slowly
def test_the_guard_leaves_a_server_alone_that_runs_and_a_host_where_nothing_was_cut(host: Host) -> None:
    assert host.call("guard").returncode == 0
    host.plan()
    assert host.run("swapping").returncode == -9
    host.systemctl("start", "trainshed.service")  # as nobody can who has the units
    cut = host.journal()
    assert host.call("guard").returncode == 0
    assert host.journal() == cut


@slowly
def test_a_rollback_says_what_it_loses_and_sets_it_aside(host: Host) -> None:
    before = host.holds()
    assert "no data of another version" in preflight(host, "--back")["problems"][0]
    assert host.switch().returncode == 0
    new_file = host.root / "var/data/files/a/new.bin"
    new_file.write_bytes(b"new")
    (host.root / "var/data/files/a/model.bin").unlink()  # and written anew, as the server does
    (host.root / "var/data/files/a/model.bin").write_bytes(b"other weights")
    urls = {"api": f"http://127.0.0.1:{host.ports[1]}"}
    body = json.dumps({"name": "later", "type": "testing"}).encode()
    program.ask(f"{urls['api']}/tasks.create", token="Bearer yes", body=body, kind="application/json")
    later = host.holds()
    found = preflight(host, "--back")
    assert found["problems"] == []
    assert (found["from"], found["to"]) == ("0.2.0", "0.1.0")
    assert "all that was written since 20" in found["lost"]
    assert found["lost"].endswith("1 tasks")
    done = host.switch(found["to"], f"--restore={found['restore']}")
    assert done.returncode == 0, f"{done.stderr}\n{host.log()}"
    held = host.holds()
    assert held["files"].pop("files/a/new.bin") == b"new"  # no document names it, and it stays
    assert (host.current, held) == ("0.1.0", before)
    # Back once more, to what was set aside.
    found = preflight(host, "--back")
    assert (found["to"], host.switch(found["to"], f"--restore={found['restore']}").returncode) == ("0.2.0", 0)
    assert host.holds() == later
    assert host.call("list").stdout.count("a version with its data") == 3


@slowly
def test_a_rollback_that_fails_stays_with_the_data_of_today(host: Host) -> None:
    assert host.switch().returncode == 0
    before = host.holds()
    host.install("0.1.0", "dies")
    found = preflight(host, "--back")
    assert host.switch(found["to"], f"--restore={found['restore']}").returncode == 9
    assert (host.current, host.holds()) == ("0.2.0", before)
    assert preflight(host, "--back")["restore"] == found["restore"]  # it is still there


@slowly
def test_nothing_is_stopped_when_it_cannot_begin(host: Host) -> None:
    (host.root / "command").write_text("#!/bin/sh\necho no credentials >&2\nexit 3\n")
    starts = (host.root / "starts").read_text()
    done = host.switch()
    assert done.returncode == 9
    assert "no credentials" in done.stderr
    assert (host.root / "starts").read_text() == f"{starts}trainshed-upgrade.service\n"
    assert host.journal()["phase"] == "dropped"


@pytest.mark.parametrize(
    ("to", "problem"),
    {
        "0.0.9": "0.0.9 is older than 0.1.0, which runs: use playbooks/rollback.yml",
        "0.1.0rc1": "is older than 0.1.0",
        "newest": "is no version: say one as 1.2.3",
    }.items(),
)
def test_only_a_later_version_is_gone_to(host: Host, to: str, problem: str) -> None:
    (said,) = preflight(host, f"--to={to}")["problems"]
    assert problem in said


def test_the_preflight_names_what_stands_in_the_way(host: Host) -> None:
    backups = host.root / "backups"
    assert preflight(host, "--to=0.2.0", f"--backups={backups}") == {
        "from": "0.1.0",
        "to": "0.2.0",
        "restore": "",
        "changes": True,
        "installed": True,
        "notes": [
            "from 0.1.0 to 0.2.0",
            "256 MiB of " + str(host.root / "var") + " are needed for now",
            "there is no backup yet",
        ],
        "problems": [],
    }
    assert preflight(host, "--to=0.1.0")["changes"] is False
    (host.root / "var/data/maintenance").touch()
    (backups / "backups" / "20260101T000000.000000Z").mkdir(parents=True)
    said = preflight(host, "--to=0.2.0", f"--backups={backups}", "--age=24")["problems"]
    assert said[0] == "the server is in maintenance: `trainshed maintenance off` first"
    assert "24.0 are allowed" in said[1]
    host.kill_server()
    assert "does not run here" in preflight(host, "--to=0.2.0")["problems"][0]
    (host.root / "opt/current").unlink()
    assert "playbooks/deploy.yml" in preflight(host, "--to=0.2.0")["problems"][0]


def test_a_full_disk_is_said_before_anything_is_done(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(program, "SPARE_BYTES", 2**60)
    assert program.main(["--layout", host.layout, "preflight", "--to=0.2.0"]) == 0
    assert "MiB free and 1099511627776 are needed" in json.loads(capsys.readouterr().out)["problems"][0]


def test_a_second_operator_is_told_who_has_the_host(host: Host) -> None:
    assert host.call("lock", "--run=1", "--who=ann@desk").returncode == 0
    assert host.call("lock", "--run=1", "--who=ann@desk").returncode == 0  # the same run
    second = host.call("lock", "--run=2", "--who=bob@home")
    assert second.returncode == 9
    assert second.stderr.startswith("this host is being upgraded: ann@desk has it since 20")
    assert "trainshed_take_lock=true" in second.stderr
    assert host.switch("0.2.0", "--run=2").returncode == 9
    assert host.current == "0.1.0"
    assert host.call("unlock", "--run=2").returncode == 0  # it is not bob's
    assert host.call("lock", "--run=2", "--who=bob@home").returncode == 9
    assert host.call("lock", "--run=2", "--who=bob@home", "--take").returncode == 0
    assert host.call("unlock", "--run=2").returncode == 0
    assert host.call("lock", "--run=3", "--who=cy@home").returncode == 0


def test_a_lock_of_a_run_that_fell_silent_is_anybodys(host: Host) -> None:
    old = {"run": "1", "who": "ann@desk", "since": "2026", "touched": time.time() - program.LEASE_SECONDS - 1}
    (host.root / "run/trainshed-upgrade.lease").write_text(json.dumps(old))
    assert host.call("lock", "--run=2", "--who=bob@home").returncode == 0


def wheels(path: Path, listed: str, *contents: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for number, content in enumerate([listed.encode(), *contents]):
            member = tarfile.TarInfo(f"{number}.whl" if number else "requirements.txt")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("version", "content", "problem"),
    [
        ("0.2.0", b"wheel", ""),
        ("0.3.0", b"wheel", "holds 0.2.0 and not 0.3.0"),
        ("0.2.0", b"tampered", "has no wheel of trainshed==0.2.0 with the sum in its list"),
    ],
)
def test_a_wheelhouse_is_what_its_list_says(
    tmp_path: Path, version: str, content: bytes, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = f"trainshed==0.2.0 --hash=sha256:{hashlib.sha256(b'wheel').hexdigest()}\n"
    archive = wheels(tmp_path / "wheelhouse.tar", listed, content)
    argv = ["--layout", "{}", "wheelhouse", str(archive), version]
    if not problem:
        assert program.main(argv) == 0
        return
    with pytest.raises(SystemExit):
        program.main(argv)
    assert problem in capsys.readouterr().err


def test_files_that_changed_since_are_brought_back_and_what_stood_there_is_kept(tmp_path: Path) -> None:
    kept, served = tmp_path / "kept", tmp_path / "served"
    (served / "a").mkdir(parents=True)
    (served / "a/one").write_text("one")
    (served / ".trainshed-incoming").mkdir()
    (served / ".trainshed-incoming/half").write_text("half")
    assert program.link(served, kept) == 1  # and not what is still written to
    (served / "a/one").rename(tmp_path / "gone")
    (served / "a/one").write_text("another")
    assert program.link(kept, served, tmp_path / "aside") == 1
    assert (served / "a/one").read_text() == "one"
    assert (tmp_path / "aside/a/one").read_text() == "another"


@slowly
def test_the_check_is_understood_by_the_server_of_this_checkout_and_leaves_nothing(tmp_path: Path) -> None:
    server = LiveServer(tmp_path / "data")
    server.start()
    try:
        keys = server.environment()
        pair = {"access_key": keys["CLEARML_API_ACCESS_KEY"], "secret_key": keys["CLEARML_API_SECRET_KEY"]}
        task = server.call("tasks.create", name="of somebody", type="training")["id"]
        server.call("events.add", task=task, type="log", worker="w", level="info", msg="line", timestamp=1)
        before = program.account(tmp_path / "data")
        assert (before["tasks"], before["log lines"], before["users"] > 0) == (1, 1, True)
        program.smoke({name: server.url(name) for name in program.LISTENERS}, pair)
        assert program.account(tmp_path / "data") == before
        assert [path for path in (tmp_path / "data/files").rglob("*") if path.is_file()] == []
    finally:
        server.stop()
