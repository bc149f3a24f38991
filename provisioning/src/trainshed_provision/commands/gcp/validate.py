"""Ask the published images the rules of images that Google can answer. Exit code 9 when one does not hold."""

import argparse

from trainshed_provision.commands import rules
from trainshed_provision.commands.gcp import options as common
from trainshed_provision.publish.gcp import images, share, validate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed validate gcp`."""
    common.add_version(parser, nargs="?", default="every image that shed made")
    parser.add_argument(
        "--shared-with",
        action="append",
        default=[],
        metavar="MEMBER",
        help="who may launch it, and nobody else (default: nobody outside of the project)",
    )
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Print a line per rule and image."""
    expected = frozenset(share.check(member) for member in options.shared_with)
    client = common.client(options)
    ours = tuple(images.ours(client))
    chosen = [images.need(client, options.version, ours)] if options.version else list(ours)
    families = {image.family.removesuffix(images.CANDIDATE) for image in chosen if image.family}
    resolved = {family: images.resolved(client, family) for family in sorted(families)}
    results = [
        result
        for image in chosen
        for result in validate.results(
            validate.Seen(
                image=image,
                ours=ours,
                resolved=resolved,
                shared=share.members(client, image.name),
                expected=expected,
            )
        )
    ]
    return rules.report(results, as_json=options.json, line=lambda result: f"{result.file}: {result.line()}")
