"""The report of two bakes that differ names what differs."""

import shutil
import tarfile
from pathlib import Path

import pytest
from tests.infra import difference


@pytest.fixture(autouse=True)
def without_diffoscope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


def packed(folder: Path, name: str, *, content: str = "same", mtime: int = 0) -> Path:
    (folder / "file").write_text(content)
    with tarfile.open(folder / name, "w") as tar:
        member = tar.gettarinfo(folder / "file", arcname="etc/file")
        member.mtime = mtime
        with (folder / "file").open("rb") as file:
            tar.addfile(member, file)
    return folder / name


def test_other_contents_are_named_by_path(tmp_path: Path) -> None:
    text = difference.report(packed(tmp_path, "a.tar"), packed(tmp_path, "b.tar", content="other"))
    assert [line[0] + line.rpartition("\t")[2] for line in text.splitlines()] == ["+etc/file", "-etc/file"]


def test_other_times_are_named_by_path(tmp_path: Path) -> None:
    text = difference.report(packed(tmp_path, "a.tar"), packed(tmp_path, "b.tar", mtime=5))
    assert text == "etc/file: 0 etc/file: 5"


def test_other_bytes_between_files_are_named_by_their_place(tmp_path: Path) -> None:
    one, two = packed(tmp_path, "a.tar"), packed(tmp_path, "b.tar")
    data = bytearray(two.read_bytes())
    data[600] = 1  # behind the file's content, in the padding
    two.write_bytes(data)
    assert difference.report(one, two) == "from byte 600 on"
