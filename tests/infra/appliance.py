"""A baked and launched appliance, worked the way a person does: by the commands of `shed`."""

import http.client
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainshed.testing import live
from trainshed_provision.targets.vm import qemu
from trainshed_provision.targets.vm.folder import Folder

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "build" / "images"
SHED_SECONDS = 900  # a bake from an empty cache takes 6 minutes
BOOT_SECONDS = 300
POLL_SECONDS = 2.0
KNOCK_SECONDS = 0.2

# What must be another in every machine: a line each, `name digest`.
OWN = """
set -- $(cat /etc/machine-id); echo machine-id $1
for key in /etc/ssh/ssh_host_*_key; do echo $(basename $key) $(sha256sum <$key | cut -c1-64); done
echo token $(sha256sum </var/lib/trainshed/data/secrets/token | cut -c1-64)
echo first-credentials $(grep _key /var/lib/trainshed/data/secrets/first-credentials | sha256sum | cut -c1-64)
"""


@dataclass(frozen=True, kw_only=True)
class Appliance:
    """One machine with its own state folder and ports. start: options of its first launch."""

    name: str
    state: Path
    ports: tuple[str, ...]
    refusals: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Somebody without a login who asks for the users again and again; `refusals` counts the status of each answer."""
        gone = threading.Event()

        def knock() -> None:
            while not gone.wait(KNOCK_SECONDS):
                connection = http.client.HTTPConnection("127.0.0.1", self.port("api"), timeout=5)
                with suppress(OSError, http.client.HTTPException), closing(connection):
                    connection.request("POST", "/users.get_all", "{}", {"Content-Type": "application/json"})
                    self.refusals[connection.getresponse().status] += 1

        thread = threading.Thread(target=knock)
        thread.start()
        try:
            yield
        finally:
            gone.set()
            thread.join()

    def shed(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run `shed <verb> vm --name <ours> ...` and return its standard output; fail with all it said."""
        verb, *options = words
        done = subprocess.run(
            [sys.executable, "-m", "trainshed_provision", verb, "vm", "--name", self.name, *options],
            env={**os.environ, "SHED_STATE_DIR": str(self.state)},
            capture_output=True,
            text=True,
            timeout=SHED_SECONDS,
            check=False,
        )
        said = f"shed {' '.join(words)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode in ok, said
        print(said)  # shown by pytest when a test fails
        return done.stdout

    def launch(self, *options: str) -> dict[str, Any]:
        """Launch, and return the answer."""
        answer: dict[str, Any] = json.loads(self.shed("launch", *self.ports, "--json", *options))
        return answer

    def status(self) -> dict[str, Any]:
        """What status says, healthy or not."""
        answer: dict[str, Any] = json.loads(self.shed("status", "--json", ok=(0, 9)))
        return answer

    def credentials(self) -> dict[str, str]:
        """The client's environment, with a new key."""
        answer: dict[str, str] = json.loads(self.shed("credentials", "--json"))
        return answer

    def inside(self, command: str) -> str:
        """Run a shell command in the machine by the ssh program and the options that status prints; its output."""
        login = [*self.status()["ssh"], "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", command]
        done = subprocess.run(login, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    def port(self, service: str) -> int:
        """Where a service is on this host."""
        return next(int(option.partition("=")[2]) for option in self.ports if option.startswith(f"--{service}-port"))

    def forward(self, guest: int) -> int:
        """Have a port of this host lead to one of the machine, until it stops."""
        (port,) = live.free_ports(1)
        folder = Folder(self.state, self.name)
        qemu.ask(folder, "human-monitor-command", **{"command-line": f"hostfwd_add tcp:127.0.0.1:{port}-:{guest}"})
        return port

    def reboot(self) -> None:
        """Reboot from inside; return when it is up again and healthy."""
        before = self.inside("cat /proc/sys/kernel/random/boot_id")
        self.inside("sudo systemctl reboot")
        wait_until(lambda: self.inside("cat /proc/sys/kernel/random/boot_id") not in ("", before) and self.healthy())

    def healthy(self) -> bool:
        """Whether all services answer."""
        return all(self.status().get("health", {"": False}).values())


def own(text: str) -> dict[str, str]:
    """Name -> digest, of what OWN printed."""
    return dict(re.findall(r"^([\w-]+) ([0-9a-f]{32,64})$", text, flags=re.MULTILINE))


def wait_until(holds: Callable[[], bool], *, seconds: float = BOOT_SECONDS) -> None:
    """Ask until it holds; fail after so many seconds."""
    live.wait_until(holds, seconds=seconds, poll=POLL_SECONDS)


def free_ports() -> tuple[str, ...]:
    """Options of launch with ports that nobody has now."""
    names = ("--web-port", "--api-port", "--files-port", "--ssh-port")
    return tuple(f"{name}={number}" for name, number in zip(names, live.free_ports(len(names)), strict=True))
