"""An archive into a bucket: in parts side by side, composed there, checked, and gone on with after a kill.

Nothing is kept on this machine. What is in the bucket says what is left to do, and every name holds the archive's sha256: two
publishers of one archive do the same work, two of different ones never meet. Every write has a precondition, so none can take
the place of another.
"""

import os
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import AGAIN, WAITS, Broken, Client, Json, Refused, passes
from trainshed_provision.publish.gcp.tarball import Piece

WORKERS = 8
SEND_BYTES = 256 << 10
MANAGED = {"managed-by": "trainshed"}  # on every object that is ours: nothing else is ever removed
PARTS = ".parts/"
SESSION_GONE = (404, 410)  # a resumable upload that Google has forgotten: it begins anew

Advance = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One object that is there. generation: which of its lives this is."""

    name: str
    size: int
    crc32c: str
    generation: str
    created: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, resource: Json) -> "Stored":
        """From Google's description."""
        return cls(
            name=resource["name"],
            size=int(resource["size"]),
            crc32c=resource["crc32c"],
            generation=str(resource["generation"]),
            created=datetime.fromisoformat(resource["timeCreated"]),
            metadata=resource.get("metadata", {}),
        )

    def holds(self, piece: Piece) -> bool:
        """Whether it has the very bytes."""
        return (self.size, self.crc32c) == (piece.size, piece.crc32c)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket."""

    name: str
    client: Client

    def url(self, key: str) -> str:
        """Where Compute Engine finds an object."""
        return f"https://storage.googleapis.com/{self.name}/{urllib.parse.quote(key)}"

    def find(self, key: str) -> Stored | None:
        """The object, or None; also when there is no such bucket, which `below` tells."""
        try:
            return Stored.of(self.client.call("GET", self._object(key)))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def below(self, prefix: str) -> list[Stored]:
        """Every object whose name begins so."""
        url = f"{self.client.storage}/storage/v1/b/{self.name}/o"
        return [Stored.of(item) for item in self.client.pages(url, prefix=prefix)]

    def remove(self, stored: Stored) -> None:
        """Delete that generation; gone already is as good."""
        try:
            self.client.call("DELETE", self._object(stored.name), query={"ifGenerationMatch": stored.generation})
        except Refused as refused:
            if refused.status != 404:
                raise

    def compose(self, key: str, parts: list[Stored], whole: Piece) -> Stored:
        """One object of many. Raises CORRUPT when it is not the archive, and leaves nothing then."""
        sources = [{"name": p.name, "objectPreconditions": {"ifGenerationMatch": p.generation}} for p in parts]
        destination = {"contentType": "application/gzip", "metadata": MANAGED}
        try:
            answer = self.client.call(
                "POST",
                self._object(key) + "/compose",
                body={"sourceObjects": sources, "destination": destination},
                query={"ifGenerationMatch": "0"},
            )
            stored = Stored.of(answer)
        except Refused as refused:
            if refused.status not in (404, 412):
                raise
            if self.find(key) is None:
                raise self._changed(key) from refused
            stored = self.made_by_another(key, whole)
        if not stored.holds(whole):
            self.remove(stored)
            raise self._changed(key)
        return stored

    def upload(
        self, path: Path, pieces: Mapping[str, Piece], *, advance: Advance, workers: int = WORKERS
    ) -> list[Stored]:
        """Send pieces of a file, by object name, side by side; return what is stored, in the same order.

        advance is told of bytes as they go out, and of a negative number when some have to go out again.
        """
        stop, failed = threading.Event(), list[BaseException]()

        def one(key: str) -> Stored:
            try:
                return _Upload(self, path, key, pieces[key], advance=advance, stop=stop).run()
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

    def _changed(self, key: str) -> ShedError:
        where = f"gs://{self.name}/{key}"
        return ShedError(
            f"a part of {where} changed before they were put together",
            hint="see who else writes to this bucket, then " + AGAIN,
            code=Exit.CORRUPT,
        )

    def _object(self, key: str) -> str:
        return f"{self.client.storage}/storage/v1/b/{self.name}/o/{urllib.parse.quote(key, safe='')}"

    def made_by_another(self, key: str, piece: Piece) -> Stored:
        """Our precondition failed: another publisher was first, or an answer of ours was lost. Fine, if the bytes are ours."""
        stored = self.find(key)
        if stored is None:
            raise Broken(f"gs://{self.name}/{key} came and went while it was written")
        refuse_other(self.name, stored, piece)
        return stored


def refuse_other(bucket: str, stored: Stored, piece: Piece) -> None:
    """Raise CONFLICT unless the object has the piece's bytes."""
    if not stored.holds(piece):
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
    """A piece of a file as the body of a request, from `start` on: read as it is sent, so memory stays flat."""

    file: int
    piece: Piece
    start: int
    advance: Advance
    stop: threading.Event
    sent: int = 0

    def __len__(self) -> int:
        return self.piece.size - self.start

    def __iter__(self) -> Iterator[bytes]:
        self.advance(-self.sent)  # a second time through: a credential was renewed in between
        self.sent = 0
        while self.sent < len(self):
            if self.stop.is_set():
                raise _Stopped
            at = self.piece.offset + self.start + self.sent
            data = os.pread(self.file, min(SEND_BYTES, len(self) - self.sent), at)
            if not data:
                raise ShedError("the archive became shorter while it was sent", code=Exit.CORRUPT)
            yield data
            self.sent += len(data)
            self.advance(len(data))


