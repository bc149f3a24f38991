"""Where one machine's files are: <state>/vm/<name>/, ours when it holds our record."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.spec import VmSpec
from trainshed_provision.ssh import Login

KIND = "trainshed-vm"  # our marker, in the record


def state_root(environ: Mapping[str, str] = os.environ) -> Path:
    """$SHED_STATE_DIR, else shed's folder where the desktop keeps state ($XDG_STATE_HOME, ~/.local/state)."""
    if own := environ.get("SHED_STATE_DIR"):
        return Path(own).absolute()
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "trainshed"


@dataclass(frozen=True)
class Folder:
    """Names of a machine's files; none of them need exist."""

    root: Path
    name: str

    @property
    def path(self) -> Path:
        """The machine's own folder."""
        return self.root / "vm" / self.name

    @property
    def failed_log(self) -> Path:
        """The serial log of a launch that failed, kept when all else is cleaned away."""
        return self.root / "vm" / f"{self.name}.failed-serial.log"

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def system(self, digest: str) -> Path:
        """The overlay over the image of that sha256: another image, another file."""
        return self / f"system-{digest[:16]}.qcow2"

    def data(self, spec: VmSpec) -> Path:
        """The data disk, ours or the user's own."""
        return Path(spec.data_disk) if spec.data_disk else self / "data.raw"

    def login(self, spec: VmSpec) -> Login:
        """The way in by ssh."""
        return Login(port=spec.ports.ssh, key=self / "id_ed25519", known_hosts=self / "known_hosts")

    def record(self) -> dict[str, Any] | None:
        """What the last launch wrote, None when this is no folder of ours."""
        try:
            fields = json.loads((self / "vm.json").read_text())
        except (OSError, ValueError):
            return None
        return fields if isinstance(fields, dict) and fields.get("kind") == KIND else None

    def recorded_spec(self) -> VmSpec | None:
        """The settings of the last launch."""
        fields = self.record()
        return VmSpec.from_json(fields["spec"]) if fields else None

    def write_record(self, spec: VmSpec, *, image: Mapping[str, Any]) -> None:
        """Write settings and image, at once or not at all; make the folder around them when it is not there."""
        text = json.dumps({"kind": KIND, "spec": spec.as_json(), "image": dict(image)}, indent=2)
        if self.path.exists():
            write_whole(self / "vm.json", text)
            return
        half = self.path.with_name(f".{self.name}.part")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True, mode=0o700)
        (half / "vm.json").write_text(text)
        half.rename(self.path)

    def remove(self, *, keep: Path | None = None) -> None:
        """Remove what is in the folder, and the folder; with keep, all but that file and the record."""
        if self.record() is None:
            raise ShedError(f"{self.path} is not ours; nothing was removed", code=Exit.CONFLICT)
        if keep is None:
            shutil.rmtree(self.path)
            return
        for path in self.path.iterdir():
            if path not in (keep, self / "vm.json"):
                path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other shed processes off this machine. Raises ShedError(CONFLICT) at once when one is at work."""
        lock = self.root / "vm" / f".{self.name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ShedError(
                    f"another shed is at work on machine '{self.name}'",
                    hint="wait for it to end, then run this again",
                    code=Exit.CONFLICT,
                ) from error
            yield


def write_whole(path: Path, text: str) -> None:
    """Write a file at once or not at all."""
    half = path.with_name(path.name + ".part")
    half.write_text(text)
    half.rename(path)
