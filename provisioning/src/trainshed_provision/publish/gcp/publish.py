"""From a baked archive to an image: what is there is looked at, the rest is planned, then done.

A publication that was cut at any moment goes on by being started again: parts that are in the bucket are not sent again, an image
that Google still makes is waited for, one that failed is removed and made anew.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp import costs, images, operations
from trainshed_provision.publish.gcp.api import AGAIN, Client, Refused
from trainshed_provision.publish.gcp.bucket import PARTS, Bucket, refuse_other
from trainshed_provision.publish.gcp.images import Image
from trainshed_provision.publish.gcp.tarball import Measured, Piece
from trainshed_provision.publish.progress import Progress
from trainshed_provision.publish.source import Source

if TYPE_CHECKING:
    from google.cloud.storage import Blob

TEMPORARY, KEPT = "trainshed/temporary/", "trainshed/kept/"  # `shed gc gcp` looks at the first only

Tell = Callable[[str], None]
Do = Literal["remove image", "upload", "compose", "remove parts", "insert", "wait", "remove archive"]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One publication. name, family: of the image; location: where Google keeps it; keep: the archive too."""

    source: Source
    measured: Measured
    name: str
    family: str
    location: str
    bucket: str
    keep: bool = False

    @property
    def key(self) -> str:
        """The archive's name in the bucket: another archive has another."""
        return f"{KEPT if self.keep else TEMPORARY}{self._file}"

    @property
    def parts(self) -> dict[str, Piece]:
        """Parts by name. One alone is the archive itself, and needs no composing."""
        if len(self.measured.parts) == 1:
            return {self.key: self.measured.whole}
        return {f"{self.folder}{p.offset:012}-{p.size}": p for p in self.measured.parts}

    @property
    def folder(self) -> str:
        """What the names of the parts begin with."""
        return f"{TEMPORARY}{self._file}{PARTS}"

    @property
    def _file(self) -> str:
        return f"{self.name}-{self.source.sha256}.tar.gz"


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is there now: the image of that name, the archive, and parts by name."""

    image: Image | None = None
    archive: "Blob | None" = None
    parts: dict[str, "Blob"] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do. text: for a person, in a dry run and in the progress. pieces: to upload."""

    do: Do
    text: str
    pieces: dict[str, Piece] = field(default_factory=dict)


def observe(client: Client, wanted: Wanted) -> Observed:
    """Look."""
    bucket = Bucket(name=wanted.bucket, client=client)
    parts = {stored.name: stored for stored in bucket.below(wanted.folder)}
    return Observed(image=images.find(client, wanted.name), archive=bucket.find(wanted.key), parts=parts)


def plan(wanted: Wanted, observed: Observed) -> tuple[Step, ...]:
    """Steps to a finished image; none when it is there. Raises ShedError for what must not be touched."""
    image = observed.image
    if image is not None:
        refuse_other_image(wanted, image)
    leftover = _remove_parts(len(observed.parts))
    if image is not None and image.status == "READY":
        gone = _remove_archive(wanted) if observed.archive and not wanted.keep else ()
        return (*leftover, *gone)
    if image is not None and image.status == "PENDING":
        wait = Step(do="wait", text=f"wait until Google has made {image.name}")
        return (wait, *leftover, *(() if wanted.keep else _remove_archive(wanted)))
    failed = (Step(do="remove image", text=f"remove {image.name}, which Google failed to make"),) if image else ()
    insert = Step(do="insert", text=f"make the image {wanted.name} of it, in family {wanted.family}{images.CANDIDATE}")
    return (*failed, *_bring(wanted, observed), insert, *(() if wanted.keep else _remove_archive(wanted)))


def _bring(wanted: Wanted, observed: Observed) -> tuple[Step, ...]:
    """The archive into the bucket."""
    if observed.archive is not None:
        refuse_other(wanted.bucket, observed.archive, wanted.measured.whole)
        return _remove_parts(len(observed.parts))
    for name, stored in observed.parts.items():
        if name in wanted.parts:
            refuse_other(wanted.bucket, stored, wanted.parts[name])
    missing = {name: piece for name, piece in wanted.parts.items() if name not in observed.parts}
    size = sum(piece.size for piece in missing.values())
    made: tuple[Step, ...] = ()
    if missing:
        many = f"{len(missing)} of {len(wanted.parts)} parts, " if len(wanted.parts) > 1 else ""
        made += (Step(do="upload", text=f"upload {many}{size / 1e6:.1f} MB to gs://{wanted.bucket}", pieces=missing),)
    if len(wanted.parts) > 1:
        made += (Step(do="compose", text=f"put {len(wanted.parts)} parts together and compare the checksum"),)
        made += _remove_parts(len(wanted.parts))
    return made


def _remove_parts(count: int) -> tuple[Step, ...]:
    return (Step(do="remove parts", text=f"remove {count} parts"),) if count else ()


def _remove_archive(wanted: Wanted) -> tuple[Step, ...]:
    return (Step(do="remove archive", text=f"remove gs://{wanted.bucket}/{wanted.key}"),)


