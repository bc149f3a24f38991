"""The papers that a bake writes beside its images, as texts: made of the manifest and the packages, the same each time."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import cyclonedx, provenance, spdx
from trainshed_provision.papers.packages import Package
from trainshed_provision.papers.subject import Subject

PACKAGES = "packages.json"
PROVENANCE = "provenance.json"


def texts(
    manifest: Mapping[str, Any], packages: Sequence[Package], *, distro: str, locks: Mapping[str, str]
) -> dict[str, str]:
    """Text by ending. distro: as in debian-13. locks: sha256 by path of what pins the inputs in the checkout."""
    subject = Subject.of(manifest, distro=distro)
    return {
        PACKAGES: dump(packages),
        "spdx.json": spdx.document(subject, packages),
        "cdx.json": cyclonedx.document(subject, packages),
        PROVENANCE: provenance.statement(subject, manifest, packages, locks=locks),
    }


def describe(name: str, papers: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What a manifest says of its papers, by ending, as it does of its files. name: of the image."""
    content = {ending: text.encode(errors="surrogateescape") for ending, text in papers.items()}
    return {
        ending: {"file": f"{name}.{ending}", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for ending, data in sorted(content.items())
    }


def dump(packages: Iterable[Package]) -> str:
    """The package manifest."""
    return json.dumps([asdict(package) for package in packages], indent=1) + "\n"


def load(path: Path) -> list[Package]:
    """The reverse of dump, from a file. CORRUPT when it is none."""
    try:
        return [Package(**{**entry, "depends": tuple(entry["depends"])}) for entry in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ShedError(f"{path} is no package manifest: {error}", hint="bake again", code=Exit.CORRUPT) from error
