"""Show that images hold the one root they were all made from: read the files out of each format and compare.

Without IMAGE: every file of the newest image. What the bake wrote down beside the images says what has to be in them: tree.txt
for the root, disk.txt for a whole disk. Needs no root. Exit code 5 when an image differs.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from trainshed_provision.bake import context
from trainshed_provision.bake import prove as proofs
from trainshed_provision.bake.manifest import LATEST
from trainshed_provision.bake.prove import Listings, Proof
from trainshed_provision.errors import Exit, ShedError

HELP = "show that images hold the same root"
NAMED = 5  # files that differ and are printed; --json has all of them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `shed prove`."""
    parser.add_argument("image", nargs="*", type=Path, metavar="IMAGE", help="a baked file, its manifest beside it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def prove(options: argparse.Namespace) -> Exit:
    """Print a line per image."""
    images = options.image or _newest()
    shown = []
    for image in images:
        start = time.monotonic()
        manifest, listings = _beside(image)
        proof = proofs.prove(image, listings)
        same = not proof.differs and proof.digest == manifest["tree_digest"]
        shown.append({**_as_json(proof), "same": same, "layer_changes": listings.changes})
        if not options.json:
            print(_line(proof, same=same, seconds=time.monotonic() - start), flush=True)
    if options.json:
        print(json.dumps({"images": shown}, indent=2))
    else:
        print(f"not in the digest, as the layer of a disk changes them: {', '.join(shown[0]['layer_changes'])}")
    return Exit.OK if all(row["same"] for row in shown) else Exit.CORRUPT


def _newest() -> list[Path]:
    folder = context.checkout() / "build" / "images"
    try:
        files = json.loads((folder / LATEST).read_text())["files"]
        return [folder / file["file"] for file in files.values()]
    except FileNotFoundError as error:
        raise ShedError(
            f"no image in {folder} yet", hint="make one with: sudo shed bake all", code=Exit.NOT_FOUND
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(folder / LATEST, error) from error


def _beside(image: Path) -> tuple[dict[str, Any], Listings]:
    """The manifest and the listings that lie beside an image."""
    if not image.is_file():
        raise ShedError(f"no image {image}", hint="give the path of a baked file", code=Exit.NOT_FOUND)
    ending, _ = proofs.reader(image)
    name = image.name.removesuffix(f".{ending}")
    paths = {part: image.with_name(f"{name}.{part}") for part in ("manifest.json", "tree.txt", "disk.txt")}
    wanted = ["manifest.json", "tree.txt", *(["disk.txt"] if ending != "oci.tar" else [])]
    if missing := [paths[part].name for part in wanted if not paths[part].is_file()]:
        raise ShedError(
            f"{image} has no {' and no '.join(missing)} beside it",
            hint="take the image with the papers of its bake",
            code=Exit.NOT_FOUND,
        )
    try:
        manifest = json.loads(paths["manifest.json"].read_text())
        texts = {part: paths[part].read_text(errors="surrogateescape") if part in wanted else "" for part in paths}
        return manifest, Listings(
            root=texts["tree.txt"], disk=texts["disk.txt"], changes=list(manifest["layer_changes"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _corrupt(paths["manifest.json"], error) from error


def _corrupt(path: Path, error: Exception) -> ShedError:
    return ShedError(
        f"{path} is not the manifest of an image: {error!r}",
        hint="bake it again with: sudo shed bake all",
        code=Exit.CORRUPT,
    )


def _as_json(proof: Proof) -> dict[str, Any]:
    return {"file": str(proof.path), "tree_digest": proof.digest, "differs": proof.differs}


def _line(proof: Proof, *, same: bool, seconds: float) -> str:
    text = f"{'same   ' if same else 'DIFFERS'} {proof.digest[:16]}  {proof.path.name}  {seconds:.1f} s"
    if not proof.differs:
        return text
    more = f" and {len(proof.differs) - NAMED} more" if len(proof.differs) > NAMED else ""
    return f"{text}: {', '.join(proof.differs[:NAMED])}{more}"
