"""Cloud Storage as far as publishing uses it: resumable uploads, composition, generations, preconditions, checksums.

Form is checked by Google's discovery document. Behaviour is what the documentation of the JSON API promises: an object has a
generation and is replaced as a whole; a resumable session keeps whole units of 256 KiB; a composite has a crc32c and no MD5.
"""

import base64
import hashlib
import itertools
import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

import google_crc32c

from trainshed_provision.testing.discovery import Method, Refused, invalid
from trainshed_provision.testing.loopback import PIECE, Answer, Cut, Request

UNIT = 256 << 10  # what a session keeps of a line that broke, and what a chunk in the middle is a multiple of
MOST_SOURCES = 32  # of one composition
PAGE = 3  # objects in one answer of a list; Google's is 1,000, and a client that never sees a second page has not been tested
DATA = "storage.objects.insert data"  # what a PUT to a session is called in the log


@dataclass
class Object:
    """One generation of an object."""

    name: str
    data: bytes
    generation: int
    metadata: dict[str, str]
    created: str
    components: int = 0  # 0: not a composite

    def resource(self, bucket: str) -> dict[str, Any]:
        """As Google describes it."""
        described = {
            "kind": "storage#object",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(len(self.data)),
            "crc32c": crc32c(self.data),
            "metadata": self.metadata,
            "timeCreated": self.created,
            "storageClass": "STANDARD",
        }
        if self.components:
            return described | {"componentCount": self.components}
        return described | {"md5Hash": md5(self.data)}


@dataclass
class Session:
    """A resumable upload that is not done."""

    bucket: str
    resource: dict[str, Any]
    query: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    done: dict[str, Any] | None = None


def crc32c(data: bytes) -> str:
    """As in the JSON API: base64 of the big-endian number."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def md5(data: bytes) -> str:
    """As in the JSON API."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


