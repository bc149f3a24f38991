"""Into a machine by ssh: keys that ssh itself can read, and one line when nobody answers."""

import contextlib
import socket
import threading
from pathlib import Path

import paramiko
import pytest

from trainshed_provision import ssh
from trainshed_provision.errors import Exit, ShedError

ENOUGH = 2  # visits that are cut off before nobody listens any more


def test_a_key_pair_fits_and_is_private(tmp_path: Path) -> None:
    private = tmp_path / "id_ed25519"
    ssh.make_key(private, comment="shed x")
    public = private.with_suffix(".pub").read_text().split()
    key = paramiko.Ed25519Key.from_private_key_file(str(private))
    assert public == ["ssh-ed25519", key.get_base64(), "shed", "x"]
    assert private.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id_ed25519", "id_ed25519.pub"]


def test_nobody_answers(tmp_path: Path) -> None:
    ssh.make_key(tmp_path / "key", comment="")
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        login = ssh.Login(
            port=unheard.getsockname()[1], key=tmp_path / "key", known_hosts=tmp_path / "known", patience=0
        )
        with pytest.raises(ShedError, match="no ssh to admin@127") as caught:
            ssh.run(login, ["true"])
    assert caught.value.code == Exit.FAILED
    assert "StrictHostKeyChecking=accept-new" in caught.value.hint


def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "RETRY_SECONDS", 0)
    ssh.make_key(tmp_path / "key", comment="")
    visits = 0

    def restart() -> None:
        nonlocal visits
        while True:
            with contextlib.suppress(ConnectionError):
                visitor, _ = server.accept()
                if visits == ENOUGH:
                    server.close()
                visitor.close()
                visits += 1
                if visits > ENOUGH:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=restart)
        thread.start()
        port = server.getsockname()[1]
        login = ssh.Login(port=port, key=tmp_path / "key", known_hosts=tmp_path / "known", patience=0.5)
        with pytest.raises(ShedError, match="no ssh to"):
            ssh.run(login, ["true"])
        thread.join()
    assert visits > ENOUGH
