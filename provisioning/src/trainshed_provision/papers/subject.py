"""What the papers are about: one image, by facts that do not change when it is baked again from the same inputs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainshed_provision.errors import Exit, ShedError

NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:trainshed:image")  # of the names below


@dataclass(frozen=True, kw_only=True)
class Subject:
    """name: of the image without ending; digest: sha256 of the root tree; epoch: SOURCE_DATE_EPOCH in seconds."""

    name: str
    version: str
    architecture: str
    digest: str
    commit: str
    epoch: int
    distro: str = ""

    def uuid(self) -> uuid.UUID:
        """A number of its own for each root, the same each time."""
        return uuid.uuid5(NAMES, f"{self.name}@{self.digest}")

    @classmethod
    def of(cls, manifest: Mapping[str, Any], *, distro: str = "") -> "Subject":
        """From a bake's manifest. CORRUPT when it does not say enough."""
        try:
            return cls(
                name=manifest["name"],
                version=manifest["version"],
                architecture=manifest["architecture"],
                digest=manifest["tree_digest"],
                commit=manifest["commit"],
                epoch=manifest["commit_time"],
                distro=distro,
            )
        except KeyError as error:
            raise ShedError(f"the manifest has no {error}", hint="run: shed bake --force", code=Exit.CORRUPT) from error
