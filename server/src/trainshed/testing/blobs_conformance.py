"""What every engine of the Blobs port must do. Bind it: a subclass with a fixture `blobs`."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from trainshed.domain.errors import InvalidKey, NotFound
from trainshed.ports.blobs import Blobs

# Longer than one piece of any engine, and not a multiple of one.
_LONG = hashlib.shake_256(b"blobs").digest(1_000_003)


class _ClientGoneError(OSError):
    """An OSError on purpose: an engine must not take it for one of its own."""


def content(blobs: Blobs, key: str) -> bytes:
    with blobs.open(key) as reader:
        return b"".join(reader.chunks(0, reader.info.size))


class BlobsConformance:
    """The contract of ports.blobs, as tests."""

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
        blobs.put("a/b", [b"file"])
        with pytest.raises(InvalidKey):
            blobs.put(key, [b"other"])
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
            for turn in range(50):
                blobs.put(f"deep/er/{worker}", [b"%d" % turn])
                assert content(blobs, f"deep/er/{worker}") == b"%d" % turn
                blobs.delete(f"deep/er/{worker}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        with pytest.raises(NotFound):
            blobs.info("deep/er/0")