class _Upload:
    """One piece by a resumable session: when the line breaks, Google says how much it has, and the rest is sent."""

    def __init__(
        self, bucket: Bucket, path: Path, key: str, piece: Piece, *, advance: Advance, stop: threading.Event
    ) -> None:
        self._bucket, self._client = bucket, bucket.client
        self._path, self._key, self._piece = path, key, piece
        self._tell, self._stop, self._told = advance, stop, 0

    def run(self) -> Stored:
        """Send it all, and return what is stored."""
        try:
            try:
                stored = self._send(self._session())
            except Refused as refused:
                if refused.status not in SESSION_GONE:
                    raise
                self._advance(-self._told)
                stored = self._send(self._session())
        except Refused as refused:
            if refused.status == HTTPStatus.PRECONDITION_FAILED:
                return self._bucket.made_by_another(self._key, self._piece)
            if (
                refused.status == HTTPStatus.BAD_REQUEST and self._told
            ):  # not the bytes whose checksums began the session
                raise ShedError(
                    f"{self._path} changed while it was sent: {refused.message}", hint=AGAIN, code=Exit.CORRUPT
                ) from refused
            raise
        refuse_other(
            self._bucket.name, stored, self._piece
        )  # Google compared the checksums too, before it kept anything
        return stored

    def _advance(self, count: int) -> None:
        self._told += count
        self._tell(count)

    def _session(self) -> str:
        answer = self._client.send(
            "POST",
            f"{self._client.storage}/upload/storage/v1/b/{self._bucket.name}/o",
            params={"uploadType": "resumable", "ifGenerationMatch": "0"},
            json={
                "name": self._key,
                "contentType": "application/gzip",
                "crc32c": self._piece.crc32c,
                "md5Hash": self._piece.md5,
                "metadata": MANAGED,
            },
        )
        return str(answer.headers["Location"])

    def _send(self, session: str) -> Stored:
        kept = tries = 0
        with self._path.open("rb") as file:
            while True:
                body = _Body(file=file.fileno(), piece=self._piece, start=kept, advance=self._advance, stop=self._stop)
                try:
                    return Stored.of(self._put(session, f"{kept}-{self._piece.size - 1}", data=body, waits=()).json())
                except (Broken, Refused) as problem:
                    if not passes(problem):
                        raise
                before = kept
                kept, stored = self._ask(session)
                self._advance(kept - before - body.sent)
                if stored is not None:
                    return stored
                tries = 0 if kept > before else tries + 1
                if tries > len(WAITS):
                    raise Broken(f"the line to Google breaks whenever gs://{self._bucket.name}/{self._key} is sent")
                if tries:
                    self._client.sleep(WAITS[tries - 1])

    def _ask(self, session: str) -> tuple[int, Stored | None]:
        """How many bytes Google has, and the object if that is all."""
        answer = self._put(session, "*")
        if answer.status_code != HTTPStatus.PERMANENT_REDIRECT:
            return self._piece.size, Stored.of(answer.json())
        kept = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
        return (int(kept[1]) + 1 if kept else 0), None

    def _put(self, session: str, span: str, **arguments: Any) -> requests.Response:
        span = f"bytes {span}/{self._piece.size}"
        return self._client.send("PUT", session, headers={"Content-Range": span}, **arguments)
