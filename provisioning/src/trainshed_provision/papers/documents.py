"""The papers that a bake writes beside its images, as texts: made of the manifest and the packages, the same each time."""

import hashlib
from collections.abc import Mapping
from typing import Any

from trainshed_provision.papers import cyclonedx, provenance, spdx
from trainshed_provision.papers.packages import Inventory, dump
from trainshed_provision.papers.subject import Subject

PACKAGES = "packages.json"
PROVENANCE = "provenance.json"


def texts(manifest: Mapping[str, Any], inventory: Inventory, *, locks: Mapping[str, str]) -> dict[str, str]:
    """Text by ending. locks: sha256 by name of what pins the inputs."""
    subject = Subject.of(manifest, distro=inventory.distro)
    return {
        PACKAGES: dump(inventory),
        "packages.txt": "".join(f"{p.name} {p.version}\n" for p in inventory.packages if p.kind == "deb"),
        "spdx.json": spdx.document(subject, inventory.packages),
        "cdx.json": cyclonedx.document(subject, inventory.packages),
        PROVENANCE: provenance.statement(subject, manifest, inventory.packages, locks=locks),
    }


def describe(name: str, papers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a manifest says of its papers, by ending, as it does of its files. name: of the image."""
    content = {ending: text.encode(errors="surrogateescape") for ending, text in papers.items()}
    return {
        ending: {"file": f"{name}.{ending}", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for ending, data in sorted(content.items())
    }
