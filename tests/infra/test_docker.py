"""The container image, run by Docker: as people harden it, as they misuse it, and with the three compose files."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import experiment
from tests.infra import docker as dockers
from tests.infra.appliance import IMAGES, ROOT
from tests.infra.docker import Container, Docker, container

from trainshed.testing.live import free_ports

pytestmark = pytest.mark.image

COMPOSE = ROOT / "images" / "docker"
START_SECONDS = 2.0  # promised, from `docker run` to three listeners that answer
SIZES = experiment.Sizes(points=500, series=2, lines=20, plots=1, images=1, artifact_mib=2, weights_mib=1)
ALONE = ("--network=none", "--health-interval=500ms")
# As careful people run it.
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")


@pytest.fixture(scope="module")
def archive(manifest: dict[str, Any]) -> Path:
    """The image as a file."""
    return IMAGES / str(manifest["files"]["oci.tar"]["file"])


@pytest.fixture(scope="module")
def image(docker: Docker, archive: Path) -> str:
    """Its name, loaded."""
    said = docker("load", "--input", archive)
    assert said.startswith("Loaded image: trainshed:"), said
    return said.removeprefix("Loaded image: ").strip()


@pytest.fixture(scope="module")
def running(docker: Docker, image: str) -> Iterator[Container]:
    """One that is only looked at, hardened, with the configuration of a test."""
    with container(docker, image, *HARDENED, "--health-interval=500ms") as made:
        made.answers()
        yield made


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that other users may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="trainshed-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


# The image


def test_it_says_what_it_is(docker: Docker, image: str, archive: Path, manifest: dict[str, Any]) -> None:
    found = docker.inspect(image)
    labels = found["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == manifest["version"]
    assert labels["org.opencontainers.image.revision"] == manifest["commit"]
    assert found["Config"]["User"] == "808:808"
    assert len(found["RootFS"]["Layers"]) == 1
    assert image == f"trainshed:{manifest['version']}"
    assert archive.stat().st_size <= 150_000_000


def test_containerd_takes_it(docker: Docker, archive: Path) -> None:
    """By the containerd of the daemon that is ours; another one's is nobody's to write to."""
    socket = docker.own / "exec/containerd/containerd.sock" if docker.own else None
    if socket is None or not socket.exists() or shutil.which("ctr") is None:
        pytest.skip("the daemon or its containerd is the machine's own, or there is no ctr")
    ctr = ["ctr", f"--address={socket}", "--namespace=test", "images"]
    subprocess.run([*ctr, "import", "--no-unpack", archive], check=True, capture_output=True)
    names = subprocess.run([*ctr, "list", "--quiet"], check=True, capture_output=True, text=True).stdout.split()
    checked = subprocess.run([*ctr, "check"], check=True, capture_output=True, text=True).stdout
    subprocess.run([*ctr, "remove", *names], check=True, capture_output=True)
    assert [name.rpartition("/")[2].partition(":")[0] for name in names] == ["trainshed"]
    assert "complete" in checked


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_skopeo_takes_it_either_way(archive: Path, tmp_path: Path, transport: str) -> None:
    argv = ["skopeo", "copy", "--insecure-policy", "--quiet", f"{transport}:{archive}", f"dir:{tmp_path}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")
def test_podman_takes_it_by_the_same_name(archive: Path, folder: Path, manifest: dict[str, Any]) -> None:
    podman = ["podman", "--root", str(folder / "root"), "--runroot", str(folder / "run")]
    done = subprocess.run([*podman, "load", "--input", archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [*podman, "image", "inspect", f"trainshed:{manifest['version']}"], capture_output=True, check=True
    ).stdout
    assert json.loads(shown)[0]["User"] == "808:808"


# Running


def test_start_to_healthy(docker: Docker, image: str) -> None:
    """The best of three: the figure is the image's, and other tests may hold the processors."""
    seconds = []
    for _ in range(3):
        with container(docker, image, *HARDENED) as made:
            seconds.append(made.answers())
    assert min(seconds) <= START_SECONDS, seconds


def test_docker_says_healthy(running: Container) -> None:
    assert "all answer" in running.is_healthy()


