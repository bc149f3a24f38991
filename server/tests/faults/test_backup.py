"""A restore drill: the backup of a server that many clients write to holds what they know of its moment, and no client notices."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from trainshed import cli
from trainshed.testing.live import LiveServer, assert_whole
from trainshed.testing.load import caller_of, check, clients
from trainshed.testing.soak import times

pytestmark = pytest.mark.faults
CLIENTS = 8


def entries(ledger: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ledger.read_text().splitlines()]


def test_while_clients_write(server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "backups"
    moments: dict[str, float] = {}
    with clients(server, tmp_path, turn=0, count=CLIENTS) as ledgers:
        for _ in range(times(2, soak=30)):
            time.sleep(0.5)
            assert cli.main(["backup", str(kept), f"--data-dir={server.data}", "--json"]) == 0
            made = json.loads(capsys.readouterr().out)
            moments[made["name"]] = datetime.fromisoformat(made["moment"]).timestamp()
        ended = time.time()
        time.sleep(1)
        server.stop(signal.SIGKILL)
    for ledger in ledgers:  # nobody was sent away
        assert any(entry["at"] > ended for entry in entries(ledger)), ledger
    assert cli.main(["verify", str(kept)]) == 0
    for number, (name, moment) in enumerate(moments.items()):
        copy = LiveServer(tmp_path / f"copy{number}")
        assert cli.main(["restore", str(kept), f"--data-dir={copy.data}", f"--backup={name}"]) == 0
        assert_whole(copy.data)
        copy.start()
        with closing(caller_of(copy)) as caller:
            assert sum(check(caller, ledger, until=moment) for ledger in ledgers) > 0
        assert later_documents(copy.data, moment) == []
        copy.stop()
        assert "Traceback" not in copy.log()
    server.start()
    with closing(caller_of(server)) as caller:
        assert sum(check(caller, ledger) for ledger in ledgers)


def later_documents(data: Path, moment: float) -> list[str]:
    """Tasks that were made after the moment."""
    with closing(sqlite3.connect(data / "documents.db")) as database:
        found = database.execute("SELECT id, json_extract(body, '$.created') FROM tasks").fetchall()
    return [task for task, created in found if datetime.fromisoformat(created).timestamp() > moment]


def test_one_that_is_killed_leaves_none(server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "backups"
    with clients(server, tmp_path, turn=0, count=2) as ledgers:
        time.sleep(1)
        for turn in range(times(4, soak=40)):
            with subprocess.Popen(
                [sys.executable, "-m", "trainshed", "backup", str(kept), f"--data-dir={server.data}"],
                stdout=subprocess.DEVNULL,
            ) as process:
                while not kept.exists() and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(0.02 * turn)
                process.kill()
            assert cli.main(["verify", str(kept)]) in (0, cli.Exit.MISSING)  # all whole, or none yet
        server.stop()
    capsys.readouterr()
    assert cli.main(["backup", str(kept), f"--data-dir={server.data}"]) == 0
    assert cli.main(["verify", str(kept)]) == 0
    assert not list((server.data / "files").glob(".trainshed-frozen-*"))
    copy = LiveServer(tmp_path / "copy")
    assert cli.main(["restore", str(kept), f"--data-dir={copy.data}"]) == 0
    copy.start()
    with closing(caller_of(copy)) as caller:
        assert sum(check(caller, ledger) for ledger in ledgers)
    copy.stop()