class Storage:
    """The buckets of one Google."""

    def __init__(self, now: Any) -> None:
        self.buckets: dict[str, dict[str, Object]] = {}
        self.sessions: dict[str, Session] = {}
        self._now = now
        self._generations = itertools.count(1_700_000_000_000_001)

    def put(self, bucket: str, name: str, data: bytes, metadata: dict[str, str] | None = None) -> Object:
        """A new generation, whoever makes it."""
        made = Object(
            name, data, next(self._generations), metadata or {}, self._now().isoformat().replace("+00:00", "Z")
        )
        self.buckets[bucket][name] = made
        return made

    def handle(self, method: Method, arguments: dict[str, str], request: Request) -> Answer:
        """One call of the JSON API, whose form was checked."""
        found = {name: urllib.parse.unquote(value) for name, value in arguments.items()}
        bucket = found.get("bucket") or found["destinationBucket"]
        if bucket not in self.buckets:
            raise Refused(404, "notFound", "The specified bucket does not exist.")
        answers = {
            "storage.objects.insert": self._start,
            "storage.objects.get": self._get,
            "storage.objects.list": self._list,
            "storage.objects.delete": self._delete,
            "storage.objects.compose": self._compose,
        }
        if method.id not in answers:
            raise Refused(501, "notImplemented", f"{method.id} is not in this stand-in")
        return answers[method.id](bucket, found.get("object") or found.get("destinationObject", ""), request)

    def _meets(self, bucket: str, name: str, query: dict[str, str]) -> None:
        wanted = query.get("ifGenerationMatch")
        there = self.buckets[bucket].get(name)
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            raise Refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")

    def _find(self, bucket: str, name: str, generation: object = None) -> Object:
        there = self.buckets[bucket].get(name)
        if there is None or (generation is not None and str(generation) != str(there.generation)):
            raise Refused(404, "notFound", f"No such object: {bucket}/{name}")
        return there

    def _get(self, bucket: str, name: str, request: Request) -> Answer:
        return Answer(self._find(bucket, name, request.query.get("generation")).resource(bucket))

    def _delete(self, bucket: str, name: str, request: Request) -> Answer:
        self._find(bucket, name)
        self._meets(bucket, name, request.query)
        del self.buckets[bucket][name]
        return Answer(status=204)

    def _list(self, bucket: str, name: str, request: Request) -> Answer:
        prefix, token = request.query.get("prefix", ""), request.query.get("pageToken", "")
        names = [n for n in sorted(self.buckets[bucket]) if n.startswith(prefix) and n > token]
        page: dict[str, Any] = {"kind": "storage#objects"}
        if names:
            page["items"] = [self.buckets[bucket][n].resource(bucket) for n in names[:PAGE]]
        if len(names) > PAGE:
            page["nextPageToken"] = names[PAGE - 1]
        return Answer(page)

    def _compose(self, bucket: str, name: str, request: Request) -> Answer:
        sources = request.body.get("sourceObjects", [])
        if not 1 <= len(sources) <= MOST_SOURCES:
            raise invalid(
                f"The number of source components provided ({len(sources)}) must be between 1 and {MOST_SOURCES}."
            )
        self._meets(bucket, name, request.query)
        parts = [self._find(bucket, source["name"], source.get("generation")) for source in sources]
        for source, part in zip(sources, parts, strict=True):
            self._meets(bucket, part.name, source.get("objectPreconditions", {}))
        metadata = request.body.get("destination", {}).get("metadata", {})
        made = self.put(bucket, name, b"".join(part.data for part in parts), metadata)
        made.components = sum(max(1, part.components) for part in parts)
        return Answer(made.resource(bucket))

    def _start(self, bucket: str, name: str, request: Request) -> Answer:
        if not request.path.startswith("/upload/") or request.query.get("uploadType") != "resumable":
            raise Refused(501, "notImplemented", "only resumable uploads are in this stand-in")
        resource = request.body
        if not resource.get("name"):
            raise Refused(400, "required", "Required field 'name' not specified")
        self._meets(bucket, resource["name"], request.query)
        key = f"session-{next(self._generations)}"
        self.sessions[key] = Session(bucket, resource, request.query)
        where = f"http://{request.headers['host']}{request.path}?uploadType=resumable&upload_id={key}"
        return Answer(headers={"location": where})

    def receive(self, session: Session, request: Request, lock: Any) -> Answer:
        """A PUT to a session: a chunk, or the question how much is there. Bytes that came before a line broke are kept."""
        if session.done is not None:
            return Answer(session.done)
        span = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\*|\d+)", request.headers.get("content-range", ""))
        if span is None:
            raise Refused(400, "invalid", "Failed to parse Content-Range header.")
        total = None if span[3] == "*" else int(span[3])
        if span[1]:
            first, last = int(span[1]), int(span[2])
            if first > len(session.data):
                raise Refused(
                    503, "backendError", f"the session has {len(session.data)} bytes, the chunk begins at {first}"
                )
            if last + 1 != total and (last + 1 - first) % UNIT:
                raise invalid("a chunk that is not the last has to be a multiple of 256 KiB")
            self._take(session, request, first, last + 1)
        if total is None or len(session.data) < total:
            kept = {"range": f"bytes=0-{len(session.data) - 1}"} if session.data else {}
            return Answer(status=308, headers=kept)
        with lock:
            return self._finish(session)

    def _take(self, session: Session, request: Request, first: int, end: int) -> None:
        """A chunk from its first byte to its end; what the session has of it already is passed over."""
        at = first
        try:
            while at < end:
                if not (piece := request.read(PIECE)):
                    raise Cut
                session.data += piece[max(0, len(session.data) - at) :]
                at += len(piece)
        except (Cut, ConnectionError):
            del session.data[len(session.data) // UNIT * UNIT :]
            raise Cut from None

    def _finish(self, session: Session) -> Answer:
        resource, data = session.resource, bytes(session.data)
        for name, of in (("crc32c", crc32c), ("md5Hash", md5)):
            if resource.get(name, of(data)) != of(data):
                raise invalid(f"Provided {name} doesn't match calculated {name} {of(data)}.")
        self._meets(session.bucket, resource["name"], session.query)
        made = self.put(session.bucket, resource["name"], data, resource.get("metadata"))
        session.done = made.resource(session.bucket)
        return Answer(session.done)
