"""Withdraw an image for good: it is OBSOLETE at once, shared with nobody, says why, and its family resolves to the one before.

Machines that run stay as they are.
"""

import argparse

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import index
from trainshed_provision.papers.index import Index
from trainshed_provision.publish.gcp import images, revoke, share, steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed revoke gcp`."""
    common.add_version(parser)
    parser.add_argument("--reason", required=True, help="one line, for whoever finds that the image is gone")
    parser.add_argument("--replacement", default="", metavar="VERSION", help="for the index: what to take instead")
    common.add_index(parser)
    common.add_ages(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Plan, change, and say what the family resolves to now."""
    if not options.reason.strip():
        raise ShedError("the reason is empty", hint='say why: --reason "..."', code=Exit.USAGE)
    key, client = common.secret(options), common.client(options)
    ours = images.ours(client)
    bad = images.need(client, options.version, ours)
    planned = revoke.plan(
        bad,
        ours,
        reason=options.reason.strip(),
        shared=share.members(client, bad.name),
        now=common.now(),
        ages=common.ages(options),
    )
    if key is not None:  # the index first: that is what people are asked to look at
        write = index.preview if options.dry_run else index.edit
        write(options.index, lambda old: _listed(old, client.project, bad.name, options), key=key)
    common.follow(
        planned, dry_run=options.dry_run, carry_out=lambda: steps.carry_out(client, planned, tell=common.tell)
    )
    resolved = images.resolved(client, bad.family) if bad.family else None
    outcome = {
        "image": bad.name,
        "family": bad.family,
        "family_resolves_to": resolved,
        "steps": [step.text for step in planned],
        "dry_run": options.dry_run,
    }
    state = "would be revoked" if options.dry_run else "is revoked"
    common.report(
        options, [f"{bad.name} {state}; the family {bad.family} resolves to {resolved or 'nothing'}"], outcome
    )
    return Exit.OK


def _listed(old: Index, project: str, image: str, options: argparse.Namespace) -> Index:
    """The index with the release revoked that has this image."""
    versions = [
        version
        for version, release in old.releases.items()
        for build in release.builds.values()
        if build.gcp is not None and (build.gcp.project, build.gcp.image) == (project, image)
    ]
    if not versions:
        raise ShedError(
            f"{options.index} has no release with the image {image} of {project}",
            hint="shed index show; without --index the image alone is withdrawn",
            code=Exit.NOT_FOUND,
        )
    said = {"reason": options.reason.strip(), "replacement": options.replacement, "now": common.now()}
    return index.revoke(old, versions[0], **said)