def test_nothing_of_it_is_writable_but_its_volume(running: Container) -> None:
    assert running.inside("id").startswith("uid=808(trainshed) gid=808(trainshed)")
    assert "Read-only" in "".join(running.docker.said("exec", running.id, "touch", "/opt/x", ok=(1,)))
    status = running.inside("cat", "/proc/1/status")
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert running.inside("stat", "--format=%a %u", "/var/lib/trainshed/data").split() == ["700", "808"]


def test_what_it_says_is_in_docker_s_log(running: Container) -> None:
    log = running.log()
    assert "api    http://localhost:8008" in log
    assert "Traceback" not in log
    assert "WARNING" not in log


def test_every_command_is_in_it(docker: Docker, image: str, running: Container) -> None:
    assert docker("run", "--rm", image, "--version").startswith("trainshed ")
    assert "access_key" in running.inside("trainshed", "credentials", "create")
    invited = running.inside("trainshed", "user", "invite", "jane")
    assert invited.strip()
    findings = json.loads(running.inside("trainshed", "doctor", "--json", ok=(0, 9)))
    assert [finding for finding in findings if finding["verdict"] == "problem"] == []


def test_an_experiment(running: Container, tmp_path: Path) -> None:
    server = dockers.client(running.inside("trainshed", "credentials", "create"), running.urls)
    task = experiment.run_log(SIZES, server=server, folder=tmp_path / "log")
    compare(task, server, tmp_path / "read")


def compare(task: str, server: dict[str, str], folder: Path) -> None:
    found = experiment.run_read(task, SIZES, server=server, folder=folder)
    for part, value in experiment.expected(SIZES).items():
        assert found[part] == value, part


def test_any_user(docker: Docker, image: str) -> None:
    """As OpenShift does it: a number that nobody has, and group 0."""
    with container(docker, image, *HARDENED, "--user=12345:0") as made:
        made.answers()
        assert made.inside("stat", "--format=%u", "/var/lib/trainshed/data").strip() == "12345"
        assert "access_key" in made.inside("trainshed", "credentials", "create")


@pytest.mark.parametrize("user", ["808:808", "12345:0"])
def test_a_folder_of_somebody_else(docker: Docker, image: str, folder: Path, user: str) -> None:
    options = [*HARDENED, f"--user={user}", f"--volume={folder}:/var/lib/trainshed"]
    number = user.partition(":")[0]
    with container(docker, image, *options) as made:
        assert made.ended() == 3
        log = made.log()
    assert f"/var/lib/trainshed is of user 0, and this runs as user {number}" in log
    assert f"chown -R {number} /var/lib/trainshed" in log
    assert "Traceback" not in log
    assert list(folder.iterdir()) == []


def test_data_of_somebody_else(docker: Docker, image: str, folder: Path) -> None:
    """A folder that another user ran it with."""
    shutil.chown(folder, 12345)
    volume = f"--volume={folder}:/var/lib/trainshed"
    with container(docker, image, *HARDENED, "--user=12345:0", volume) as made:
        made.answers()
    with container(docker, image, *HARDENED, "--user=777:0", volume) as made:
        assert made.ended() == 3
        assert "is of user 12345, and this runs as user 777" in made.log()
    with container(docker, image, *HARDENED, "--user=12345:0", volume) as made:
        made.answers()


def test_without_a_network(docker: Docker, image: str) -> None:
    with container(docker, image, *HARDENED, *ALONE) as made:
        made.is_healthy()


def test_a_stop_is_short_and_lets_things_end(docker: Docker, image: str) -> None:
    with container(docker, image, *HARDENED) as made:
        made.answers()
        began = time.monotonic()
        docker("stop", "-t", "20", made.id)
        assert time.monotonic() - began < 5
        assert made.state()["ExitCode"] == 0, made.log()


def test_a_stop_in_the_middle_of_the_start(docker: Docker, image: str) -> None:
    """Process 1 gets no signal that it has no handler for: it has one before it imports the server, for half a second."""
    with container(docker, image, *HARDENED) as made:
        time.sleep(0.2)
        docker("stop", "-t", "20", made.id)
        assert made.state()["ExitCode"] in (0, 143), made.log()


