"""Make a Compute Engine image of a baked archive. Nobody gets it by its family before `shed promote gcp`.

The archive goes to a bucket in parts, the image is made of it, and the archive is removed. Killed at any moment, the same command
goes on from where it was; for an image that is there it does nothing.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit
from trainshed_provision.formats import gce
from trainshed_provision.papers import index
from trainshed_provision.papers.index import Index
from trainshed_provision.publish import source as sources
from trainshed_provision.publish.gcp import costs, images, tarball
from trainshed_provision.publish.gcp import publish as publication
from trainshed_provision.publish.progress import Progress

ENDING = "gcp.tar.gz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed publish gcp`."""
    parser.add_argument("--bucket", required=True, help="for the archive; Standard storage, in the project's reach")
    parser.add_argument(
        "--image", type=Path, metavar="PATH", help=f"a .{ENDING} beside its manifest (default: the newest)"
    )
    parser.add_argument("--name", help="of the image (default: trainshed-<version>-<architecture>)")
    parser.add_argument("--family", help="where promote brings it (default: trainshed-<architecture>)")
    parser.add_argument(
        "--location", default="us", help="where Google keeps the image: us, eu, asia or a region (%(default)s)"
    )
    parser.add_argument("--keep-archive", action="store_true", help="leave the archive in the bucket")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done and what it costs, and do nothing"
    )
    common.add_index(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Look, plan, and do it."""
    key, client = common.secret(options), common.client(options)
    wanted = _wanted(options)
    change = _listing(wanted, client.project)
    if key is not None:
        index.preview(options.index, change, key=key)  # what it refuses, it refuses before anything is sent
    observed = publication.observe(client, wanted)
    steps = publication.plan(wanted, observed)
    common.tell(publication.cost(wanted))
    work = publication.Publication(client, wanted, observed, tell=common.tell)
    common.follow(steps, dry_run=options.dry_run, carry_out=lambda: _done(work, steps))
    if key is not None and not options.dry_run:
        index.edit(options.index, change, key=key)
    link = images.ADDRESS.format(client.project, wanted.name)
    outcome = {
        "image": wanted.name,
        "project": client.project,
        "family": wanted.family,
        "link": link,
        "archive": f"gs://{wanted.bucket}/{wanted.key}" if wanted.keep else None,
        "sha256": wanted.source.sha256,
        "steps": [step.text for step in steps],
        "dry_run": options.dry_run,
        "dollars_a_month": round(
            costs.monthly(image=wanted.source.size, archive=wanted.source.size if wanted.keep else 0), 4
        ),
    }
    then = "nothing was done" if options.dry_run else f"launch and check it, then: shed promote gcp {wanted.name}"
    common.report(options, [link, then], outcome)
    return Exit.OK


def _listing(wanted: publication.Wanted, project: str) -> Callable[[Index], Index]:
    """The change to the index: the release has this image. Refused for one that was revoked."""
    version, architecture = wanted.source.version, wanted.source.architecture
    entry = {"project": project, "image": wanted.name, "family": wanted.family}

    def change(old: Index) -> Index:
        index.refuse_revoked(old, version)
        return index.add_cloud_images(old, version, gcp=entry, architecture=architecture)

    return change


def _done(work: publication.Publication, steps: tuple[publication.Step, ...]) -> None:
    work.run(steps)


def _wanted(options: argparse.Namespace) -> publication.Wanted:
    """What is asked for, with the archive read whole. Raises ShedError before anything is sent."""
    source = sources.find(options.image, ending=ENDING, baked=common.baked())
    name, family = options.name or images.name_of(source), options.family or images.family_of(source)
    images.check_name(name, "name of an image")
    images.check_name(family + images.CANDIDATE, "name of a family")
    images.check_location(options.location)
    progress = Progress("check the archive", source.size)
    sources.verify(source, advance=progress.advance)
    gce.check(source.path)
    progress.done()
    return publication.Wanted(
        source=source,
        measured=tarball.measure(source.path),
        name=name,
        family=family,
        location=options.location,
        bucket=options.bucket.removeprefix("gs://").rstrip("/"),
        keep=options.keep_archive,
    )