def refuse_other_image(wanted: Wanted, image: Image) -> None:
    """Raise unless an image of our name is of our making and content."""
    if image.revoked:
        raise ShedError(
            f"{image.name} was revoked: {image.description}",
            hint="bake and publish a new version",
            code=Exit.REFUSED,
        )
    if not image.ours or image.labels.get(images.CONTENT) != images.content_of(wanted.source):
        raise ShedError(
            f"an image {image.name} is there already and has another content",
            hint="a published version does not change: raise the version, or name this one: --name NAME",
            code=Exit.CONFLICT,
        )
    if image.status == "DELETING":
        raise ShedError(f"Google is deleting {image.name}", hint=AGAIN, code=Exit.CONFLICT)


def cost(wanted: Wanted) -> str:
    """What the outcome costs, as a line."""
    return costs.line(image=wanted.source.size, archive=wanted.source.size if wanted.keep else 0)


class Publication:
    """Carries a plan out."""

    def __init__(self, client: Client, wanted: Wanted, observed: Observed, *, tell: Tell) -> None:
        self._client, self._wanted, self._tell = client, wanted, tell
        self._bucket = Bucket(name=wanted.bucket, client=client)
        self._parts, self._archive, self._image = dict(observed.parts), observed.archive, observed.image

    def run(self, steps: tuple[Step, ...]) -> Image:
        """Do every step; return the image, ready. Raises ShedError, and leaves what the next run goes on from."""
        for step in steps:
            self._one(step)
            self._tell(step.text)
        return self._ready()

    def _one(self, step: Step) -> None:
        match step.do:
            case "upload":
                self._upload(step.pieces)
            case "compose":
                ordered = [self._parts[name] for name in self._wanted.parts]
                self._archive = self._bucket.compose(self._wanted.key, ordered, self._wanted.measured.whole)
            case "remove parts":
                for stored in self._parts.values():
                    self._bucket.remove(stored)
            case "insert":
                self._insert()
            case "wait":
                self._wait()
            case "remove image":
                self._remove_image()
            case "remove archive":
                if self._archive is not None:
                    self._bucket.remove(self._archive)

    def _upload(self, pieces: dict[str, Piece]) -> None:
        total = sum(piece.size for piece in self._wanted.parts.values())
        progress = Progress("upload", total)
        progress.skip(total - sum(piece.size for piece in pieces.values()))
        sent = self._bucket.upload(self._wanted.source.path, pieces, advance=progress.advance)
        progress.done()
        self._parts |= dict(zip(pieces, sent, strict=True))
        if self._wanted.key in self._parts:
            self._archive = self._parts.pop(self._wanted.key)

    def _insert(self) -> None:
        wanted = self._wanted
        image = images.request(
            wanted.source,
            name=wanted.name,
            family=wanted.family,
            location=wanted.location,
            archive=self._bucket.url(wanted.key),
        )
        try:
            operation = self._client.change(self._client.images.insert_unary, image_resource=image)
        except Refused as refused:
            # Another publisher was first, and has perhaps removed the archive already: fine, if it is the same one.
            if refused.status not in (404, 409) or images.find(self._client, wanted.name) is None:
                raise
            self._wait()
            return
        try:
            operations.wait(self._client, operation, title=f"image {wanted.name}")
        except ShedError:
            self._remove_failed()
            raise
        self._refuse_swapped()

    def _wait(self) -> None:
        for _ in range(operations.PATIENCE):
            image = images.find(self._client, self._wanted.name)
            if image is None or image.status == "FAILED":
                self._remove_failed()
                raise ShedError(f"Google could not make the image {self._wanted.name}", hint=AGAIN)
            refuse_other_image(self._wanted, image)
            if image.status == "READY":
                return
            time.sleep(operations.POLL_SECONDS)
        raise ShedError(f"Google still makes the image {self._wanted.name}", hint=AGAIN)

    def _refuse_swapped(self) -> None:
        """Whoever may write to the bucket could have put another archive in the place of the one that was checked.

        One that is gone was removed by another publisher of it, who found the image ready.
        """
        now = self._bucket.find(self._wanted.key)
        if self._archive is None or (now is not None and now.generation != self._archive.generation):
            self._remove_image()
            raise ShedError(
                f"gs://{self._wanted.bucket}/{self._wanted.key} changed while the image was made of it; the image is removed",
                hint="see who else writes to this bucket, then " + AGAIN,
                code=Exit.CORRUPT,
            )

    def _ready(self) -> Image:
        image = images.find(self._client, self._wanted.name)
        if image is None or image.status != "READY":
            raise ShedError(f"the image {self._wanted.name} is gone or not ready", hint=AGAIN, code=Exit.UNHEALTHY)
        return image

    def _remove_failed(self) -> None:
        image = images.find(self._client, self._wanted.name)
        if image is not None and image.ours and image.status == "FAILED":
            self._remove_image()

    def _remove_image(self) -> None:
        delete = self._client.change(self._client.images.delete_unary, image=self._wanted.name)
        operations.wait(self._client, delete)
