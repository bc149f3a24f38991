"""The commands for a virtual machine, as typed: one clear line, the right exit code, nothing left behind."""

import hashlib
import io
import json
import socket
from pathlib import Path

import pytest

from trainshed_provision import cli, process
from trainshed_provision.errors import Exit
from trainshed_provision.spec import VmSpec
from trainshed_provision.targets.vm.folder import Folder

# Below those that the kernel gives to connections, of which any may be taken.
FREE = "--web-port 18080 --api-port 18008 --files-port 18081 --ssh-port 12222"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, and a current folder where nothing was baked."""
    monkeypatch.setenv("SHED_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state"


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    """An image with its manifest."""
    path = tmp_path / "trainshed.qcow2"
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = {"file": path.name, "sha256": digest}
    manifest = {"files": {"qcow2": file}, "version": "0.1.0", "architecture": "amd64", "tree_digest": "0" * 64}
    path.with_suffix(".manifest.json").write_text(json.dumps(manifest))
    return path


def shed(line: str) -> int:
    try:
        return cli.main(line.split())
    except SystemExit as end:
        return int(end.code or 0)


def machines(state: Path) -> list[str]:
    return [path.name for path in state.glob("vm/*") if not path.name.startswith(".")]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("launch vmware", id="target"),
        pytest.param("launch vm --colour red", id="option"),
        pytest.param("launch vm --memory lots", id="value"),
        pytest.param("launch vm --name ../../etc", id="name"),
        pytest.param("lunch vm", id="command"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_wrong_word_is_one_line_and_a_hint(line: str, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shed(line) == Exit.USAGE
    message, hint = capsys.readouterr().err.splitlines()
    assert message.startswith("shed: ")
    assert hint.startswith("      ")
    assert machines(state) == []


def test_a_port_in_use(state: Path, baked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert shed(f"launch vm --image {baked} --web-port {port}") == Exit.CONFLICT
    error = capsys.readouterr().err
    assert f"port {port} (web)" in error
    assert "--web-port N" in error
    assert machines(state) == []


def test_no_image(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shed("launch vm --image none.qcow2") == Exit.NOT_FOUND
    assert "shed bake vm" in capsys.readouterr().err
    assert machines(state) == []


def test_a_damaged_image(state: Path, baked: Path) -> None:
    baked.write_bytes(b"half of it")
    assert shed(f"launch vm --image {baked}") == Exit.CORRUPT
    assert machines(state) == []


def test_a_foreign_data_disk(state: Path, baked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "holiday.raw"
    disk.write_bytes(b"photographs" + bytes(2**20))
    before = disk.read_bytes()
    assert shed(f"launch vm --image {baked} {FREE} --data-disk {disk}") == Exit.CONFLICT
    assert "not touched" in capsys.readouterr().err
    assert disk.read_bytes() == before
    assert machines(state) == []


def test_no_free_disk(state: Path, baked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shed(f"launch vm --image {baked} {FREE} --data-size 100000000") == Exit.NO_SPACE
    assert "--data-size" in capsys.readouterr().err
    assert machines(state) == []


def test_status_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert shed("status") == Exit.OK
    assert "absent" in capsys.readouterr().out
    assert shed("status vm --json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["state"] == "absent"


@pytest.mark.parametrize("line", ["stop vm", "check vm", "credentials vm"])
def test_a_machine_that_was_never_launched(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shed(line) == Exit.NOT_FOUND
    assert "shed launch vm" in capsys.readouterr().err


def test_destroying_nothing_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert shed("destroy vm --yes") == Exit.OK
    assert "was not there" in capsys.readouterr().out


def test_destroy_wants_a_yes(state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Folder(state, "trainshed")
    _stopped_machine(folder)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal
    assert shed("destroy vm") == Exit.USAGE
    assert folder.path.exists()
    assert shed("destroy vm --yes --json") == Exit.OK
    assert json.loads(capsys.readouterr().out)["kept"] == str(folder / "data.raw")
    assert shed("destroy vm --yes --data") == Exit.OK
    assert not folder.path.exists()


def test_status_and_stop_of_a_stopped_machine(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _stopped_machine(Folder(state, "trainshed"))
    assert shed("status") == Exit.OK
    assert "trainshed: stopped" in capsys.readouterr().out
    assert shed("stop vm") == Exit.OK
    assert "was not running" in capsys.readouterr().out
    assert shed("check vm") == Exit.NOT_FOUND
    assert "stopped" in capsys.readouterr().err


def _stopped_machine(folder: Folder) -> None:
    folder.write_record(VmSpec(), image={"path": "/i.qcow2", "version": "0.1.0", "tree": "0" * 64})
    folder.system("f" * 64).write_bytes(b"overlay")
    (folder / "data.raw").write_bytes(bytes(4096))
