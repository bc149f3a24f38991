"""Say what is different between two images: packages, the changelogs of what was upgraded, known vulnerabilities.

Each image is one of its papers: *.spdx.json, *.cdx.json, *.packages.json or *.manifest.json. Nothing is asked over the network:
changelogs come from the Debian packages that the bake keeps, vulnerabilities from a list that is handed in:

  curl -o tracker.json https://security-tracker.debian.org/tracker/data/json
  shed changes published.spdx.json build/images/trainshed-0.2.0-amd64.spdx.json --vulnerabilities tracker.json
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from trainshed_provision.bake import context
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import changes as papers
from trainshed_provision.papers.changes import Open, Report

HELP = "say what is different between two images"
SIGNS = {"added": "+", "removed": "-", "upgraded": "↑", "downgraded": "↓"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed changes`."""
    parser.add_argument("old", type=Path, metavar="OLD", help="a paper of the image before")
    parser.add_argument("new", type=Path, metavar="NEW", help="a paper of the image now")
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
    old, new = papers.load(options.old), papers.load(options.new)
    vulnerabilities = papers.load_vulnerabilities(options.vulnerabilities) if options.vulnerabilities else None
    found = papers.report(old, new, kept=_kept(options.packages), vulnerabilities=vulnerabilities)
    print(json.dumps(asdict(found), indent=2) if options.json else "\n".join(_lines(found)))
    return Exit.OK


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
