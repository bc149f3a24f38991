"""What the commands for Google have in common: the options, and how a plan and its outcome are told."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from trainshed_provision.bake import context
from trainshed_provision.commands.sign import add_key
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import signatures
from trainshed_provision.papers.signatures import SecretKey
from trainshed_provision.publish.gcp.api import Client
from trainshed_provision.publish.gcp.steps import Ages

CREDENTIALS = (
    "Credentials are Application Default Credentials: run gcloud auth application-default login, "
    "or set GOOGLE_APPLICATION_CREDENTIALS."
)


class Step(Protocol):
    """One thing that is planned."""

    @property
    def text(self) -> str: ...


def add_common(parser: argparse.ArgumentParser) -> None:
    """The project, and --json."""
    parser.epilog = CREDENTIALS
    parser.add_argument("--project", help="of the images (default: that of the credentials)")
    parser.add_argument("--json", action="store_true", help="print one JSON object; progress goes to stderr")


def add_version(parser: argparse.ArgumentParser, *, nargs: str | None = None, default: str = "") -> None:
    """Which image. default: what it is without one, for a person."""
    text = "that was published, e.g. 0.1.0, or the name of an image" + (f" (default: {default})" if default else "")
    parser.add_argument("version", metavar="VERSION", nargs=nargs, help=text)


def add_index(parser: argparse.ArgumentParser) -> None:
    """The signed index to write it down in."""
    parser.add_argument(
        "--index", type=Path, metavar="FILE", help="write it into this signed index too (docs/index.md)"
    )
    add_key(parser)


def secret(options: argparse.Namespace) -> SecretKey | None:
    """The key to sign the index with, read before anything is done; None without an index."""
    return signatures.load_secret(options.key) if options.index else None


def add_ages(parser: argparse.ArgumentParser) -> None:
    """How images age."""
    ages = Ages()
    parser.add_argument(
        "--obsolete-after",
        type=int,
        default=ages.obsolete.days,
        metavar="DAYS",
        help="after its deprecation an image can be launched for so long (%(default)s)",
    )
    parser.add_argument(
        "--deleted-after",
        type=int,
        default=ages.deleted.days,
        metavar="DAYS",
        help="after its deprecation it is marked deleted (%(default)s)",
    )


def ages(options: argparse.Namespace) -> Ages:
    """As the options say; USAGE when an image would be deleted before it is obsolete."""
    if not 0 <= options.obsolete_after <= options.deleted_after:
        raise ShedError(
            f"an image cannot be obsolete after {options.obsolete_after} days and deleted after {options.deleted_after}",
            hint="give days from 0 on, and for --deleted-after as many or more",
            code=Exit.USAGE,
        )
    return Ages(obsolete=timedelta(days=options.obsolete_after), deleted=timedelta(days=options.deleted_after))


def client(options: argparse.Namespace) -> Client:
    """For the project, with the credentials of the environment."""
    return Client.from_environment(options.project)


def baked() -> Path:
    """Where the images of this checkout are."""
    return context.checkout() / "build" / "images"


def now() -> datetime:
    """The present, with its zone."""
    return datetime.now(UTC)


def tell(text: str) -> None:
    """A step that is done."""
    print(f"shed: {text}", file=sys.stderr)


def follow(steps: Iterable[Step], *, dry_run: bool, carry_out: Callable[[], None]) -> None:
    """Tell the plan of a dry run, or carry it out."""
    if dry_run:
        for step in steps:
            tell(f"would {step.text}")
    else:
        carry_out()


def report(options: argparse.Namespace, lines: Iterable[str], outcome: dict[str, Any]) -> None:
    """The outcome, for a program or for a person."""
    print(json.dumps(outcome, indent=2) if options.json else "\n".join(lines))
