"""Say what is different between two images: packages, the changelogs of what was upgraded, known vulnerabilities.

Each image is one of its papers: *.spdx.json, *.cdx.json, *.packages.json or *.manifest.json. Nothing is asked over the network:
changelogs come from the Debian packages that the bake keeps, vulnerabilities from a list that is handed in:

  curl -o tracker.json https://security-tracker.debian.org/tracker/data/json
  shed changes published.spdx.json build/images/trainshed-0.2.0-amd64.spdx.json --vulnerabilities tracker.json

With a signed index OLD may be a published version, or `latest`: its SBOM is then the one that the index names, beside the
index. Without NEW it is the newest image in build/images.

  shed changes latest --index index.json --public-key trainshed.pub
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from trainshed_provision.bake import context, manifest
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.commands.verify import add_public, seen
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import changes as papers
from trainshed_provision.papers import index as published
from trainshed_provision.papers import signatures
from trainshed_provision.papers.changes import Open, Report

SBOM = "spdx.json"
HELP = "say what is different between two images"
SIGNS = {"added": "+", "removed": "-", "upgraded": "↑", "downgraded": "↓"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed changes`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("old", metavar="OLD", help="a paper of the image before; with --index a version, or `latest`")
    parser.add_argument(
        "new", nargs="?", type=Path, metavar="NEW", help="a paper of the image now (default: the newest)"
    )
    parser.add_argument("--index", type=Path, metavar="FILE", help="the signed index, for OLD")
    parser.add_argument("--architecture", default="amd64", help="with --index (%(default)s)")
    add_public(parser)
    parser.add_argument("--vulnerabilities", type=Path, metavar="FILE", help="the Debian security tracker's JSON")
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help=".deb files with changelogs (default: those that the bake keeps)",
    )
    parser.add_argument("--json", action="store_true", help="print the difference as one JSON object")


def changes(options: argparse.Namespace) -> Exit:
    """Print the difference."""
    old = papers.load(_published(options) if options.index else Path(options.old))
    new = papers.load(options.new or _newest())
    vulnerabilities = papers.load_vulnerabilities(options.vulnerabilities) if options.vulnerabilities else None
    found = papers.report(old, new, kept=_kept(options.packages), vulnerabilities=vulnerabilities)
    print(json.dumps(asdict(found), indent=2) if options.json else "\n".join(_lines(found)))
    return Exit.OK


def _published(options: argparse.Namespace) -> Path:
    """The SBOM of a published version, as the index has it. MISSING when it is not beside the index, REFUSED when it is another."""
    index = published.read(options.index, keys=signatures.load_public(options.public_key), seen=seen())
    version = next(iter(published.newest_first(index)), "latest") if options.old == "latest" else options.old
    paper = published.paper(index, version, SBOM, architecture=options.architecture)
    path: Path = options.index.with_name(paper.name)
    if not path.is_file():
        hint = f"fetch it: curl -o {path} {paper.url}" if paper.url else "put it beside the index"
        raise ShedError(f"the SBOM of {version} is not there: {path}", hint=hint, code=Exit.MISSING)
    if file_digest(path) != paper.sha256:
        raise ShedError(f"{path} is not the SBOM that was published", hint="fetch it again", code=Exit.REFUSED)
    return path


def _newest() -> Path:
    images = context.checkout() / "build" / "images"
    image = manifest.newest(images)
    if image is None:
        raise ShedError(f"no image is in {images}", hint="run: shed bake, or name a paper of one", code=Exit.MISSING)
    return images / f"{image['name']}.{SBOM}"


def _kept(given: Path | None) -> Path | None:
    if given is not None:
        if not given.is_dir():
            raise ShedError(f"{given} is no folder", hint="it holds .deb files", code=Exit.MISSING)
        return given
    try:
        kept = context.checkout() / "build" / "cache" / "apt"
    except ShedError:  # installed without a checkout
        return None
    return kept if kept.is_dir() else None


def _lines(found: Report) -> Iterator[str]:
    yield f"{found.old} -> {found.new}"
    for change in found.changes:
        versions = " -> ".join(filter(None, (change.old, change.new)))
        yield f"  {SIGNS[change.what]} {change.name} {versions}"
    if not found.changes:
        yield "  the same packages"
    for log in found.logs:
        yield f"\n{log.source} {log.old} -> {log.new}" + (f", names {', '.join(log.cves)}" if log.cves else "")
        yield from (f"  {line}" for line in log.text.splitlines())
    if found.without_log:
        yield f"\nno changelog is at hand for: {', '.join(found.without_log)}"
    yield from _section("no longer vulnerable", found.fixed)
    yield from _section("newly vulnerable", found.introduced)
    yield from _section("still vulnerable", found.still)


def _section(title: str, of: tuple[Open, ...] | None) -> Iterator[str]:
    if of is None:
        return
    yield f"\n{title}: {len(of)}"
    for one in of:
        remedy = f"fixed in {one.fixed_in}" if one.fixed_in else "no fix yet"
        yield f"  {one.cve} {one.source} {one.version}, {one.urgency or 'no urgency said'}, {remedy}"
