"""Keep and read the signed index of all that is published; docs/index.md describes it.

  shed index add build/images/latest.json --url https://images.example/0.2.0 --key trainshed.key
  shed index revoke 0.1.0 --reason "CVE-2026-1234 in openssl" --replacement 0.2.0 --key trainshed.key
  shed index show --public-key trainshed.pub --resolve latest --target aws --region eu-central-1

What is there already is not written again. An index is believed for 90 days: renew it before, or add to it.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from trainshed_provision.bake.digest import file_digest
from trainshed_provision.commands.sign import ENVELOPE, add_key
from trainshed_provision.commands.verify import add_public, seen
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import index as papers
from trainshed_provision.papers import signatures
from trainshed_provision.papers.index import Index

HELP = "keep and read the signed index of all that is published"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `shed index`, each with its options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    words = parser.add_subparsers(dest="word", metavar="show|add|revoke|renew|verify", required=True)
    helps = {
        "show": "print releases, or resolve one",
        "add": "add the image of a manifest",
        "revoke": "mark a version as one that must not be launched",
        "renew": "sign it for another 90 days",
        "verify": "check signature, expiry and sequence",
    }
    for word, said in helps.items():
        sub = words.add_parser(word, help=said, description=said, allow_abbrev=False)
        sub.add_argument(
            "--index", type=Path, default=Path("index.json"), metavar="FILE", help="(default: %(default)s)"
        )
        sub.add_argument("--json", action="store_true", help="print JSON")
        add_public(sub)
        if word in ("add", "revoke", "renew"):
            add_key(sub)
            sub.add_argument("--dry-run", action="store_true", help="print what it would be and write nothing")
        if word in OPTIONS:
            OPTIONS[word](sub)


def _show_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--resolve", metavar="VERSION", help="print the image of a version, or of `latest`, to launch")
    sub.add_argument("--target", default="qcow2", help="with --resolve: aws, gcp, or a format (%(default)s)")
    sub.add_argument("--region", default="", help="with --resolve and aws")
    sub.add_argument("--architecture", default="amd64", help="with --resolve (%(default)s)")


def _add_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("manifest", type=Path, help="*.manifest.json or latest.json of a bake")
    sub.add_argument("--url", default="", help="folder in which its files are published (default: beside the index)")


def _revoke_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("version", help="the version")
    sub.add_argument("--reason", required=True, help="why, in a line: everybody reads it who wants to launch it")
    sub.add_argument("--replacement", default="", metavar="VERSION", help="what to take instead")


OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "show": _show_options,
    "add": _add_options,
    "revoke": _revoke_options,
}


def index(options: argparse.Namespace) -> Exit:
    """Do what the word says."""
    if options.word in ("show", "verify"):
        keys = signatures.load_public(options.public_key)
        read = papers.read(options.index, keys=keys, seen=seen())
        (_print_status if options.word == "verify" else _show)(options, read)
    else:
        key = signatures.load_secret(options.key)
        edit = papers.preview if options.dry_run else papers.edit
        # Who signs trusts himself; an index of the key before this one needs a word.
        trusted = signatures.load_public(options.public_key) if options.public_key else ()
        changed = edit(options.index, _change(options), key=key, trusted=trusted, renew=options.word == "renew")
        _print_status(options, changed)
    return Exit.OK


def _change(options: argparse.Namespace) -> Callable[[Index], Index]:
    now = datetime.now(UTC)
    if options.word == "add":
        manifest = _manifest(options.manifest)
        return lambda index: papers.add_release(index, manifest, now=now, url=options.url)
    if options.word == "revoke":
        said = {"reason": options.reason, "replacement": options.replacement}
        return lambda index: papers.revoke(index, options.version, now=now, **said)
    return lambda index: index


def _manifest(path: Path) -> dict[str, Any]:
    """A manifest, with the signed provenance that `shed sign` left beside it. Raises MISSING or CORRUPT."""
    try:
        made = json.loads(path.read_text())
        name = f"{made['name']}.{ENVELOPE}"
    except OSError as error:
        raise ShedError(f"cannot read {path}: {error.strerror}", hint="run: shed bake", code=Exit.MISSING) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ShedError(f"{path} is no manifest: {error}", hint="run: shed bake", code=Exit.CORRUPT) from error
    envelope = path.with_name(name)
    if envelope.is_file():
        entry = {"file": name, "sha256": file_digest(envelope), "bytes": envelope.stat().st_size}
        made["papers"] = {**made.get("papers", {}), ENVELOPE: entry}
    return dict(made)


def _show(options: argparse.Namespace, index: Index) -> None:
    if options.resolve:
        where = {"region": options.region, "architecture": options.architecture}
        found = papers.resolve(index, options.resolve, options.target, **where)
        fields = msgspec.to_builtins(found)
        print(json.dumps(fields, indent=2) if options.json else f"{found.version} {found.id}")
    elif options.json:
        print(papers.encode(index).decode(), end="")
    else:
        for version in papers.newest_first(index):
            print(_line(version, index.releases[version]))


def _line(version: str, release: papers.Release) -> str:
    parts = [
        f"{architecture}: {', '.join([*build.files, *build.aws, *(['gcp'] if build.gcp else [])])}"
        for architecture, build in release.builds.items()
    ]
    gone = f"  REVOKED {release.revoked.at:%Y-%m-%d}: {release.revoked.reason}" if release.revoked else ""
    return f"{version}  {release.published:%Y-%m-%d}  {'; '.join(parts)}{gone}"


def _print_status(options: argparse.Namespace, index: Index) -> None:
    facts = {"sequence": index.sequence, "expires": f"{index.expires:%Y-%m-%d}", "releases": len(index.releases)}
    if options.json:
        print(json.dumps({"index": str(options.index), **facts}))
    else:
        print(f"{options.index}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
