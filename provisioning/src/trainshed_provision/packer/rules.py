"""The rules of an image, asked of a builder before it becomes one."""

import tempfile
from pathlib import Path

import testinfra  # type: ignore[import-untyped]  # it ships no types

from trainshed_provision import assertions, ssh
from trainshed_provision.assertions import Result

# Held by the last step alone, which lets nobody in any more who could ask: it looks itself.
OF_THE_LAST_STEP = frozenset({"A04", "A12", "A14", "S04"})


def of_machine(*, host: str, port: int, user: str, key: Path) -> list[Result]:
    """Each rule of a finished tree, asked of a machine that runs, by ssh."""
    asked = testinfra.get_host("paramiko://builder", sudo=user != "root")
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known_hosts"
        with ssh.session(ssh.Login(host=host, port=port, user=user, key=key, known_hosts=known)) as client:
            asked.backend.client = client
            return _asked(asked)


def of_container(name: str) -> list[Result]:
    """The same of a container of Docker's."""
    return _asked(testinfra.get_host(f"docker://root@{name}"))


def _asked(host: assertions.Host) -> list[Result]:
    return [result for result in assertions.run(host, where="F") if not _is_left_to_the_last_step(result)]


def _is_left_to_the_last_step(result: Result) -> bool:
    """Also when ssh host keys are the only private ones."""
    own = all(path.startswith("/etc/ssh/ssh_host_") for path in result.found.split())
    return result.rule in OF_THE_LAST_STEP or (result.rule == "A05" and not result.ok and own)
