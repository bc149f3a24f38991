"""`shed ... gcp` in this process, against a stand-in, with archives small enough for tests."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision import cli
from trainshed_provision.errors import Exit
from trainshed_provision.formats import gce
from trainshed_provision.publish.gcp.api import COMPUTE_VARIABLE, STORAGE_VARIABLE
from trainshed_provision.testing import gcs
from trainshed_provision.testing.google import BUCKET, PROJECT, Google

GIB = 1 << 30
PART = 256 << 10
NAME = "trainshed-0-1-0-amd64"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Shed:
    """The command line, against one stand-in. waits: seconds that it would have slept."""

    google: Google
    image: Path
    capture: pytest.CaptureFixture[str]
    waits: list[float] = field(default_factory=list)
    err: str = ""

    @property
    def environment(self) -> dict[str, str]:
        return {
            COMPUTE_VARIABLE: f"{self.google.endpoint}/compute/v1/",
            STORAGE_VARIABLE: self.google.endpoint,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
        }

    @property
    def words(self) -> list[str]:
        return ["publish", "gcp", "--json", "--bucket", BUCKET, "--image", str(self.image)]

    def publish(self, *more: str, code: Exit = Exit.OK) -> dict[str, Any]:
        told: dict[str, Any] = self(*self.words, *more, code=code)
        return told

    def __call__(self, *argv: str, code: Exit = Exit.OK) -> Any:
        found = cli.main(list(argv))
        out, self.err = self.capture.readouterr()
        assert found == code, self.err
        return json.loads(out) if out.startswith(("{", "[")) else out

    def release(self, *names: str) -> None:
        """Publish and promote, one after the other."""
        for name in names:
            self.publish("--name", name)
            self.promote(name)

    def promote(self, name: str, *more: str, code: Exit = Exit.OK) -> dict[str, Any]:
        """With the report of a machine that was tested."""
        told: dict[str, Any] = self("promote", "gcp", "--json", name, "--tested", str(self.report()), *more, code=code)
        return told

    def report(self, **found: object) -> Path:
        """What `shed check ssh --json` says of a machine of the image; of another when told."""
        identity = {"version": "0.1.0", "commit": COMMIT} | found
        path = self.image.parent / "report.json"
        path.write_text(json.dumps([{"rule": "I11", "ok": True, "found": json.dumps(identity)}]))
        return path

    @property
    def objects(self) -> dict[str, gcs.Object]:
        return self.google.storage.buckets[BUCKET]

    @property
    def images(self) -> dict[str, dict[str, Any]]:
        return self.google.compute.images


def pack(folder: Path, content: bytes) -> bytes:
    """The archive of a disk of 1 GiB that begins with the content."""
    with (folder / "disk.raw").open("wb") as raw:
        raw.truncate(GIB)
        raw.write(content)
    gce.write(folder / "disk.raw", folder / "disk.tar.gz", epoch=0, name="disk")
    return (folder / "disk.tar.gz").read_bytes()


def write_image(folder: Path, archive: bytes, **fields: str) -> Path:
    """An archive with its manifest."""
    path = folder / "trainshed-0.1.0-amd64.gcp.tar.gz"
    path.write_bytes(archive)
    file = {"file": path.name, "sha256": sha256(archive).hexdigest(), "bytes": len(archive)}
    manifest = {
        "version": "0.1.0",
        "commit": COMMIT,
        "tree_digest": "ab" * 32,
        "architecture": "amd64",
        "files": {"gcp.tar.gz": file},
        **fields,
    }
    (folder / "trainshed-0.1.0-amd64.manifest.json").write_text(json.dumps(manifest))
    return path
