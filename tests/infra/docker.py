"""A Docker to test with: the one that runs on this machine, or else one of our own for as long as the tests take."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from trainshed.testing.live import free_ports

START_SECONDS = 60
COMMAND_SECONDS = 300
POLL_SECONDS = 0.02  # short: starts are measured by it
PORTS = {"web": 8080, "api": 8008, "files": 8081}  # of the image


class NoDockerError(Exception):
    """There is none, and none can be started; says why."""


@dataclass(frozen=True)
class Docker:
    """The docker command. environment: what it needs to find its daemon. own: the folder of the daemon that is ours."""

    environment: Mapping[str, str] = field(default_factory=dict)
    own: Path | None = None

    def __call__(self, *words: str | Path, ok: tuple[int, ...] = (0,)) -> str:
        """Run it; its standard output."""
        return self.said(*words, ok=ok)[0]

    def said(self, *words: str | Path, ok: tuple[int, ...] = (0,)) -> tuple[str, str]:
        """Run it; both outputs. Fails with all it said."""
        return self._run(["docker", *words], ok=ok)

    def compose(self, *words: str | Path, ok: tuple[int, ...] = (0,), **variables: str) -> str:
        """Run compose, of whichever generation is installed; its standard output."""
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        return self._run([*(("docker", "compose") if plugin else ("docker-compose",)), *words], ok=ok, **variables)[0]

    def _run(self, argv: list[str | Path], *, ok: tuple[int, ...], **variables: str) -> tuple[str, str]:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        said = f"{' '.join(map(str, argv))}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode in ok, said
        print(said)  # shown by pytest when a test fails
        return done.stdout, done.stderr

    def inspect(self, name: str) -> dict[str, Any]:
        """What Docker knows of a container or an image."""
        (answer,) = json.loads(self("inspect", name))
        found: dict[str, Any] = answer
        return found


@contextmanager
def docker() -> Iterator[Docker]:
    """The machine's own, or one with a socket and a data folder of its own that is gone afterwards. Raises NoDockerError."""
    if shutil.which("docker") is None:
        raise NoDockerError("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        yield Docker()
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        raise NoDockerError("no Docker runs here, and none can be started: it needs docker.io and root")
    # Not in pytest's folder: the paths of its sockets would be too long.
    folder = Path(tempfile.mkdtemp(prefix="trainshed-docker-"))
    host = f"unix://{folder}/docker.sock"
    options = [f"--host={host}", f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid"]
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd", *options, "--log-level=warn"], stdout=log, stderr=log)
    try:
        ours = Docker({"DOCKER_HOST": host}, folder)
        _await(ours, daemon)
        yield ours
    finally:
        daemon.terminate()  # containers that still run are stopped with it
        daemon.wait(START_SECONDS)
        _unmount(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unmount(folder: Path) -> None:
    """What a daemon that did not end well left there, innermost first."""
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (place := line.split(" ")[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False)


def _await(ours: Docker, daemon: "subprocess.Popen[bytes]") -> None:
    assert ours.own
    late = time.monotonic() + START_SECONDS
    command, environment = ["docker", "info"], {**os.environ, **ours.environment}
    while subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > late:
            said = (ours.own / "log").read_text(errors="replace").strip().splitlines()[-3:]
            raise NoDockerError(f"dockerd does not start here: {' '.join(said)}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Container:
    """One that was started, with the addresses that it has on this machine."""

    docker: Docker
    id: str
    urls: dict[str, str]
    began: float

    def answers(self, *, seconds: float = START_SECONDS) -> float:
        """Wait until all three listeners do; the seconds since `docker run` began."""
        late = time.monotonic() + seconds
        for url in self.urls.values():
            while not answers(url):
                state = self.docker.inspect(self.id)["State"]
                assert state["Running"], f"{state}\n{self.log()}"
                assert time.monotonic() < late, f"{url} does not answer:\n{self.log()}"
                time.sleep(POLL_SECONDS)
        return time.monotonic() - self.began

    def inside(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a command in it; its output."""
        return self.docker("exec", self.id, *words, ok=ok)

    def log(self) -> str:
        """All it has said."""
        return "\n".join(self.docker.said("logs", self.id))

    def state(self) -> dict[str, Any]:
        """Running, ExitCode, Health and so on."""
        found: dict[str, Any] = self.docker.inspect(self.id)["State"]
        return found

    def is_healthy(self, *, seconds: float = START_SECONDS) -> str:
        """Wait until Docker says so; what the health command said."""
        late = time.monotonic() + seconds
        while (health := self.state()["Health"])["Status"] != "healthy":
            assert time.monotonic() < late, f"{health}\n{self.log()}"
            time.sleep(POLL_SECONDS)
        return str(health["Log"][-1]["Output"])

    def ended(self, *, seconds: float = START_SECONDS) -> int:
        """Wait until it ends by itself; its exit code."""
        late = time.monotonic() + seconds
        while (state := self.state())["Running"]:
            assert time.monotonic() < late, f"it still runs:\n{self.log()}"
            time.sleep(POLL_SECONDS)
        return int(state["ExitCode"])


@contextmanager
def container(docker: Docker, image: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[Container]:
    """One of the image, with its ports on this machine; removed afterwards with its volumes."""
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    published = [f"--publish=127.0.0.1:{ports[name]}:{inner}" for name, inner in PORTS.items()]
    if any(option.startswith("--network") for option in options):
        published = []
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()} if published else {}
    began = time.monotonic()
    made = docker("run", "--detach", *published, *options, image, *command).strip()
    try:
        yield Container(docker, made, urls, began)
    finally:
        docker("rm", "--force", "--volumes", made)


def answers(url: str) -> bool:
    """Whether the listener there is healthy."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def client(section: str, urls: Mapping[str, str]) -> dict[str, str]:
    """The environment of a client. section: of a clearml.conf, with an access key."""
    keys = dict(re.findall(r'"(\w+_key)" = "([^"]+)"', section))
    return {
        **{f"CLEARML_{name.upper()}_HOST": url for name, url in urls.items()},
        "CLEARML_API_ACCESS_KEY": keys["access_key"],
        "CLEARML_API_SECRET_KEY": keys["secret_key"],
    }
