"""What an image holds and where it came from, beside the image as a file."""

import json
import re
from pathlib import Path
from typing import Any

from trainshed_provision import process
from trainshed_provision.bake.context import ARCHITECTURE, SUITE, Bake
from trainshed_provision.bake.digest import file_digest

LATEST = "latest.json"  # of the newest image; written last, so what it names is whole


def debian_packages(tree: Path) -> dict[str, str]:
    """Version by name, as dpkg says."""
    out = process.run(["dpkg-query", f"--root={tree}", "--show", "--showformat=${Package} ${Version}\n"])
    return dict(sorted(line.split(" ", 1) for line in out.decode().splitlines()))


def python_distributions(requirements: str) -> dict[str, str]:
    """Version by name, from the wheelhouse's requirements.txt."""
    return dict(sorted(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", requirements, flags=re.MULTILINE)))


def describe(
    bake: Bake, qcow2: Path, *, tree_digest: str, disk_bytes: int, seconds: dict[str, float]
) -> dict[str, Any]:
    """The manifest. Sizes in bytes; seconds by stage."""
    return {
        "name": bake.name,
        "file": f"{bake.name}.qcow2",
        "version": bake.version,
        "commit": bake.commit,
        "commit_time": bake.epoch,
        "inputs": bake.inputs,
        "suite": SUITE,
        "architecture": ARCHITECTURE,
        "tree_digest": tree_digest,
        "sha256": file_digest(qcow2),
        "bytes": qcow2.stat().st_size,
        "disk_bytes": disk_bytes,
        "seconds": seconds,
        "debian": debian_packages(bake.tree),
        "python": python_distributions((bake.work / "requirements.txt").read_text()),
    }


def publish(bake: Bake, qcow2: Path, manifest: dict[str, Any]) -> None:
    """Move the image and its papers into build/images, each by one rename, latest.json last."""
    bake.images.mkdir(parents=True, exist_ok=True)
    listing = "".join(f"{name} {version}\n" for name, version in manifest["debian"].items())
    text = json.dumps(manifest, indent=2) + "\n"
    papers = {f"{bake.name}.packages.txt": listing, f"{bake.name}.manifest.json": text, LATEST: text}
    qcow2.replace(bake.images / manifest["file"])
    for name, content in papers.items():
        partial = bake.work / name
        partial.write_text(content)
        partial.replace(bake.images / name)


def newest(images: Path) -> dict[str, Any] | None:
    """The manifest of the newest image if that image is there, whole; else None."""
    try:
        manifest: dict[str, Any] = json.loads((images / LATEST).read_text())
        image = images / manifest["file"]
        whole = image.stat().st_size == manifest["bytes"] and file_digest(image) == manifest["sha256"]
    except (OSError, ValueError, KeyError):
        return None
    return manifest if whole else None
