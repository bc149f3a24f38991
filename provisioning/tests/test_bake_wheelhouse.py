"""Which wheels an image gets, out of a lock for every platform."""

from pathlib import Path

import pytest

from trainshed_provision.architecture import AMD64, ARCHITECTURES, ARM64, Architecture
from trainshed_provision.bake import wheelhouse
from trainshed_provision.errors import Exit, ShedError

each_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)

LOCK = """\
blinker[all, fast]==1.9.0 \\
    --hash=sha256:aa
    # via flask
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:bb
    # via click
click==8.5.1 \\
    --hash=sha256:c1 \\
    --hash=sha256:c2
    # via
    #   black
    #   flask
black==26.1 \\
    --hash=sha256:dd
    # via -r requirements-dev.in
flask==3.1.3 \\
    --hash=sha256:ee
    # via trainshed (server/pyproject.toml)
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:n1
    # via
    #   clearml
    #   trainshed (server/pyproject.toml)
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:n2
    # via
    #   clearml
    #   trainshed (server/pyproject.toml)
greenlet==3 ; platform_machine == 'aarch64' \\
    --hash=sha256:g1
    # via trainshed (server/pyproject.toml)
rich==15.0 \\
    --hash=sha256:rr
    # via trainshed-provision (provisioning/pyproject.toml)
"""


def test_the_image_gets_what_the_server_needs_and_nothing_else() -> None:
    chosen = [f"{e.name}=={e.version}" for e in wheelhouse.needed(LOCK, "trainshed", AMD64)]
    assert chosen == ["blinker==1.9.0", "click==8.5.1", "flask==3.1.3", "numpy==2.5.5"]


def test_a_marker_may_ask_for_the_processor() -> None:
    names = {e.name for e in wheelhouse.needed(LOCK, "trainshed", ARM64)}
    assert names - {e.name for e in wheelhouse.needed(LOCK, "trainshed", AMD64)} == {"greenlet"}


def test_a_requirement_keeps_every_hash_and_loses_its_marker() -> None:
    requirements = {e.name: e.requirement() for e in wheelhouse.needed(LOCK, "trainshed", AMD64)}
    assert requirements["click"] == "click==8.5.1 --hash=sha256:c1 --hash=sha256:c2"
    assert requirements["numpy"] == "numpy==2.5.5 --hash=sha256:n2"


@each_architecture
def test_the_lock_of_the_checkout_names_what_the_server_imports(architecture: Architecture) -> None:
    lock = (Path(__file__).parents[2] / "requirements.lock").read_text()
    entries = {e.name: e for e in wheelhouse.needed(lock, "trainshed", architecture)}
    assert {"flask", "granian", "msgspec", "numpy", "pyjwt", "werkzeug", "zstandard"} <= entries.keys()
    assert not {"ansible", "clearml", "pytest", "paramiko"} & entries.keys()
    assert all(e.hashes for e in entries.values())


def test_a_lock_without_the_server_is_refused() -> None:
    with pytest.raises(ShedError, match="names nothing") as caught:
        wheelhouse.needed("rich==1 \\\n    --hash=sha256:aa\n    # via nobody\n", "trainshed", AMD64)
    assert caught.value.code == Exit.CORRUPT


@each_architecture
def test_pip_takes_wheels_by_hash_for_the_images_python_and_processor_only(architecture: Architecture) -> None:
    argv = [str(a) for a in wheelhouse.download_argv(Path("needed.txt"), Path("out"), architecture)]
    line = " ".join(argv)
    assert argv[1:3] == ["-m", "pip"]
    for part in (
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        "--python-version 3.13",
        f"--platform manylinux2014_{architecture.machine}",
        f"--platform manylinux_2_28_{architecture.machine}",
        "--platform any",
    ):
        assert part in line
    assert not any(other.machine in line for other in ARCHITECTURES.values() if other != architecture)
    assert line.endswith("--dest out --requirement needed.txt")
