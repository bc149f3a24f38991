"""`trainshed relocate`."""

import json
from pathlib import Path

import pytest

from trainshed import bootstrap
from trainshed.cli import Exit, main
from trainshed.settings import Settings
from trainshed.testing.api import sqlite_engines

OLD, NEW = "http://old.example:8081", "https://files.example"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The data of a server with three models."""
    engines = sqlite_engines(tmp_path)
    for number in range(3):
        engines.documents.insert("models", {"id": str(number), "uri": f"{OLD}/p/{number}.bin"})
    engines.close()
    return str(tmp_path)


def uris(folder: str) -> set[str]:
    engines = bootstrap.open_engines(Settings(data_dir=Path(folder)))
    found = {model["uri"] for model in engines.documents.find("models")}
    engines.close()
    return found


def run(folder: str, *arguments: str) -> int:
    return main(["relocate", "--data-dir", folder, "--from", OLD, "--to", f"{NEW}/", *arguments])


def test_it_counts_before_it_changes(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--dry-run") == Exit.OK
    assert capsys.readouterr().out == f"3 links begin with {OLD}\n        3  models\n"
    assert uris(folder) == {f"{OLD}/p/{number}.bin" for number in range(3)}
    assert run(folder) == Exit.OK
    assert capsys.readouterr().out.splitlines() == [
        f"3 links begin with {OLD}",
        "        3  models",
        f"3 links were changed from {OLD}",
        "        3  models",
    ]
    assert uris(folder) == {f"{NEW}/p/{number}.bin" for number in range(3)}
    assert run(folder) == Exit.OK
    assert capsys.readouterr().out.splitlines() == [
        f"0 links begin with {OLD}",
        "Links there are lead to:",
        f"        3  {NEW}",
    ]


def test_json(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json") == Exit.OK
    found, changed = map(json.loads, capsys.readouterr().out.splitlines())
    assert (found["changed"], changed["changed"]) == (False, True)
    assert found["links"] == changed["links"]
    assert found["links"]["models"] == found["total"] == 3


@pytest.mark.parametrize("url", ["old.example", "http://", 'http://a"b', "http://a b", "http://a\\b"])
def test_what_is_no_address(folder: str, url: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["relocate", "--data-dir", folder, "--from", url, "--to", NEW])
    assert refused.value.code == Exit.USAGE


def test_from_and_to_the_same(folder: str) -> None:
    assert main(["relocate", "--data-dir", folder, "--from", OLD, "--to", f"{OLD}/"]) == Exit.USAGE
