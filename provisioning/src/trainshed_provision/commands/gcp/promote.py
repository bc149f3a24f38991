"""Make a family resolve to an image, after it was launched and passed its checks. An older one is a rollback: what is newer
is deprecated, with the chosen one as its replacement.

A candidate needs the report of a machine that was launched from it (shed check ssh HOST --json > report.json); one that was
promoted before has had it. The rules of `shed validate gcp` that the image itself has to meet are asked first.
"""

import argparse
from pathlib import Path

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish import tested
from trainshed_provision.publish.gcp import images, promote, share, steps, validate

OF_THE_IMAGE = ("G01", "G02", "G03", "G04")  # the others are about what a promotion changes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed promote gcp`."""
    common.add_version(parser)
    parser.add_argument(
        "--tested", type=Path, metavar="FILE", help="what `shed check ssh --json` said of a machine of it"
    )
    parser.add_argument(
        "--share-with",
        action="append",
        default=[],
        metavar="MEMBER",
        help=f"let somebody launch it: user:..., group:..., serviceAccount:..., domain:... or {share.EVERYBODY}",
    )
    common.add_ages(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Plan, change, and ask Google what the family resolves to now."""
    who, client = [share.check(member) for member in options.share_with], common.client(options)
    ours = images.ours(client)
    chosen = images.need(client, options.version, ours)
    _refuse_unfit(chosen)
    missing = frozenset(who) - (share.members(client, chosen.name) if who else frozenset())
    planned = promote.plan(chosen, ours, now=common.now(), ages=common.ages(options), share=missing)
    _refuse_untested(chosen, options.tested)
    common.follow(
        planned, dry_run=options.dry_run, carry_out=lambda: steps.carry_out(client, planned, tell=common.tell)
    )
    family = chosen.family.removesuffix(images.CANDIDATE) if options.dry_run else promote.confirm(client, chosen)
    outcome = {
        "image": chosen.name,
        "family": family,
        "steps": [step.text for step in planned],
        "dry_run": options.dry_run,
    }
    would = "would resolve" if options.dry_run else "resolves"
    common.report(options, [f"the family {family} {would} to {chosen.name}"], outcome)
    return Exit.OK


def _refuse_untested(chosen: images.Image, report: Path | None) -> None:
    if report is not None:
        tested.check(report, commit=chosen.labels.get("commit", ""))
    elif chosen.family.endswith(images.CANDIDATE):
        raise ShedError(
            f"{chosen.name} was never promoted, and no report says that it works: --tested",
            hint=tested.HINT,
            code=Exit.USAGE,
        )


def _refuse_unfit(chosen: images.Image) -> None:
    seen = validate.Seen(image=chosen, ours=(), resolved={}, shared=frozenset(), expected=frozenset())
    for result in validate.results(seen):
        if result.rule in OF_THE_IMAGE and not result.ok:
            raise ShedError(
                f"{chosen.name} does not meet {result.rule}, {result.title}: found {result.found}, wanted {result.wanted}",
                hint="publish it anew, under another name",
                code=Exit.UNHEALTHY,
            )
