import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainshed.adapters.files.blobs import FileBlobs
from trainshed.domain.errors import InvalidKey, NotFound, StoreError, StoreFull
from trainshed.ports.blobs import Blobs, Upload
from trainshed.testing.blobs_conformance import BlobsConformance, content

_INCOMING = ".trainshed-incoming"


class TestFileBlobs(BlobsConformance):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> Blobs:
        return FileBlobs(tmp_path / "files")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
def blobs(root: Path) -> FileBlobs:
    return FileBlobs(root)


def tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_the_key_is_the_path_and_only_the_owner_reads(blobs: FileBlobs, root: Path) -> None:
    blobs.put("a/b.txt", [b"x"])
    assert (root / "a/b.txt").read_bytes() == b"x"
    assert (root / "a/b.txt").stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in (root, root / "a", root / _INCOMING))


def test_uploads_leave_room_for_deleting(root: Path) -> None:
    FileBlobs(root).put("a", [b"kept"])
    full = FileBlobs(root, reserve=2**62)
    with pytest.raises(StoreFull):
        full.put("a", [b"too much"])
    assert content(full, "a") == b"kept"
    assert tree(root) == {_INCOMING, "a"}
    full.delete("a")


def test_delete_removes_emptied_folders(blobs: FileBlobs, root: Path) -> None:
    blobs.put("a/b/c/d", [b"x"])
    blobs.put("a/e", [b"x"])
    blobs.delete("a/b/c/d")
    assert tree(root) == {_INCOMING, "a", "a/e"}


def test_a_put_that_fails_leaves_nothing(blobs: FileBlobs, root: Path) -> None:
    def leaving() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.put("a/b", leaving())
    assert tree(root) == {_INCOMING}


def test_a_full_disk_is_said_and_leaves_nothing(blobs: FileBlobs, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, piece: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreFull):
        blobs.put("a/b", [b"x"])
    assert tree(root) == {_INCOMING}


def test_a_killed_put_is_swept_and_a_living_one_is_not(blobs: FileBlobs, root: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from trainshed.adapters.files.blobs import FileBlobs\n"
        "def content():\n"
        "    yield b'half'\n"
        "    print('written', flush=True)\n"
        "    sys.stdin.read()\n"
        "    yield b' and half'\n"
        "FileBlobs(pathlib.Path(sys.argv[1])).put(sys.argv[2], content())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, root, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for key in ("killed", "alive")
    ]
    killed, alive = processes
    with killed, alive:
        for process in processes:
            assert process.stdout and process.stdout.readline() == b"written\n"
        assert len(list((root / _INCOMING).iterdir())) == 2
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        FileBlobs(root)
        assert len(list((root / _INCOMING).iterdir())) == 1
        alive.communicate()
    assert tree(root) == {_INCOMING, "alive"}
    assert content(blobs, "alive") == b"half and half"


def test_links_lead_nowhere(blobs: FileBlobs, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    for key in ("folder/secret", "file"):
        with pytest.raises(NotFound):
            blobs.info(key)
        with pytest.raises(NotFound):
            blobs.delete(key)
    with pytest.raises(InvalidKey):
        blobs.put("folder/new", [b"x"])
    blobs.put("file", [b"a file in the place of the link"])
    assert tree(outside) == {"secret"}
    assert (outside / "secret").read_text() == "secret"


def test_a_named_pipe_is_not_waited_for(blobs: FileBlobs, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(NotFound):
        blobs.info("pipe")


def test_no_key_reaches_the_folder_of_unfinished_files(blobs: FileBlobs, root: Path) -> None:
    blobs.put(f"{_INCOMING}/x", [b"x"])
    assert not list((root / _INCOMING).iterdir())
    assert content(blobs, f"{_INCOMING}/x") == b"x"


def test_the_root_may_be_a_link_but_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    FileBlobs(tmp_path / "link").put("a", [b"x"])
    assert (tmp_path / "disk/a").read_bytes() == b"x"
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        FileBlobs(tmp_path / "file")


def test_a_file_cut_short_behind_our_back_is_an_error(blobs: FileBlobs, root: Path) -> None:
    blobs.put("a", [b"x" * 100])
    with blobs.open("a") as reader:
        os.truncate(root / "a", 10)
        with pytest.raises(StoreError):
            list(reader.chunks(0, 100))


@pytest.mark.parametrize("left", ["a/b/c", "a/b", "a"])
def test_a_second_delete_removes_the_folders_that_a_killed_one_left(tmp_path: Path, left: str) -> None:
    blobs = FileBlobs(tmp_path)
    (tmp_path / left).mkdir(parents=True)
    with pytest.raises(NotFound):
        blobs.delete("a/b/c/file")
    assert not (tmp_path / "a").exists()


def test_a_part_on_a_full_disk_is_refused_and_what_came_before_stays(
    blobs: FileBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = Upload(key="a", size=4, name="")
    blobs.append(upload, 0, [b"12"])

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        with pytest.raises(StoreFull):
            blobs.append(upload, 2, [b"3"])
    new = FileBlobs(root.parent / "new")
    with monkeypatch.context() as disk:
        disk.setattr(os, "mkdir", full)
        with pytest.raises(StoreFull):
            new.append(upload, 0, [b"1"])
    with pytest.raises(StoreFull):
        FileBlobs(root, reserve=2**62).append(upload, 2, [b"3"])
    assert blobs.held(upload) == 2
    blobs.append(upload, 2, [b"34"])
    blobs.finish(upload)
    assert content(blobs, "a") == b"1234"


def test_an_upload_is_read_by_its_owner_alone_and_follows_no_link(blobs: FileBlobs, root: Path, tmp_path: Path) -> None:
    upload = Upload(key="a", size=4, name="")
    blobs.append(upload, 0, [b"12"])
    (part,) = (root / ".trainshed-uploads").iterdir()
    assert part.stat().st_mode & 0o777 == 0o600
    assert part.parent.stat().st_mode & 0o777 == 0o700
    (tmp_path / "outside").write_bytes(b"12")
    part.unlink()
    part.symlink_to(tmp_path / "outside")
    with pytest.raises(StoreError):
        blobs.append(upload, 2, [b"34"])
    assert (tmp_path / "outside").read_bytes() == b"12"


def test_a_part_survives_its_process_and_frees_its_lock(root: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from trainshed.adapters.files.blobs import FileBlobs\n"
        "from trainshed.ports.blobs import Upload\n"
        "def content():\n"
        "    yield b'half'\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "FileBlobs(pathlib.Path(sys.argv[1])).append(Upload(key='a', size=8, name=''), 0, content())\n"
    )
    assert subprocess.run([sys.executable, "-c", script, root], check=False).returncode == -signal.SIGKILL
    blobs, upload = FileBlobs(root), Upload(key="a", size=8, name="")
    assert blobs.held(upload) == 4
    blobs.append(upload, 4, [b"half"])
    blobs.finish(upload)
    assert content(blobs, "a") == b"halfhalf"
