"""Publish a baked disk as an AMI: upload it by EBS direct, register it, copy it to regions, share it, and name it in SSM.

What is there already is left as it is; run it again after a cut and it goes on. Credentials are those of boto3's own chain
(AWS_PROFILE, SSO, roles); AWS_ENDPOINT_URL leads to another endpoint. `latest` is set by `shed promote aws` alone.
"""

import argparse
import json
import sys
from pathlib import Path

from trainshed_provision.architecture import AMD64
from trainshed_provision.bake import context
from trainshed_provision.commands.aws import common
from trainshed_provision.errors import Exit
from trainshed_provision.papers import index
from trainshed_provision.papers.index import Index
from trainshed_provision.publish import source
from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.publish import Published, publish
from trainshed_provision.publish.aws.spec import PublishSpec, boot_modes
from trainshed_provision.publish.progress import Progress
from trainshed_provision.publish.source import Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed publish aws`."""
    parser.add_argument("--image", type=Path, metavar="PATH", help="a raw disk with its manifest (the newest bake)")
    parser.add_argument("--region", default="", help="to upload to (that of your profile)")
    parser.add_argument("--to", action="append", default=[], metavar="REGION", help="copy there; again for more")
    parser.add_argument(
        "--try", action="append", default=[], dest="best_effort", metavar="REGION", help="copy there if it can be done"
    )
    common.add_audience(parser)
    parser.add_argument(
        "--boot-mode",
        choices=boot_modes(AMD64.name),
        help="uefi: machines without UEFI cannot launch it (uefi-preferred; for arm64 uefi)",
    )
    parser.add_argument("--tpm", action="store_true", help="with a virtual TPM 2.0; needs --boot-mode uefi")
    parser.add_argument(
        "--deprecate-days", type=int, default=90, metavar="N", help="EC2 lists it for so long; 0 for ever (%(default)s)"
    )
    parser.add_argument("--sbom", default="", metavar="URL", help="of its list of software, for a tag")
    parser.add_argument(
        "--skip-zeros",
        action="store_true",
        help="send no blocks of zeros: ENCRYPTED LAUNCHES read noise in their place",
    )
    parser.add_argument(
        "--workers", type=int, default=common.WORKERS, metavar="N", help="blocks at a time (%(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and what it costs")
    common.add_index(parser)
    common.add_names(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> Exit:
    """Publish, and print the image's id by region."""
    baked = options.image.parent if options.image else context.checkout() / "build" / "images"
    file = source.find(options.image, ending="raw", baked=baked)
    key = common.secret(options)
    if key is not None:  # refuses a version that was revoked, and one that the index has not heard of
        index.refuse_revoked(index.read(options.index, keys=(key.public,)), file.version)
    aws = Aws(options.region, workers=max(1, options.workers))
    if options.skip_zeros:
        common.teller("blocks of zeros are not sent: launches with an encrypted root volume read noise in their place")
    done = publish(
        wanted(options, file, home=aws.region),
        aws,
        disk=file.path,
        dry_run=options.dry_run,
        verify=lambda: _verify(file),
        report=common.teller,
    )
    if key is not None and not options.dry_run:
        index.edit(options.index, lambda old: _in_index(old, done), key=key)
    print(json.dumps(done.as_json(), indent=2) if options.json else _text(done, dry_run=options.dry_run))
    for region, why in done.failed.items():
        print(f"shed: not in {region}: {why}", file=sys.stderr)
    return Exit.OK


def wanted(options: argparse.Namespace, file: Source, *, home: str) -> PublishSpec:
    """The options and the manifest as one."""
    return PublishSpec(
        version=file.version,
        commit=file.commit,
        tree=file.tree,
        sha256=file.sha256,
        size=file.size,
        architecture=file.architecture,
        home=home,
        regions=tuple(dict.fromkeys([home, *options.to, *options.best_effort])),
        best_effort=frozenset(options.best_effort) - {home, *options.to},
        accounts=frozenset(options.account),
        arns=frozenset(options.arn),
        public=options.public,
        boot_mode=options.boot_mode or boot_modes(file.architecture)[0],
        tpm=options.tpm,
        deprecate_days=options.deprecate_days,
        prefix=options.prefix,
        sbom=options.sbom,
        skip_zeros=options.skip_zeros,
    )


def _in_index(old: Index, done: Published) -> Index:
    return index.add_cloud_images(old, done.spec.version, aws=done.images, architecture=done.spec.architecture)


def _verify(file: Source) -> None:
    progress = Progress("check", file.size)
    source.verify(file, advance=progress.advance)
    progress.done()


def _text(done: Published, *, dry_run: bool) -> str:
    if dry_run:
        steps = [f"would {step.text} ({step.region})" for step in done.steps] or ["nothing to do"]
        return "\n".join([*steps, done.cost.line(done.spec)])
    lines = [f"{region:<16} {image}" for region, image in done.images.items()]
    made = f"{done.sent} blocks sent" if done.steps else "was there already"
    return "\n".join(
        [f"{done.spec.name}: {made}", *lines, f"launch it with: --image-id resolve:ssm:{done.spec.parameter()}"]
    )
