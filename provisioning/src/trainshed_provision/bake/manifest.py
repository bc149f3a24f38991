"""What an image holds and where it came from, beside its files: one manifest for all formats of one root."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trainshed_provision.architecture import AMD64, Architecture
from trainshed_provision.bake.context import SUITE, Bake
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.papers.packages import paragraphs

LATEST = "latest.json"  # of the newest image for amd64; written last, so what it names is whole


def latest(architecture: Architecture) -> str:
    """The manifest of the newest image for it: what names no architecture means amd64."""
    return LATEST if architecture == AMD64 else f"latest.{architecture.name}.json"


def debian_packages(status: str) -> dict[str, str]:
    """Version by name of what is installed, from dpkg's status file."""
    found = {p["Package"]: p["Version"] for p in paragraphs(status) if p.get("Status", "").endswith(" installed")}
    return dict(sorted(found.items()))


def python_distributions(listing: str) -> dict[str, str]:
    """Version by name of what the server's environment has, from a listing of the tree."""
    found = re.findall(r"/site-packages/([^/\s]+)-([^/\s-]+)\.dist-info/METADATA$", listing, flags=re.MULTILINE)
    return {name.replace("_", "-").lower(): version for name, version in sorted(found)}


def describe_file(path: Path, *, name: str) -> dict[str, Any]:
    """One entry of "files". bytes: its size as read, holes counted."""
    return {"file": name, "sha256": file_digest(path), "bytes": path.stat().st_size}


def describe(bake: Bake, *, facts: dict[str, Any], files: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    """The manifest. facts: of the root and the layer; files: by ending; seconds: by stage of this bake."""
    return {
        "name": bake.name,
        "version": bake.version,
        "commit": bake.commit,
        "commit_time": bake.epoch,
        "inputs": bake.inputs,
        "suite": SUITE,
        "architecture": bake.architecture.name,
        "files": files,
        **facts,
        "seconds": seconds,
    }


def publish(
    bake: Bake, made: dict[str, Path], papers: dict[str, str], manifest: dict[str, Any], *, endings: Iterable[str]
) -> None:
    """Move files and papers into build/images, each by one rename, that of the newest image last.

    made: files by ending; papers: texts by ending. Then files of this name with one of the `endings` that the manifest does
    not name are removed: they are of another bake.
    """
    bake.images.mkdir(parents=True, exist_ok=True)
    text = json.dumps(manifest, indent=2) + "\n"
    for ending, path in made.items():
        path.replace(bake.images / f"{bake.name}.{ending}")
    texts = {f"{bake.name}.{ending}": content for ending, content in papers.items()}
    for name, content in {**texts, f"{bake.name}.manifest.json": text, latest(bake.architecture): text}.items():
        partial = bake.work / name
        partial.write_text(content, errors="surrogateescape")
        partial.replace(bake.images / name)
    for ending in set(endings) - manifest["files"].keys():
        (bake.images / f"{bake.name}.{ending}").unlink(missing_ok=True)


def newest(images: Path, architecture: Architecture = AMD64) -> dict[str, Any] | None:
    """The manifest of the newest image, with those of its files that are there, whole; None when there is no manifest."""
    path = images / latest(architecture)
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        written = path.stat().st_mtime_ns
        whole = {ending: file for ending, file in manifest["files"].items() if _is_whole(images, file, written)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {**manifest, "files": whole}


def _is_whole(images: Path, file: dict[str, Any], written: int) -> bool:
    """A file older than its manifest was not touched since; reading gigabytes to say "nothing changed" would take a minute."""
    path = images / file["file"]
    if not path.is_file() or path.stat().st_size != file["bytes"]:
        return False
    return path.stat().st_mtime_ns < written or file_digest(path) == str(file["sha256"])
