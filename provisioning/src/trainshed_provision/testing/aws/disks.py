"""Small disks to publish, and snapshots read back block by block."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from trainshed_provision.publish.aws.client import Aws
from trainshed_provision.publish.aws.publish import Published, publish
from trainshed_provision.publish.aws.spec import BLOCK, GIB, PublishSpec

HOME, OTHER, THIRD = "eu-central-1", "us-east-1", "eu-west-1"

ZEROS = bytes(BLOCK)

Blocks = dict[int, bytes]


def noise(*indices: int, seed: int = 1) -> Blocks:
    """Random blocks, the same each time."""
    return {index: random.Random(f"{seed} {index}").randbytes(BLOCK) for index in indices}


def write_disk(
    folder: Path, blocks: Blocks, *, version: str = "0.1.0", size: int = GIB, architecture: str = "amd64"
) -> Path:
    """A sparse disk of these blocks, and its manifest. The sha256 is of what is in it: a real one of 1 GiB takes a second."""
    folder.mkdir(exist_ok=True)
    path = folder / f"trainshed-{version}-{architecture}.raw"
    with path.open("wb") as file:
        file.truncate(size)
        for index, data in blocks.items():
            file.seek(index * BLOCK)
            file.write(data)
    digest = hashlib.sha256(repr(size).encode())
    for index in sorted(blocks):
        digest.update(repr(index).encode() + blocks[index])
    write_manifest(path, version=version, sha256=digest.hexdigest(), architecture=architecture)
    return path


def write_manifest(disk: Path, *, version: str, sha256: str, architecture: str = "amd64") -> None:
    """What a bake says of a disk."""
    manifest = {
        "version": version,
        "commit": "c" * 40,
        "tree_digest": "d" * 64,
        "architecture": architecture,
        "files": {"raw": {"file": disk.name, "sha256": sha256, "bytes": disk.stat().st_size}},
    }
    disk.with_suffix(".manifest.json").write_text(json.dumps(manifest))


def data_of(disk: Path) -> Blocks:
    """The blocks of a disk that are not zeros, read in the plainest way there is."""
    found: Blocks = {}
    with disk.open("rb") as file:
        for index in range(-(-disk.stat().st_size // BLOCK)):
            data = file.read(BLOCK).ljust(BLOCK, b"\0")
            if data != ZEROS:
                found[index] = data
    return found


def read_back(aws: Aws, snapshot: str, *, region: str = HOME) -> Blocks:
    """All blocks that a snapshot has."""
    client = aws.client("ebs", region)
    found: Blocks = {}
    page: dict[str, Any] = {"NextToken": ""}
    while "NextToken" in page:
        token = {"NextToken": page["NextToken"]} if page["NextToken"] else {}
        page = client.list_snapshot_blocks(SnapshotId=snapshot, **token)
        for block in page["Blocks"]:
            index = block["BlockIndex"]
            answer = client.get_snapshot_block(SnapshotId=snapshot, BlockIndex=index, BlockToken=block["BlockToken"])
            found[index] = answer["BlockData"].read()
    return found


def spec_of(disk: Path, **fields: Any) -> PublishSpec:
    """To publish this disk in three regions; blocks of zeros are left out, for time."""
    manifest = json.loads(disk.with_suffix(".manifest.json").read_text())
    given = {
        "version": manifest["version"],
        "commit": manifest["commit"],
        "tree": manifest["tree_digest"],
        "sha256": manifest["files"]["raw"]["sha256"],
        "size": disk.stat().st_size,
        "architecture": "amd64",
        "home": HOME,
        "regions": (HOME, OTHER, THIRD),
        "skip_zeros": True,
    }
    return PublishSpec(**{**given, **fields})


def published(aws: Aws, disk: Path, *, dry_run: bool = False, **fields: Any) -> Published:
    """Publish it, without a word."""
    spec = spec_of(disk, **fields)
    return publish(spec, aws, disk=disk, dry_run=dry_run, verify=lambda: None, report=lambda line: None)
