"""Backups: what comes back, what is refused, and what one that was cut leaves."""

import io
import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trainshed import bootstrap, cli
from trainshed.adapters.files.vault import FolderVault, TarReader, digest_of, with_sum
from trainshed.cli.common import Exit
from trainshed.cli.progress import Progress, amount
from trainshed.domain.errors import StoreFull
from trainshed.ports.backups import PIECE, Damaged
from trainshed.ports.events import ScalarEvent
from trainshed.ports.query import Eq
from trainshed.services import backup
from trainshed.settings import Settings

BIG = b"weights" * (PIECE // 2)
Json = dict[str, Any]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a document, points, two files and a secret."""
    data = tmp_path_factory.mktemp("filled")
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    engines.documents.insert("tasks", {"id": "t", "name": "first", "project": "p", "status": "created"})
    engines.events.add([ScalarEvent(task="t", metric="m", variant="v", iter=i, value=i / 3) for i in range(100)])
    engines.blobs.put("p/model.bin", [BIG])
    engines.blobs.put("ä" * 200, [b"a long name"])
    bootstrap.secret(data, "token")
    engines.close()
    return data


@pytest.fixture
def data(filled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Json]:
    def call(*arguments: object, code: int = Exit.OK) -> Json:
        capsys.readouterr()
        assert cli.main([*map(str, arguments), "--json"]) == code
        said = capsys.readouterr()
        answer = json.loads(said.out) if said.out else {}
        return {"refused": said.err, **(answer if isinstance(answer, dict) else {"backups": answer})}

    return call


def content(data: Path) -> Json:
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    (curve,) = engines.events.scalars("t")
    found: Json = {"tasks": engines.documents.find("tasks", Eq(("project",), "p")), "curve": curve.values.tolist()}
    for name in ("p/model.bin", "ä" * 200):
        with engines.blobs.open(name) as reader:
            found[name] = b"".join(reader.chunks(0, reader.info.size))
    engines.close()
    return found | {"token": (data / "secrets" / "token").read_bytes()}


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")} if root.exists() else set()


@pytest.mark.parametrize("place", ["backups", "backup.tar"])
def test_there_and_back(data: Path, tmp_path: Path, place: str, run: Callable[..., Json]) -> None:
    kept, new = tmp_path / place, tmp_path / "new"
    made = run("backup", kept, f"--data-dir={data}")
    shutil.rmtree(data / "files")
    assert [found["problems"] for found in run("verify", kept)["backups"]] == [[]]
    looked_at = run("restore", kept, f"--data-dir={new}", "--dry-run")
    assert (looked_at["name"], new.exists()) == (made["name"], False)
    assert run("restore", kept, f"--data-dir={new}") == looked_at
    found = content(new)
    assert (found["p/model.bin"], found["ä" * 200]) == (BIG, b"a long name")
    assert found["curve"] == [i / 3 for i in range(100)]
    assert found["token"] == (data / "secrets" / "token").read_bytes()
    assert found["tasks"] == [{"id": "t", "name": "first", "project": "p", "status": "created"}]
    for path in (*new.rglob("*"), *tmp_path.glob("backup*/**/*"), *tmp_path.glob("*.tar")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_what_an_earlier_backup_has_is_not_written_again(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    kept = tmp_path / "backups"
    first = run("backup", kept, f"--data-dir={data}")
    pieces = tree(kept / "pieces")
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    engines.blobs.put("p/small", [b"new"])
    engines.blobs.delete("p/model.bin")
    engines.close()
    second = run("backup", kept, f"--data-dir={data}")
    new = tree(kept / "pieces") - pieces
    assert digest_of(b"new") in {Path(piece).name for piece in new}
    assert len([piece for piece in new if len(piece) > 64]) <= 4  # the file, and what changed of three small databases
    run("restore", kept, f"--data-dir={tmp_path / 'old'}", f"--backup={first['name']}")
    assert content(tmp_path / "old")["p/model.bin"] == BIG
    run("restore", kept, f"--data-dir={tmp_path / 'new'}")
    assert {"files/p/small", "files/p/model.bin"} & tree(tmp_path / "new") == {"files/p/small"}
    third = run("backup", kept, f"--data-dir={data}", "--keep=2")
    names = [found["name"] for found in run("verify", kept)["backups"]]
    assert names == [second["name"], third["name"]]
    run("backup", kept, f"--data-dir={data}", "--keep=1")
    assert digest_of(BIG[:PIECE]) not in {path.name for path in kept.rglob("*")}
    run("verify", kept)


def spoil(kept: Path, digest: str) -> Path:
    path = kept / "pieces" / digest[:2] / digest
    path.write_bytes(b"W" + path.read_bytes()[1:])
    return path


def test_a_piece_that_was_altered(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    kept, new = tmp_path / "backups", tmp_path / "new"
    run("backup", kept, f"--data-dir={data}")
    piece = spoil(kept, digest_of(BIG[:PIECE]))
    (found,) = run("verify", kept, code=Exit.CORRUPT)["backups"]
    assert [problem.split(":")[0] for problem in found["problems"]] == ["files/p/model.bin"]
    assert piece.name in str(run("restore", kept, f"--data-dir={new}", code=Exit.CORRUPT)["refused"])
    assert not new.exists()
    piece.unlink()
    run("verify", kept, code=Exit.CORRUPT)
    run("restore", kept, f"--data-dir={new}", code=Exit.CORRUPT)
    assert not new.exists()


def test_a_list_that_was_cut_or_is_of_a_later_release(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    kept = tmp_path / "backups"
    made = run("backup", kept, f"--data-dir={data}")
    path = kept / "backups" / str(made["name"])
    whole = path.read_bytes()
    for part in (b"", whole[: len(whole) // 2], whole.replace(b"files/p", b"files/q")):
        path.write_bytes(part)
        run("verify", kept, code=Exit.CORRUPT)
        run("restore", kept, f"--data-dir={tmp_path / 'new'}", code=Exit.CORRUPT)
    path.write_bytes(with_sum([b'{"format": 2, "product": "9.1", "moment": "m", "more": 1}', b"anything"]))
    refused = str(run("restore", kept, f"--data-dir={tmp_path / 'new'}", code=Exit.CORRUPT)["refused"])
    assert "9.1" in refused
    assert not (tmp_path / "new").exists()


def test_databases_of_a_later_release_are_refused(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    with sqlite3.connect(data / "events.db") as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    run("backup", tmp_path / "backups", f"--data-dir={data}")
    said = run("restore", tmp_path / "backups", f"--data-dir={tmp_path / 'new'}", code=Exit.CORRUPT)
    assert "newer release" in str(said["refused"])
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_not_empty(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    kept = tmp_path / "backup.tar"
    run("backup", kept, f"--data-dir={data}")
    (data / "mine").write_text("a note")
    before = tree(data)
    run("restore", kept, f"--data-dir={data}", code=Exit.CONFLICT)
    engines = bootstrap.open_engines(Settings(data_dir=data, durable=False))
    assert "server" in str(run("restore", kept, f"--data-dir={data}", "--replace", code=Exit.CONFLICT)["refused"])
    engines.close()
    assert tree(data) == before
    aside = Path(str(run("restore", kept, f"--data-dir={data}", "--replace")["replaced"]))
    assert tree(aside) == before
    assert content(aside) == content(data)
    assert not (data / "mine").exists()


def test_files_in_another_folder(
    data: Path, tmp_path: Path, run: Callable[..., Json], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "files").rename(tmp_path / "elsewhere")
    monkeypatch.setenv("CLEARML__TRAINSHED__FILES__FOLDER", str(tmp_path / "elsewhere"))
    run("backup", tmp_path / "b.tar", f"--data-dir={data}")
    said = run("restore", tmp_path / "b.tar", f"--data-dir={tmp_path / 'new'}")
    assert str(tmp_path / "elsewhere") in said["to be moved"]
    assert (tmp_path / "new" / "files" / "p" / "model.bin").read_bytes() == BIG
    monkeypatch.setenv("CLEARML__TRAINSHED__FILES__FOLDER", "")
    monkeypatch.setenv("CLEARML__TRAINSHED__FILES__S3__BUCKET", "weights")
    assert "weights" in run("backup", tmp_path / "c.tar", f"--data-dir={data}")["not in it"]


def test_what_is_refused(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    run("backup", tmp_path / "b", f"--data-dir={tmp_path}", code=Exit.MISSING)
    run("backup", data / "backups", f"--data-dir={data}", code=Exit.USAGE)
    run("verify", tmp_path / "none", code=Exit.MISSING)
    run("restore", tmp_path / "none.tar", f"--data-dir={tmp_path / 'new'}", code=Exit.MISSING)
    run("backup", tmp_path / "b.tar", f"--data-dir={data}")
    run("backup", tmp_path / "b.tar", f"--data-dir={data}", code=Exit.CONFLICT)
    run("restore", tmp_path / "b.tar", f"--data-dir={tmp_path / 'new'}", "--backup=other", code=Exit.MISSING)
    with FolderVault(tmp_path / "b").writing():
        run("backup", tmp_path / "b", f"--data-dir={data}", code=Exit.CONFLICT)
    assert not (tmp_path / "new").exists()


def create(data: Path, vault: FolderVault, scratch: Path, tell: backup.Tell = backup.silent) -> backup.Backup:
    sources = bootstrap.backup_sources(Settings(data_dir=data), scratch)
    return backup.create(sources, vault, clock=bootstrap.system_clock(), product="0", tell=tell)


def test_one_that_is_cut_is_none_and_the_next_takes_what_it_left(data: Path, tmp_path: Path) -> None:
    vault = FolderVault(tmp_path / "backups")

    def die(done: int, total: int) -> None:
        assert total > len(BIG)
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), vault.writing() as scratch:
        create(data, vault, scratch, die)
    assert vault.names() == []
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "backups").rglob("pieces/*/*")}
    assert left
    empty = tmp_path / "backups" / "pieces" / digest_of(BIG[:PIECE])[:2] / digest_of(BIG[:PIECE])
    empty.write_bytes(b"")  # as a power cut leaves it
    del left[empty.name]
    vault = FolderVault(tmp_path / "backups")
    with vault.writing() as scratch:
        made = create(data, vault, scratch)
    assert {name: (tmp_path / "backups/pieces" / name[:2] / name).stat().st_mtime_ns for name in left} == left
    assert backup.verify(vault, made, checked=set()) == []
    assert not list((tmp_path / "backups").glob("unfinished-*"))


def test_no_space(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = FolderVault(tmp_path / "backups")
    with vault.writing() as scratch:
        monkeypatch.setattr(vault, "free", lambda: len(BIG))
        with pytest.raises(StoreFull, match=str(len(BIG))):
            create(data, vault, scratch)
        assert tree(tmp_path / "backups/pieces") == set()


def test_a_restore_that_is_cut_leaves_no_server(data: Path, tmp_path: Path, run: Callable[..., Json]) -> None:
    new = tmp_path / "new"
    run("backup", tmp_path / "b.tar", f"--data-dir={data}")
    vault = bootstrap.backup_archive(tmp_path / "b.tar")
    target = bootstrap.restore_target(new)
    with target.writing():
        target.put("events.db", [b"half"])
        (new / "events.db").write_bytes(b"half")  # as if killed while everything got its place
    with pytest.raises(Exception, match="restore again"):
        bootstrap.open_engines(Settings(data_dir=new))
    assert not target.occupied()
    assert vault.names()
    run("restore", tmp_path / "b.tar", f"--data-dir={new}")
    assert content(new) == content(data)


NAMES = (
    "../x",
    "files/../../x",
    "/etc/x",
    "files//x",
    "files/./x",
    "files",
    "",
    "other/x",
    "x",
    "files/a\0b",
    ".restoring/x",
    "documents.db/x",
    "x.db-wal",
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_backup_has(tmp_path: Path, name: str) -> None:
    target = bootstrap.restore_target(tmp_path / "new")
    with target.writing(), pytest.raises(Damaged):
        target.put(name, [b"x"])
    target.abort()
    assert tree(tmp_path) == set()


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    target = bootstrap.restore_target(tmp_path / "new")
    with target.writing():
        (target.staging / "files").symlink_to(tmp_path)
        with pytest.raises(Exception, match="files"):
            target.put("files/x", [b"x"])
    assert not (tmp_path / "x").exists()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


PIECE_NAME = "pieces/" + "0" * 64
MEMBERS = {
    "symlink": member(PIECE_NAME, tarfile.SYMTYPE, "/etc/passwd"),
    "hard link": member(PIECE_NAME, tarfile.LNKTYPE, "/etc/passwd"),
    "device": member(PIECE_NAME, tarfile.CHRTYPE),
    "pipe": member(PIECE_NAME, tarfile.FIFOTYPE),
    "folder": member(PIECE_NAME, tarfile.DIRTYPE),
    "sparse": member(PIECE_NAME, tarfile.GNUTYPE_SPARSE),
    "absolute": member("/" + PIECE_NAME),
    "above": member("../" + PIECE_NAME),
    "below": member("pieces/../" + PIECE_NAME),
    "other": member("etc/passwd"),
    "list above": member("backups/../x"),
    "hidden list": member("backups/.x"),
}


@pytest.mark.parametrize("bad", MEMBERS.values(), ids=MEMBERS)
def test_members_that_no_archive_of_ours_has(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w:") as tar:
        tar.addfile(bad)
    with pytest.raises(Damaged):
        TarReader(tmp_path / "bad.tar")


def test_archives_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no archive" * 1000)
    with tarfile.open(tmp_path / "packed.tar", "w:gz") as tar:  # it might unpack to anything
        tar.addfile(member(PIECE_NAME))
    with tarfile.open(tmp_path / "twice.tar", "w:") as tar:
        tar.addfile(member(PIECE_NAME))
        tar.addfile(member(PIECE_NAME))
    for name in ("text.tar", "packed.tar", "twice.tar"):
        with pytest.raises(Damaged):
            TarReader(tmp_path / name)


def test_an_archive_that_names_a_file_outside(tmp_path: Path, run: Callable[..., Json]) -> None:
    header = {"format": 1, "product": "0", "moment": "m"}
    lines = with_sum(map(msgspec.json.encode, (header, ["files/../../x", "", 1, [digest_of(b"x")]])))
    with tarfile.open(tmp_path / "bad.tar", "w:") as tar:
        for name, text in ((f"pieces/{digest_of(b'x')}", b"x"), ("backups/bad", lines)):
            found = member(name)
            found.size = len(text)
            tar.addfile(found, io.BytesIO(text))
    run("restore", tmp_path / "bad.tar", f"--data-dir={tmp_path / 'new'}", code=Exit.CORRUPT)
    assert tree(tmp_path) == {"bad.tar"}


def test_progress() -> None:
    assert Progress.line(0, 0, 1) == "0 %  0 B of 0 B, 0:00 left"
    assert Progress.line(2_100_000_000, 4_700_000_000, 65) == "44 %  2.1 GB of 4.7 GB, 1:20 left"
    assert [amount(count) for count in (0, 999, 1000, 1.5e12, 9e16)] == ["0 B", "999 B", "1 kB", "1.5 TB", "9e+04 TB"]
