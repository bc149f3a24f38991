"""`trainshed maintenance`."""

import json
from pathlib import Path

import pytest

from trainshed import bootstrap
from trainshed.cli import Exit, main


def status(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["maintenance", "status", "--data-dir", str(folder)]) == Exit.OK
    return capsys.readouterr().out.strip()


def test_on_and_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--data-dir", str(tmp_path)]
    switch = bootstrap.maintenance(tmp_path)  # as the server sees it
    assert (status(tmp_path, capsys), switch.word()) == ("off", None)
    assert main(["maintenance", "on", "--reason", "back\r\nat noon", *folder]) == Exit.OK
    assert (status(tmp_path, capsys), switch.word()) == ("on: back at noon", "back at noon")
    assert main(["maintenance", "on", *folder]) == Exit.OK
    assert (status(tmp_path, capsys), switch.word()) == ("on", "")
    assert main(["maintenance", "status", "--json", *folder]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"on": True, "reason": ""}
    for _ in range(2):
        assert main(["maintenance", "off", *folder]) == Exit.OK
    assert (status(tmp_path, capsys), switch.word()) == ("off", None)


def test_a_folder_of_no_server(tmp_path: Path) -> None:
    assert main(["maintenance", "on", "--data-dir", str(tmp_path / "none")]) == Exit.MISSING


def test_a_word_without_end_is_cut(tmp_path: Path) -> None:
    bootstrap.maintenance(tmp_path).on("x" * 100_000)
    assert len(bootstrap.maintenance(tmp_path).word() or "") == 500


def test_what_stands_in_its_place_counts_as_on(tmp_path: Path) -> None:
    (tmp_path / "maintenance").mkdir()
    assert bootstrap.maintenance(tmp_path).word() == ""
