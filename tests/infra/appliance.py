"""A baked and launched appliance, worked the way a person does: by the commands of `shed`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainshed.testing import live

ROOT = Path(__file__).resolve().parents[2]
SHED_SECONDS = 900  # a bake from an empty cache takes 6 minutes
BOOT_SECONDS = 300
POLL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Appliance:
    """One machine with its own state folder and ports. start: options of its first launch."""

    name: str
    state: Path
    ports: tuple[str, ...]

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

    def reboot(self) -> None:
        """Reboot from inside; return when it is up again and healthy."""
        before = self.inside("cat /proc/sys/kernel/random/boot_id")
        self.inside("sudo systemctl reboot")
        wait_until(lambda: self.inside("cat /proc/sys/kernel/random/boot_id") not in ("", before) and self.healthy())

    def healthy(self) -> bool:
        """Whether all services answer."""
        return all(self.status().get("health", {"": False}).values())


def wait_until(holds: Callable[[], bool], *, seconds: float = BOOT_SECONDS) -> None:
    """Ask until it holds; fail after so many seconds."""
    late = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < late, f"still not so after {seconds} s"
        time.sleep(POLL_SECONDS)


def free_ports() -> tuple[str, ...]:
    """Options of launch with ports that nobody has now."""
    names = ("--web-port", "--api-port", "--files-port", "--ssh-port")
    return tuple(f"{name}={number}" for name, number in zip(names, live.free_ports(len(names)), strict=True))
