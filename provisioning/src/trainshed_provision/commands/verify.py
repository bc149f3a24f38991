"""Check that files are the published ones: signature, checksum, and that they were not revoked.

Each FILE is held against FILE.minisig, where there is one, and against the signed index, which knows its checksum and
whether its version was revoked. Provenance (*.intoto.jsonl) is checked by the signature in it. Without shed:

  minisign -Vm FILE -P KEY

Exit code 10 when a file is not what was signed, is not in the index, or was revoked.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from trainshed_provision.bake.digest import file_digest
from trainshed_provision.commands.sign import ENVELOPE
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import index as papers
from trainshed_provision.papers import provenance, signatures
from trainshed_provision.papers.index import Index
from trainshed_provision.papers.signatures import PublicKey
from trainshed_provision.targets.vm.folder import state_root

HELP = "check that files are signed, published and not revoked"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed verify`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what to check")
    add_public(parser)
    parser.add_argument(
        "--index", type=Path, metavar="FILE", help="the signed index (default: index.json beside the first FILE)"
    )
    parser.add_argument("--without-index", action="store_true", help="ask signatures alone: not whether it was revoked")
    parser.add_argument("--json", action="store_true", help="print what was found as one JSON list")


def add_public(parser: argparse.ArgumentParser) -> None:
    """The option that says who is trusted."""
    parser.add_argument(
        "--public-key",
        metavar="KEY",
        help=f"who is trusted: minisign.pub or the key itself; two with a comma (default: ${signatures.PUBLIC_VARIABLE})",
    )


def seen() -> Path:
    """Where the highest sequence number of an index that was believed is remembered."""
    return state_root() / "index-seen.json"


def verify(options: argparse.Namespace) -> Exit:
    """Check each file, and raise at the first that does not hold; print a line for each."""
    keys = signatures.load_public(options.public_key)
    index = None if options.without_index else papers.read(_index(options), keys=keys, seen=seen())
    found = [_verify(file, keys, index) for file in options.files]
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for one in found:
            said = f"version {one['version']}, not revoked" if index else "whether it was revoked was not asked"
            print(f"{one['file']}: signed by {one['key']}, {said}")
    return Exit.OK


def _index(options: argparse.Namespace) -> Path:
    path: Path = options.index or options.files[0].with_name("index.json")
    if not path.is_file():
        raise ShedError(
            f"there is no index at {path}, so nobody knows whether these were revoked",
            hint="hand it in with --index FILE, or ask the signatures alone with --without-index",
            code=Exit.MISSING,
        )
    return path


def _verify(file: Path, keys: tuple[PublicKey, ...], index: Index | None) -> dict[str, Any]:
    if not file.is_file():
        raise ShedError(f"no such file: {file}", code=Exit.MISSING)
    digest = file_digest(file)
    made = {"file": str(file), "sha256": digest, "version": "", "key": _signer(file, keys, index)}
    if index is not None:
        made["version"] = _published(file, digest, index)
    return made


def _signer(file: Path, keys: tuple[PublicKey, ...], index: Index | None) -> str:
    """Whose signature vouches for a file: its own, that in an envelope, or that of the index."""
    if file.name.endswith(f".{ENVELOPE}"):
        provenance.opened(file.read_text(errors="replace"), keys)
        return ", ".join(key.name for key in keys)
    if index is not None and not signatures.signature_of(file).exists():
        return "the index"
    return signatures.verify(file, keys).name


def _published(file: Path, digest: str, index: Index) -> str:
    found = papers.by_digest(index, digest)
    if found is None:
        raise ShedError(
            f"{file} is not in the index: nothing published has its checksum {digest[:16]}...",
            hint="fetch it again; if it was published just now, fetch the index again",
            code=Exit.REFUSED,
        )
    version, entry = found
    if entry.name != file.name:
        raise ShedError(
            f"{file} is published as {entry.name}", hint="do not use it as what it is called now", code=Exit.REFUSED
        )
    papers.refuse_revoked(index, version)
    return version
