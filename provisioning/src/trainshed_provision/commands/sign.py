"""Sign files, so that anybody with minisign or `shed verify` can tell that they are yours.

Each FILE gets a FILE.minisig beside it; a *.provenance.json also becomes a signed *.intoto.jsonl. Without FILE: all that
the last bake left in build/images. The key is yours and is handed in; none is ever made here. Make one once:

  minisign -G -p trainshed.pub -s trainshed.key      (asks for a password)

Keep trainshed.key off the machines that bake, give trainshed.pub to everybody. A password comes from a file or the
environment, never from an argument, which everybody on the machine can read:

  TRAINSHED_SIGNING_PASSWORD_FILE=password shed sign --key trainshed.key

Signing again writes the same signatures.
"""

import argparse
import json
from pathlib import Path

from trainshed_provision.bake import context, manifest
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import files, provenance, signatures
from trainshed_provision.papers.documents import PROVENANCE
from trainshed_provision.papers.signatures import SecretKey

HELP = "sign images and their papers"
ENVELOPE = "intoto.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed sign`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what to sign (default: the newest image)")
    add_key(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be signed and stop; needs no key")
    parser.add_argument("--json", action="store_true", help="print the written files as one JSON list")


def add_key(parser: argparse.ArgumentParser) -> None:
    """The option that hands in the key."""
    parser.add_argument(
        "--key", type=Path, metavar="FILE", help=f"minisign's secret key (default: ${signatures.KEY_VARIABLE})"
    )


def sign(options: argparse.Namespace) -> Exit:
    """Sign each file; print what was written."""
    wanted = options.files or newest()
    absent = [str(file) for file in wanted if not file.is_file()]
    if absent:
        raise ShedError(f"no such file: {', '.join(absent)}", hint="nothing was signed", code=Exit.MISSING)
    if options.dry_run:
        written = wanted
    else:
        key = signatures.load_secret(options.key)
        written = [made for file in wanted for made in _sign(file, key)]
    print(json.dumps([str(file) for file in written], indent=2) if options.json else "\n".join(map(str, written)))
    return Exit.OK


def newest() -> list[Path]:
    """The files and papers of the newest image and its manifest. MISSING when none is there whole."""
    images = context.checkout() / "build" / "images"
    image = manifest.newest(images)
    if image is None or not image["files"]:
        raise ShedError(f"no whole image is in {images}", hint="run: shed bake", code=Exit.MISSING)
    names = [entry["file"] for entry in (*image["files"].values(), *image.get("papers", {}).values())]
    return [images / name for name in (*names, f"{image['name']}.manifest.json")]


def _sign(file: Path, key: SecretKey) -> list[Path]:
    made = [signatures.sign(file, key)]
    if file.name.endswith(f".{PROVENANCE}"):
        envelope = file.with_name(file.name.removesuffix(PROVENANCE) + ENVELOPE)
        made.append(files.write(envelope, provenance.envelope(file.read_text(), key)))
    return made