def test_a_killed_one_comes_back_with_its_data(docker: Docker, image: str) -> None:
    with container(docker, image, *HARDENED) as made:
        made.answers()
        before = made.inside("cat", "/var/lib/trainshed/data/secrets/first-credentials")
        docker("kill", made.id)
        docker("start", made.id)
        made.answers()
        assert made.inside("cat", "/var/lib/trainshed/data/secrets/first-credentials") == before


# Configuration


def test_a_mounted_configuration_a_variable_and_a_secret(docker: Docker, image: str, folder: Path) -> None:
    (folder / "apiserver.conf").write_text("listen.port: 9008\n")
    (folder / "secret").write_text("a secret of more than thirty-two letters\n")
    options = [
        f"--volume={folder}:/opt/clearml/config:ro",
        "--env=CLEARML__LOGGING__ROOT__LEVEL=DEBUG",
        "--env=CLEARML__SECURE__AUTH__TOKEN_SECRET__FILE=/run/secrets/token",
        f"--volume={folder}/secret:/run/secrets/token:ro",
    ]
    with container(docker, image, *HARDENED, *ALONE, *options) as made:
        assert "http://127.0.0.1:9008" in made.is_healthy()  # asked on the port that it really has
        shown = json.loads(made.inside("trainshed", "config", "show", "--json"))
        assert (shown["apiserver.listen.port"], shown["logging.root.level"]) == (9008, "DEBUG")
        assert "thirty-two" not in made.log() + json.dumps(shown)


def test_tls_is_healthy_too(docker: Docker, image: str) -> None:
    with container(docker, image, *HARDENED, *ALONE, "--env=CLEARML__TRAINSHED__TLS__OWN=true") as made:
        assert "https://127.0.0.1:8008" in made.is_healthy()


