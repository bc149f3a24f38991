"""What every engine of the Blobs port must do. Bind it: a subclass with a fixture `blobs`."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from trainshed.domain.errors import Busy, InvalidKey, NotFound, StoreError, WrongOffset
from trainshed.ports.blobs import Blobs, Upload

# Longer than one piece of any engine, and not a multiple of one.
_LONG = hashlib.shake_256(b"blobs").digest(1_000_003)


class _ClientGoneError(OSError):
    """An OSError on purpose: an engine must not take it for one of its own."""


def content(blobs: Blobs, key: str) -> bytes:
    with blobs.open(key) as reader:
        return b"".join(reader.chunks(0, reader.info.size))


class BlobsConformance:
    """The contract of ports.blobs, as tests.

    has_folders: a key is a file or a folder, never both. keeps_open: an open reader keeps its content when that is replaced.
    turns: of the test with many threads.
    """

    has_folders = True
    keeps_open = True
    turns = 50

    @pytest.mark.parametrize(
        "key", ["a", "a/b/c.txt", "%2e%2e/x y", "données/模型", "模" * 250, "x" * 255 + "/y", ".hidden/.x"]
    )
    def test_what_was_put_is_read(self, blobs: Blobs, key: str) -> None:
        info = blobs.put(key, [b"hello ", b"", b"world"])
        assert (info.key, info.size) == (key, 11)
        assert info.modified.utcoffset() is not None
        assert '"' not in info.etag
        assert blobs.info(key) == info
        assert content(blobs, key) == b"hello world"

    def test_empty_content_is_a_file(self, blobs: Blobs) -> None:
        assert blobs.put("empty", []).size == 0
        assert content(blobs, "empty") == b""

    def test_pieces_are_bounded_and_whole(self, blobs: Blobs) -> None:
        blobs.put("long", [_LONG])
        with blobs.open("long") as reader:
            pieces = list(reader.chunks(0, reader.info.size))
        assert b"".join(pieces) == _LONG
        assert max(map(len, pieces)) <= 256 * 1024

    @pytest.mark.parametrize(("start", "length"), [(0, 1), (5, 300_000), (262_144, 262_144), (1_000_002, 1), (7, 0)])
    def test_a_range_is_read(self, blobs: Blobs, start: int, length: int) -> None:
        blobs.put("long", [_LONG])
        with blobs.open("long") as reader:
            assert b"".join(reader.chunks(start, length)) == _LONG[start : start + length]

    def test_put_replaces_and_the_etag_tells(self, blobs: Blobs) -> None:
        first = blobs.put("a/b", [b"one"])
        second = blobs.put("a/b", [b"two"])
        assert first.etag != second.etag
        assert content(blobs, "a/b") == b"two"

    def test_a_failed_put_keeps_what_was_there(self, blobs: Blobs) -> None:
        def leaving() -> Iterator[bytes]:
            yield b"half"
            raise _ClientGoneError

        before = blobs.put("a", [b"whole"])
        for key in ("a", "new/file"):
            with pytest.raises(_ClientGoneError):
                blobs.put(key, leaving())
        assert blobs.info("a") == before
        assert content(blobs, "a") == b"whole"
        with pytest.raises(NotFound):
            blobs.info("new/file")

    def test_an_unfinished_put_is_not_seen(self, blobs: Blobs) -> None:
        def watched() -> Iterator[bytes]:
            yield b"new "
            assert content(blobs, "a") == b"old"
            yield b"content"

        blobs.put("a", [b"old"])
        blobs.put("a", watched())
        assert content(blobs, "a") == b"new content"

    def test_an_open_reader_keeps_its_content(self, blobs: Blobs) -> None:
        blobs.put("a", [b"old"])
        with blobs.open("a") as reader:
            blobs.put("a", [b"newer"])
            if not self.keeps_open:
                with pytest.raises(StoreError):
                    list(reader.chunks(0, reader.info.size))
                return
            assert b"".join(reader.chunks(0, reader.info.size)) == b"old"
            blobs.delete("a")
            assert b"".join(reader.chunks(0, reader.info.size)) == b"old"

    def test_deleted_is_gone(self, blobs: Blobs) -> None:
        blobs.put("a/b/c", [b"1"])
        blobs.put("a/d", [b"2"])
        blobs.delete("a/b/c")
        with pytest.raises(NotFound):
            blobs.info("a/b/c")
        assert content(blobs, "a/d") == b"2"

    def test_a_file_put_since_stays(self, blobs: Blobs) -> None:
        modified = blobs.put("a/b", [b"new"]).modified
        assert blobs.delete("a/b", before=modified) is False
        assert content(blobs, "a/b") == b"new"
        assert blobs.delete("a/b", before=modified + timedelta(seconds=1)) is True
        with pytest.raises(NotFound):
            blobs.delete("a/b", before=modified)

    @pytest.mark.parametrize("key", ["missing", "a", "a/b/c", "a/x", "x" * 300])
    def test_what_is_no_file_is_not_found(self, blobs: Blobs, key: str) -> None:
        blobs.put("a/b", [b"file"])
        for call in (blobs.info, blobs.delete):
            with pytest.raises(NotFound):
                call(key)
        with pytest.raises(NotFound), blobs.open(key):
            pass
        assert content(blobs, "a/b") == b"file"

    @pytest.mark.parametrize("key", ["a", "a/b/c", "a/b/c/d"])
    def test_a_key_is_a_file_or_a_folder(self, blobs: Blobs, key: str) -> None:
        if not self.has_folders:
            pytest.skip("an object store has no folders")
        blobs.put("a/b", [b"file"])
        with pytest.raises(InvalidKey):
            blobs.put(key, [b"other"])
        upload = Upload(key=key, size=1, name="")
        blobs.append(upload, 0, [b"x"])
        with pytest.raises(InvalidKey):
            blobs.finish(upload)
        assert content(blobs, "a/b") == b"file"

    def test_an_emptied_folder_leaves_its_name_free(self, blobs: Blobs) -> None:
        blobs.put("a/b/c", [b"1"])
        blobs.delete("a/b/c")
        blobs.put("a", [b"2"])
        assert content(blobs, "a") == b"2"

    def test_puts_and_deletes_of_many_threads(self, blobs: Blobs) -> None:
        """Each puts and deletes its own file in one folder, so that the folder comes and goes all the time."""
        start = threading.Barrier(4)

        def work(worker: int) -> None:
            start.wait()
            for turn in range(self.turns):
                blobs.put(f"deep/er/{worker}", [b"%d" % turn])
                assert content(blobs, f"deep/er/{worker}") == b"%d" % turn
                blobs.delete(f"deep/er/{worker}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        with pytest.raises(NotFound):
            blobs.info("deep/er/0")

    def test_files_are_listed_by_folder(self, blobs: Blobs) -> None:
        keys = ["a/b/c", "a/b/d e/%2f", "a/bc", "模" * 250 + "/x", "z", ".hidden"]
        infos = {key: blobs.put(key, [key.encode()]) for key in keys}
        assert sum(info.size for info in blobs.files()) == sum(info.size for info in infos.values())
        assert {info.key for info in blobs.files("a/b")} == {"a/b/c", "a/b/d e/%2f"}
        assert list(blobs.files("a/b/c")) == list(blobs.files("a/x")) == list(blobs.files("a/b/c/d")) == []
        for info in blobs.files():  # whatever they are called there, they can be named by it
            assert blobs.delete(info.key)
        assert list(blobs.files()) == []

    def test_an_upload_in_parts_is_seen_when_it_is_finished(self, blobs: Blobs) -> None:
        upload = Upload(key="a/b", size=len(_LONG), name="one")
        blobs.put("a/b", [b"former"])
        assert blobs.held(upload) == 0
        assert blobs.append(upload, 0, [_LONG[:5], _LONG[5:300_000]]) == 300_000
        assert blobs.held(upload) == 300_000
        for start in (300_000, 700_000):
            blobs.append(upload, start, [_LONG[start : start + 400_000]])
        assert content(blobs, "a/b") == b"former"
        assert [info.key for info in blobs.files()] == ["a/b"]
        seen: list[bytes] = []
        info = blobs.finish(upload, lambda pieces: seen.extend(pieces))
        assert b"".join(seen) == content(blobs, "a/b") == _LONG
        assert info == blobs.info("a/b")
        assert blobs.held(upload) == 0

    def test_a_part_that_breaks_off_is_kept_as_far_as_it_came(self, blobs: Blobs) -> None:
        def leaving() -> Iterator[bytes]:
            yield b"456"
            raise _ClientGoneError

        upload = Upload(key="a", size=10, name="")
        blobs.append(upload, 0, [b"0123"])
        with pytest.raises(_ClientGoneError):
            blobs.append(upload, 4, leaving())
        assert blobs.held(upload) == 7
        blobs.append(upload, 7, [b"789"])
        blobs.finish(upload)
        assert content(blobs, "a") == b"0123456789"

    def test_a_part_must_go_on_where_the_last_one_ended(self, blobs: Blobs) -> None:
        upload = Upload(key="a", size=10, name="")
        blobs.append(upload, 0, [b"0123"])
        for start in (1, 3, 5, 9):
            with pytest.raises(WrongOffset) as raised:
                blobs.append(upload, start, [b"x"])
            assert raised.value.held == 4
        with pytest.raises(WrongOffset):
            blobs.finish(upload)
        with pytest.raises(WrongOffset):
            blobs.finish(Upload(key="unknown", size=10, name=""))
        assert blobs.append(upload, 0, [b"anew"]) == 4
        blobs.append(upload, 4, [b"456789"])
        blobs.finish(upload)
        assert content(blobs, "a") == b"anew456789"

    def test_uploads_of_one_key_do_not_meet(self, blobs: Blobs) -> None:
        names = [
            Upload(key="a", size=4, name="one"),
            Upload(key="a", size=4, name="two"),
            Upload(key="a", size=3, name="one"),
        ]
        for upload in names:
            blobs.append(upload, 0, [b"%d" % names.index(upload)] * 3)
        assert [blobs.held(upload) for upload in names] == [3, 3, 3]
        blobs.finish(names[2])
        assert content(blobs, "a") == b"222"
        assert blobs.held(names[0]) == 3

    def test_two_cannot_add_at_once(self, blobs: Blobs) -> None:
        upload = Upload(key="a", size=3, name="")

        def others() -> Iterator[bytes]:
            yield b"1"
            with pytest.raises(Busy):
                blobs.append(upload, 0, [b"x"])
            with pytest.raises(Busy):
                blobs.finish(upload)
            yield b"23"

        blobs.append(upload, 0, others())
        blobs.finish(upload)
        assert content(blobs, "a") == b"123"

    def test_what_the_check_refuses_is_dropped(self, blobs: Blobs) -> None:
        def refuse(pieces: Iterable[bytes]) -> None:
            assert b"".join(pieces) == b"new"
            raise _ClientGoneError

        blobs.put("a", [b"former"])
        upload = Upload(key="a", size=3, name="")
        blobs.append(upload, 0, [b"new"])
        with pytest.raises(_ClientGoneError):
            blobs.finish(upload, refuse)
        assert blobs.held(upload) == 0
        assert content(blobs, "a") == b"former"

    def test_abandoned_uploads_are_forgotten(self, blobs: Blobs) -> None:
        upload = Upload(key="a", size=3, name="")
        blobs.append(upload, 0, [b"12"])
        assert blobs.forget_uploads(datetime(2001, 1, 1, tzinfo=UTC)) == 0
        assert blobs.held(upload) == 2
        assert blobs.forget_uploads(datetime(2100, 1, 1, tzinfo=UTC)) == 1
        assert blobs.held(upload) == 0
        assert blobs.forget_uploads(datetime(2100, 1, 1, tzinfo=UTC)) == 0

    def test_an_upload_on_its_way_is_not_forgotten(self, blobs: Blobs) -> None:
        upload = Upload(key="a", size=2, name="")

        def content_of_it() -> Iterator[bytes]:
            yield b"1"
            assert blobs.forget_uploads(datetime(2001, 1, 1, tzinfo=UTC)) == 0
            yield b"2"

        blobs.append(upload, 0, content_of_it())
        blobs.finish(upload)
        assert content(blobs, "a") == b"12"
