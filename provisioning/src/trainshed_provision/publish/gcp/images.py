"""Images of Compute Engine: how ours are named and described, and the calls that read and change them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from trainshed_provision.architecture import AMD64, ARCHITECTURES
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.gcp.api import Client, Refused, told
from trainshed_provision.publish.source import Source

if TYPE_CHECKING:
    from google.cloud import compute_v1

NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
LOCATION = re.compile(r"us|eu|asia|[a-z]+-[a-z]+[0-9]+")
# What Debian's own image claims, and what ours boots with: an image that does not say UEFI_COMPATIBLE starts no shielded VM.
FEATURES = ("UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC")
# What AMD's processors can besides: by Google's name of the architecture.
MORE_FEATURES = {AMD64.gce: ("SEV_CAPABLE", "SEV_LIVE_MIGRATABLE_V2")}
MANAGED, CONTENT, REVOKED, VERSION = "managed-by", "content", "revoked", "version"  # labels
OURS = "trainshed"
LABEL_LETTERS = 63  # a label holds one letter less than a sha256 has
CANDIDATE = "-candidate"  # after a family's name: where an image is until it is promoted

ADDRESS = "https://www.googleapis.com/compute/v1/projects/{}/global/images/{}"  # of a project's image

State = Literal["ACTIVE", "DEPRECATED", "OBSOLETE", "DELETED"]


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image that is there. link: its full address; obsolete, deleted: when it is announced to become so."""

    name: str
    family: str
    status: str
    state: State
    created: datetime
    link: str
    fingerprint: str = ""
    description: str = ""
    architecture: str = ""
    archive_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    locations: tuple[str, ...] = ()
    replacement: str = ""
    obsolete: datetime | None = None
    deleted: datetime | None = None

    @classmethod
    def of(cls, image: "compute_v1.Image") -> "Image":
        """From Google's description."""
        status = image.deprecated
        return cls(
            name=image.name,
            family=image.family,
            status=image.status,
            state=status.state or "ACTIVE",  # type: ignore[arg-type]  # a str that is one of them
            created=datetime.fromisoformat(image.creation_timestamp),
            link=image.self_link,
            fingerprint=image.label_fingerprint,
            description=image.description,
            architecture=image.architecture,
            archive_bytes=image.archive_size_bytes,
            labels=dict(image.labels),
            features=frozenset(feature.type_ for feature in image.guest_os_features),
            locations=tuple(image.storage_locations),
            replacement=status.replacement,
            obsolete=_time(status.obsolete),
            deleted=_time(status.deleted),
        )

    @property
    def ours(self) -> bool:
        """Made by this program: nothing else is ever changed or removed."""
        return self.labels.get(MANAGED) == OURS

    @property
    def revoked(self) -> bool:
        """Withdrawn for good."""
        return REVOKED in self.labels


def name_of(source: Source) -> str:
    """`trainshed-0-1-0-amd64`: one version is one image."""
    return f"{OURS}-{_word(source.version)}-{source.architecture}"


def family_of(source: Source) -> str:
    """`trainshed-amd64`: a family of two architectures would resolve to either."""
    return f"{OURS}-{source.architecture}"


def content_of(source: Source) -> str:
    """What the label says of the archive: its sha256, as much of it as fits."""
    return source.sha256[:LABEL_LETTERS]


def features_of(architecture: str) -> tuple[str, ...]:
    """What an image claims, by Google's name of its architecture."""
    return FEATURES + MORE_FEATURES.get(architecture, ())


def check_name(name: str, what: str) -> None:
    """Raise USAGE unless Google takes the name of an image or a family."""
    if not NAME.fullmatch(name):
        raise ShedError(
            f"'{name}' is no {what}: small letters, digits and dashes, at most 63, a letter first",
            hint=f"name another, for example {OURS}-0-1-0-amd64",
            code=Exit.USAGE,
        )


def check_location(location: str) -> None:
    """Raise USAGE unless Google could keep an image there."""
    if not LOCATION.fullmatch(location):
        raise ShedError(
            f"'{location}' is no place to keep an image",
            hint="us, eu or asia, or one region such as europe-west4 (a zone is none)",
            code=Exit.USAGE,
        )


def request(source: Source, *, name: str, family: str, location: str, archive: str) -> dict[str, Any]:
    """The image for images.insert. archive: its address in Cloud Storage."""
    if source.architecture not in ARCHITECTURES:
        raise ShedError(f"Google has no machines for the architecture '{source.architecture}'", code=Exit.USAGE)
    architecture = ARCHITECTURES[source.architecture].gce
    return {
        "name": name,
        "family": family + CANDIDATE,
        "description": f"Trainshed {source.version}, commit {source.commit}, tree {source.tree}, archive {source.sha256}",
        "architecture": architecture,
        "guest_os_features": [{"type_": feature} for feature in features_of(architecture)],
        "labels": {
            MANAGED: OURS,
            VERSION: _word(source.version),
            "commit": source.commit[:LABEL_LETTERS],
            "tree": source.tree[:LABEL_LETTERS],
            CONTENT: content_of(source),
        },
        "storage_locations": [location],
        "raw_disk": {"source": archive, "container_type": "TAR"},
    }


def find(client: Client, name: str) -> Image | None:
    """The image, or None."""
    try:
        return Image.of(client.call(client.images.get, image=name))
    except Refused as refused:
        if refused.status == 404 and name in refused.message:
            return None
        raise


def need(client: Client, wanted: str, there: Iterable[Image]) -> Image:
    """Our image of a version, as `0.1.0`, or of a name, which begins with a letter. there: those that are ours.

    NOT_FOUND when there is none, CONFLICT when a version has several or the name is somebody else's.
    """
    return _of_version(client, wanted, there) if wanted[:1].isdigit() else _named(client, wanted)


def _of_version(client: Client, version: str, there: Iterable[Image]) -> Image:
    found = [image for image in there if image.labels.get(VERSION) == _word(version)]
    if not found:
        raise ShedError(
            f"no image of version {version} in {client.project}",
            hint="shed validate gcp lists them",
            code=Exit.NOT_FOUND,
        )
    if len(found) > 1:
        raise ShedError(
            f"version {version} has several images: {', '.join(image.name for image in found)}",
            hint="name one of them in the version's place",
            code=Exit.CONFLICT,
        )
    return found[0]


def _named(client: Client, name: str) -> Image:
    check_name(name, "version, nor the name of an image")
    image = find(client, name)
    if image is None:
        raise ShedError(
            f"no image '{name}' in {client.project}", hint="shed validate gcp lists them", code=Exit.NOT_FOUND
        )
    if not image.ours:
        raise ShedError(
            f"'{name}' in {client.project} was not made by shed: it has no label {MANAGED}={OURS}",
            hint="give the image a label of that kind if it is yours after all",
            code=Exit.CONFLICT,
        )
    return image


@told()
def ours(client: Client) -> list[Image]:
    """Every image that this program made, the oldest first."""
    found = [Image.of(image) for image in client.call(client.images.list, filter=f"labels.{MANAGED}={OURS}")]
    return sorted(found, key=lambda image: image.created)


def resolved(client: Client, family: str) -> str | None:
    """The name of the image that somebody gets who asks for the family."""
    try:
        return Image.of(client.call(client.images.get_from_family, family=family)).name
    except Refused as refused:
        if refused.status == 404 and family in refused.message:
            return None
        raise


def _word(text: str) -> str:
    """As a name or label may be: `0.1.0` is `0-1-0`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