def test_a_container_for_each_listener(docker: Docker, image: str, tmp_path: Path) -> None:
    volume = f"trainshed-{tmp_path.name}"
    with ExitStack() as opened:
        opened.callback(lambda: docker("volume", "rm", volume))
        urls = {}
        for name, port in dockers.PORTS.items():
            options = [*HARDENED, "--health-interval=500ms", f"--volume={volume}:/var/lib/trainshed"]
            made = opened.enter_context(container(docker, image, *options, command=("serve", f"--only={name}")))
            assert made.is_healthy().split() == ["all", "answer:", f"http://127.0.0.1:{port}"]
            urls[name] = made.urls[name]
        server = dockers.client(made.inside("trainshed", "credentials", "create"), urls)
        task = experiment.run_log(SIZES, server=server, folder=tmp_path / "log")
        compare(task, server, tmp_path / "read")


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("CLEARML__TRAINSHED__PROFILE=scale-out", "scale-out is not in this release"),
        ("CLEARML__APISERVER__LISTEN__PORT=eighty", "apiserver.listen.port"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(docker: Docker, image: str, variable: str, words: str) -> None:
    with container(docker, image, *HARDENED, f"--env={variable}") as made:
        assert made.ended() == 2
        assert words in made.log()
        assert "Traceback" not in made.log()


# Compose


@dataclass(frozen=True)
class Composed:
    """A server by one of the compose files, as project `trainshed-test`."""

    docker: Docker
    file: str
    variables: dict[str, str]
    urls: dict[str, str]

    def __call__(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        argv: list[str | Path] = ["--file", COMPOSE / self.file, "--project-name", "trainshed-test", *words]
        return self.docker.compose(*argv, ok=ok, **self.variables)

    def up(self) -> None:
        """Start it, and wait until it answers."""
        self("up", "--detach")
        late = time.monotonic() + dockers.START_SECONDS
        while not all(map(dockers.answers, self.urls.values())):
            assert time.monotonic() < late, self("logs", "--no-color")
            time.sleep(0.1)

    def inside(self, *words: str) -> str:
        """Run `trainshed` in it."""
        return self("exec", "-T", "trainshed", "trainshed", *words)

    def inspect(self) -> dict[str, Any]:
        """What Docker knows of the server's container."""
        return self.docker.inspect(self("ps", "--quiet", "trainshed").strip())


FILES = ["docker-compose.yml", "docker-compose.macos.yml", "docker-compose.windows.yml"]


@pytest.fixture
def composed(request: pytest.FixtureRequest, docker: Docker, image: str, folder: Path) -> Iterator[Composed]:
    """Not up yet; removed afterwards with its volumes."""
    ports = dict(zip(dockers.PORTS, free_ports(3), strict=True))
    for name in ("config", "backups"):  # as the page for macOS and Windows has people make them
        if request.param != FILES[0]:
            (folder / name).mkdir()
            shutil.chown(folder / name, 808)  # Docker Desktop lets every user write
    made = Composed(
        docker,
        request.param,
        {
            "TRAINSHED_IMAGE": image,
            "TRAINSHED_HOME": str(folder),
            "TRAINSHED_ADDRESS": "127.0.0.1",
            **{f"TRAINSHED_{name.upper()}_PORT": str(port) for name, port in ports.items()},
        },
        {name: f"http://127.0.0.1:{port}" for name, port in ports.items()},
    )
    try:
        yield made
    finally:
        made("down", "--volumes", "--timeout=5")


@pytest.mark.parametrize("composed", FILES, indirect=True)
def test_compose_keeps_what_was_logged(composed: Composed, tmp_path: Path) -> None:
    composed.up()
    settings = composed.inspect()["HostConfig"]
    assert settings["ReadonlyRootfs"] and settings["Init"] and settings["CapDrop"] == ["ALL"]
    assert settings["SecurityOpt"] == ["no-new-privileges:true"]
    assert settings["RestartPolicy"]["Name"] == "unless-stopped"
    assert (settings["Memory"], settings["PidsLimit"]) == (2 << 30, 1024)
    assert settings["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    server = dockers.client(composed.inside("credentials", "create"), composed.urls)
    task = experiment.run_log(SIZES, server=server, folder=tmp_path / "log")
    composed("down")
    composed.up()
    compare(task, server, tmp_path / "read")
    composed.inside("backup", "/backups")
    composed("down", "--volumes")  # of Docker's own disk nothing is left
    shutil.rmtree(Path(composed.variables["TRAINSHED_HOME"]) / "data", ignore_errors=True)
    composed("run", "-T", "--rm", "trainshed", "restore", "/backups")
    composed.up()
    compare(task, server, tmp_path / "restored")


@pytest.mark.parametrize("composed", FILES[:1], indirect=True)
def test_compose_pulls_from_a_registry(composed: Composed, docker: Docker, image: str, tmp_path: Path) -> None:
    """The founders' way to a new version: down, pull, up."""
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    (port,) = free_ports(1)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path)}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (tmp_path / "registry.yml").write_text(json.dumps(settings))
    with (tmp_path / "log").open("wb") as log:
        registry = subprocess.Popen(["docker-registry", "serve", tmp_path / "registry.yml"], stdout=log, stderr=log)
    try:
        name = f"127.0.0.1:{port}/trainshed:next"
        docker("tag", image, name)
        docker("push", "--quiet", name)
        docker("rmi", name)
        composed.variables["TRAINSHED_IMAGE"] = name
        composed("pull")
        composed.up()
        assert composed.inspect()["Config"]["Image"] == name
    finally:
        composed("down")
        docker("rmi", name, ok=(0, 1))
        registry.terminate()
        registry.wait(10)


@pytest.mark.parametrize("composed", FILES[:1], indirect=True)
def test_compose_with_addresses_of_engines_that_it_does_not_speak_to(composed: Composed) -> None:
    composed.variables.update(TRAINSHED_PROFILE="scale-out", CLEARML_MONGODB_SERVICE_HOST="mongo.example.com")
    composed("up", "--detach")
    late = time.monotonic() + dockers.START_SECONDS
    while "scale-out is not in this release" not in (said := composed("logs", "--no-color", "trainshed")):
        assert time.monotonic() < late, said
        time.sleep(0.2)


@pytest.mark.parametrize("file", FILES)
def test_the_usual_folders(docker: Docker, file: str) -> None:
    """As compose understands them; the paths of Windows are not there to be mounted here."""
    said = docker.compose("--file", COMPOSE / file, "config")
    home = "c:/opt/clearml" if "windows" in file else "/opt/clearml"
    assert f"{home}/backups" in said
    assert f"{home}/config" in said
    assert (f"{home}/data/trainshed" in said) == (file == FILES[0])
