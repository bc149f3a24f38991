"""An archive into a bucket: in parts side by side, composed there, checked, and gone on with after a kill.

Nothing is kept on this machine. What is in the bucket says what is left to do, and every name holds the archive's sha256: two
publishers of one archive do the same work, two of different ones never meet. Every write has a precondition, so none can take
the place of another.
"""

import os
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, Client, Refused, told
from trainshed_provision.publish.gcp.tarball import Piece

if TYPE_CHECKING:
    from google.cloud.storage import Blob

WORKERS = 8
CHUNK_BYTES = 3 << 20  # what a worker holds and sends in one call; a line that breaks costs one
MANAGED = {"managed-by": "trainshed"}  # on every object that is ours: nothing else is ever removed
PARTS = ".parts/"
SESSION_GONE = (404, 410)  # a resumable upload that Google has forgotten: it begins anew

Advance = Callable[[int], None]


def holds(stored: "Blob", piece: Piece) -> bool:
    """Whether it has the very bytes."""
    return (stored.size, stored.crc32c) == (piece.size, piece.crc32c)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket."""

    name: str
    client: Client

    def url(self, key: str) -> str:
        """Where Compute Engine finds an object."""
        return f"https://storage.googleapis.com/{self.name}/{urllib.parse.quote(key)}"

    @told()
    def find(self, key: str) -> "Blob | None":
        """The object, or None; also when there is no such bucket, which `below` tells."""
        return self.client.storage.bucket(self.name).get_blob(key, **self.client.patience)

    @told()
    def below(self, prefix: str) -> list["Blob"]:
        """Every object whose name begins so."""
        return list(self.client.storage.list_blobs(self.name, prefix=prefix, **self.client.patience))

    def remove(self, stored: "Blob") -> None:
        """Delete that generation; gone already is as good."""
        try:
            with told():
                stored.delete(if_generation_match=stored.generation, **self.client.patience)
        except Refused as refused:
            if refused.status != 404:
                raise

    def compose(self, key: str, parts: list["Blob"], whole: Piece) -> "Blob":
        """One object of many. Raises CORRUPT when it is not the archive, and leaves nothing then."""
        stored, generations = self._new(key), [part.generation for part in parts]
        try:
            with told():
                stored.compose(
                    parts, if_generation_match=0, if_source_generation_match=generations, **self.client.patience
                )
        except Refused as refused:
            if refused.status not in (404, 412):
                raise
            if self.find(key) is None:
                raise self._changed(key) from refused
            stored = self.made_by_another(key, whole)
        if not holds(stored, whole):
            self.remove(stored)
            raise self._changed(key)
        return stored

    def upload(
        self, path: Path, pieces: Mapping[str, Piece], *, advance: Advance, workers: int = WORKERS
    ) -> list["Blob"]:
        """Send pieces of a file, by object name, side by side; return what is stored, in the same order.

        advance is told of bytes as they go out, and of a negative number when some have to go out again.
        """
        stop, failed = threading.Event(), list[BaseException]()

        def one(key: str) -> "Blob":
            try:
                return self._send(path, key, pieces[key], advance=advance, stop=stop)
            except BaseException as error:
                failed.append(error)
                stop.set()
                raise

        with ThreadPoolExecutor(max_workers=workers) as pool:
            try:
                return list(pool.map(one, pieces))
            except _Stopped:
                raise failed[0] from None  # what stopped the others
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)

    def _send(self, path: Path, key: str, piece: Piece, *, advance: Advance, stop: threading.Event) -> "Blob":
        """One piece by a resumable session: when the line breaks, the chunk that was on it is sent again."""
        with path.open("rb") as file:
            body = _Body(file=file.fileno(), piece=piece, advance=advance, stop=stop)
            try:
                try:
                    stored = self._try(key, body)
                except Refused as refused:
                    if refused.status not in SESSION_GONE or not body.sent:
                        raise
                    body.rewind()
                    stored = self._try(key, body)
            except Refused as refused:
                if refused.status == HTTPStatus.PRECONDITION_FAILED:
                    return self.made_by_another(key, piece)
                if refused.status == HTTPStatus.BAD_REQUEST and body.sent:  # not the bytes that were measured
                    raise ShedError(
                        f"{path} changed while it was sent: {refused.message}", hint=AGAIN, code=Exit.CORRUPT
                    ) from refused
                raise
        refuse_other(self.name, stored, piece)
        return stored

    def _try(self, key: str, body: "_Body") -> "Blob":
        new = self._new(key)
        # Google compares them before it keeps anything. The client's own checksum would be of what was read a second time, and
        # it deletes what differs without a precondition.
        new.crc32c, new.md5_hash = body.piece.crc32c, body.piece.md5
        try:
            with told():
                new.upload_from_file(body, if_generation_match=0, checksum=None, **self.client.patience)
        except ValueError as error:  # Google kept less of a chunk than it was sent, and its client does not go back
            raise Refused(str(error), status=HTTPStatus.GONE) from error
        return new

    def _new(self, key: str) -> "Blob":
        new = self.client.storage.bucket(self.name).blob(key, chunk_size=CHUNK_BYTES)
        new.content_type, new.metadata = "application/gzip", MANAGED
        return new

    def _changed(self, key: str) -> ShedError:
        where = f"gs://{self.name}/{key}"
        return ShedError(
            f"a part of {where} changed before they were put together",
            hint="see who else writes to this bucket, then " + AGAIN,
            code=Exit.CORRUPT,
        )

    def made_by_another(self, key: str, piece: Piece) -> "Blob":
        """Our precondition failed: another publisher was first, or an answer of ours was lost. Fine, if the bytes are ours."""
        stored = self.find(key)
        if stored is None:
            raise ShedError(f"gs://{self.name}/{key} came and went while it was written", hint=AGAIN)
        refuse_other(self.name, stored, piece)
        return stored


def refuse_other(bucket: str, stored: "Blob", piece: Piece) -> None:
    """Raise CONFLICT unless the object has the piece's bytes."""
    if not holds(stored, piece):
        where = f"gs://{bucket}/{stored.name}"
        raise ShedError(
            f"{where} is there and holds something else ({stored.size} bytes, crc32c {stored.crc32c})",
            hint=f"look at it; if nobody needs it: gcloud storage rm {where}",
            code=Exit.CONFLICT,
        )


class _Stopped(Exception):
    """Another part failed: this one need not be sent."""


@dataclass(kw_only=True)
class _Body:
    """A piece of a file as Google's client reads one: a chunk at a time, so memory stays flat. sent: bytes that it has read."""

    file: int
    piece: Piece
    advance: Advance
    stop: threading.Event
    sent: int = 0

    def tell(self) -> int:
        return self.sent

    def read(self, most: int) -> bytes:
        if self.stop.is_set():
            raise _Stopped
        data = os.pread(self.file, min(most, self.piece.size - self.sent), self.piece.offset + self.sent)
        self.sent += len(data)
        self.advance(len(data))
        return data

    def rewind(self) -> None:
        self.advance(-self.sent)
        self.sent = 0
