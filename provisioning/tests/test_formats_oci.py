"""The container image: what each program looks for in it, and that the same tree makes the same bytes."""

import gzip
import hashlib
import io
import json
import random
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision.bake.context import checkout
from trainshed_provision.formats import gzipped, oci

EPOCH = 1_790_000_000
NAME = "trainshed:1.2.3"
LABELS = {"org.opencontainers.image.version": "1.2.3"}
CONFIG: dict[str, Any] = json.loads((checkout() / "images/docker/image.json").read_text())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small root tar with a folder, a file of several blocks and a link."""
    path = tmp_path / "root.tar"
    noise = random.Random(5).randbytes(gzipped.BLOCK + 12345) + bytes(3 * gzipped.BLOCK)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in {"etc/os-release": b"ID=debian\n", "usr/noise": noise}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
    return path


def write(root: Path, target: Path, **changed: Any) -> oci.Image:
    return oci.write(
        root,
        target,
        **{"epoch": EPOCH, "name": NAME, "config": CONFIG, "labels": LABELS, "architecture": "amd64", **changed},
    )


def contents(image: Path) -> dict[str, bytes]:
    with tarfile.open(image) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    content = files[f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}"]
    assert len(content) == descriptor["size"]
    return content


def test_every_blob_is_named_by_its_content(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "image.tar")
    blobs = {name: data for name, data in contents(tmp_path / "image.tar").items() if name.startswith("blobs/")}
    assert len(blobs) == 3
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_both_ways_in_lead_to_the_root_tar(root: Path, tmp_path: Path) -> None:
    written = write(root, tmp_path / "image.tar")
    files = contents(tmp_path / "image.tar")
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == written.digest
    assert entry["annotations"]["io.containerd.image.name"].endswith(f"/{NAME}")
    manifest = json.loads(blob(files, entry))
    (layer,) = manifest["layers"]
    assert manifest["config"]["digest"] == written.id
    (docker,) = json.loads(files["manifest.json"])
    assert docker["RepoTags"] == [NAME]
    assert files[docker["Config"]] == blob(files, manifest["config"])
    assert [files[name] for name in docker["Layers"]] == [blob(files, layer)]
    assert gzip.decompress(blob(files, layer)) == root.read_bytes()
    config = json.loads(files[docker["Config"]])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(root.read_bytes()).hexdigest()}"]
    assert config["config"] == {**CONFIG, "Labels": LABELS}
    assert config["created"] == "2026-09-21T14:13:20Z"


def test_the_same_inputs_make_the_same_bytes(root: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.tar", tmp_path / "elsewhere" / "second.tar"
    second.parent.mkdir()
    assert write(root, first) == write(root, second)
    assert first.read_bytes() == second.read_bytes()
    assert write(root, second, epoch=EPOCH + 1) != write(root, first)


def test_nothing_is_left_beside_it(root: Path, tmp_path: Path) -> None:
    write(root, tmp_path / "image.tar")
    assert {path.name for path in tmp_path.iterdir()} == {"root.tar", "image.tar"}


def test_a_failure_leaves_the_former_image_and_nothing_else(root: Path, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"the former one")
    with pytest.raises(TypeError):
        write(root, tmp_path / "image.tar", config={"User": object()})
    assert {path.name for path in tmp_path.iterdir()} == {"root.tar", "image.tar"}
    assert (tmp_path / "image.tar").read_bytes() == b"the former one"


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_skopeo_reads_it(root: Path, tmp_path: Path, transport: str) -> None:
    write(root, tmp_path / "image.tar")
    argv = ["skopeo", "inspect", "--config", f"{transport}:{tmp_path / 'image.tar'}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["Labels"] == LABELS


# How it is run


def test_it_runs_as_the_server_s_user_by_number() -> None:
    # Kubernetes' runAsNonRoot believes numbers alone.
    defaults = (checkout() / "roles/trainshed/defaults/main.yml").read_text()
    number = defaults.partition("trainshed_uid: ")[2].split()[0]
    assert CONFIG["User"] == f"{number}:{number}" != "0:0"
    assert set(CONFIG["ExposedPorts"]) == {"8008/tcp", "8080/tcp", "8081/tcp"}


# gzip


@pytest.mark.parametrize("size", [0, 1, gzipped.BLOCK, gzipped.BLOCK + 1, 5 * gzipped.BLOCK // 2])
def test_gzip_gives_back_what_it_took(size: int) -> None:
    data = (random.Random(size).randbytes(1000) * (size // 1000 + 1))[:size]
    packed = b"".join(gzipped.compress(io.BytesIO(data)))
    assert gzip.decompress(packed) == data


def test_gzip_does_not_depend_on_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(1 << 20) + bytes(3 << 20)
    made = []
    for processors in (1, 7):
        monkeypatch.setattr("os.cpu_count", lambda number=processors: number)
        made.append(b"".join(gzipped.compress(io.BytesIO(data))))
    assert made[0] == made[1]


def test_gzip_sees_what_stood_in_the_block_before() -> None:
    piece = random.Random(2).randbytes(gzipped.WINDOW // 2)
    data = bytes(gzipped.BLOCK - len(piece)) + piece + piece
    assert len(b"".join(gzipped.compress(io.BytesIO(data)))) < 1.2 * len(piece)
