"""A root tar as a container image of one layer: an OCI image layout in one tar, which also has Docker's manifest.json.

    oci-layout, index.json     for containerd, Podman and Docker's newer image store
    manifest.json              for `docker load` of every age
    blobs/sha256/...           the manifest, the configuration and the layer: the root tar as it is, gzipped

gzip, as Docker before 23 takes no zstd. The same root tar and arguments make the same bytes.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainshed_provision.formats import gzipped

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
INDEX = "application/vnd.oci.image.index.v1+json"
# What Docker, Podman and Kubernetes make of a name without a registry; containerd takes a name as it stands.
NO_REGISTRY = "docker.io/library/"


@dataclass(frozen=True, kw_only=True)
class Image:
    """What was written. Both are names by content: of the manifest (what registries say) and of the configuration
    (what `docker images` says).
    """

    digest: str
    id: str


@dataclass(frozen=True, kw_only=True)
class _Blob:
    media: str
    digest: str
    size: int

    @property
    def path(self) -> str:
        return f"blobs/sha256/{self.digest.removeprefix('sha256:')}"

    def descriptor(self, **more: Any) -> dict[str, Any]:
        return {"mediaType": self.media, "digest": self.digest, "size": self.size, **more}


def write(
    root_tar: Path,
    target: Path,
    *,
    epoch: int,
    name: str,
    config: Mapping[str, Any],
    labels: Mapping[str, str],
    architecture: str,
) -> Image:
    """Write `target`.

    epoch: seconds, the time in the image. name: as "trainshed:0.1.0". config: how it is run, in the words of OCI's and Docker's
    image configurations: User, Entrypoint, Healthcheck and so on; the labels are added to it. architecture: as OCI names it.
    """
    packed = target.with_name(target.name + ".layer")
    partial = target.with_name(target.name + ".partial")
    try:
        layer, diff_id = _layer(root_tar, packed)
        configuration = _configuration(
            {**config, "Labels": dict(labels)}, diff_id=diff_id, epoch=epoch, architecture=architecture
        )
        config_blob = _blob(CONFIG, configuration)
        manifest = _manifest(config_blob, layer)
        manifest_blob = _blob(MANIFEST, manifest)
        small = {
            "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
            "index.json": _index(manifest_blob, name=name, architecture=architecture),
            "manifest.json": _json([{"Config": config_blob.path, "RepoTags": [name], "Layers": [layer.path]}]),
            config_blob.path: configuration,
            manifest_blob.path: manifest,
        }
        _archive(partial, small, large={layer.path: packed}, epoch=epoch)
        partial.replace(target)
    finally:
        packed.unlink(missing_ok=True)
        partial.unlink(missing_ok=True)
    return Image(digest=manifest_blob.digest, id=config_blob.digest)


def _layer(root_tar: Path, packed: Path) -> tuple[_Blob, str]:
    """Write the layer; its blob, and the name by content of the root tar that is in it."""
    digest = hashlib.sha256()
    with root_tar.open("rb") as source, packed.open("wb") as out:
        for piece in gzipped.compress(source):
            digest.update(piece)
            out.write(piece)
        size = out.tell()
        source.seek(0)
        diff_id = hashlib.file_digest(source, "sha256").hexdigest()
    return _Blob(media=LAYER, digest=f"sha256:{digest.hexdigest()}", size=size), f"sha256:{diff_id}"


def _configuration(config: Mapping[str, Any], *, diff_id: str, epoch: int, architecture: str) -> bytes:
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": created,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "created_by": "shed bake docker"}],
        }
    )


def _manifest(config: _Blob, layer: _Blob) -> bytes:
    parts = {"config": config.descriptor(), "layers": [layer.descriptor()]}
    return _json({"schemaVersion": 2, "mediaType": MANIFEST, **parts})


def _index(manifest: _Blob, *, name: str, architecture: str) -> bytes:
    annotations = {
        "io.containerd.image.name": NO_REGISTRY + name,
        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
    }
    platform = {"architecture": architecture, "os": "linux"}
    entry = manifest.descriptor(platform=platform, annotations=annotations)
    return _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})


def _blob(media: str, content: bytes) -> _Blob:
    return _Blob(media=media, digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size=len(content))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _archive(target: Path, small: Mapping[str, bytes], *, large: Mapping[str, Path], epoch: int) -> None:
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("blobs", "blobs/sha256"):
            tar.addfile(_member(folder, epoch=epoch, folder=True))
        for path, content in small.items():
            tar.addfile(_member(path, epoch=epoch, size=len(content)), io.BytesIO(content))
        for path, source in large.items():
            with source.open("rb") as file:
                tar.addfile(_member(path, epoch=epoch, size=source.stat().st_size), file)


def _member(path: str, *, epoch: int, size: int = 0, folder: bool = False) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mtime = size, epoch
    if folder:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member
