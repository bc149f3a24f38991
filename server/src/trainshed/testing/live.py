"""A real `trainshed serve` in a process of its own, for tests that come over the wire."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

READY_SECONDS = 60
POLL_SECONDS = 0.002  # short: the start is measured by it too
SCRIPT_SECONDS = 300  # a pipeline has many steps, and the machine may be busy
# The client looks for a repository with subprocesses of a thread while its main thread forks; where the two meet, the fork
# holds the subprocess's pipe and the client waits for ever. Looking first and forking then avoids it.
CLIENT_SETTINGS = "sdk { development { vcs_repo_detect_async: false } }\n"
LISTENERS = ("web", "api", "files")
DATABASES = ("documents.db", "events.db", "cache.db")
AGENT = "an-agent"  # the id of the one worker
_ANY_CERTIFICATE = ssl._create_unverified_context()  # for this machine's own questions


def wait_until(holds: Callable[[], bool], *, seconds: float = READY_SECONDS, poll: float = 0.01) -> None:
    """Ask until it holds; fail after so many seconds."""
    late = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < late, f"still not so after {seconds} s"
        time.sleep(poll)


class LiveServer:
    """A server on free ports over one data directory; it may be killed and started again.

    It reads no configuration of this machine; environment: variables that name one, say. scheme: in which it speaks then.
    """

    def __init__(self, data: Path, *flags: str, scheme: str = "http", **environment: str) -> None:
        self.data = data
        self._scheme = scheme
        self._flags = flags
        self._environment = {**os.environ, "CLEARML_CONFIG_DIR": "", **environment}
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it and return at once."""
        flags = [f"--{name}-port={port}" for name, port in self.ports.items()]
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainshed", "serve", f"--data-dir={self.data}", *flags, *self._flags],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self._process

    def start(self) -> None:
        """Start it and wait until all three listeners answer. What it says of that comes in the moment after."""
        process = self.launch()
        end = time.monotonic() + READY_SECONDS
        for name in LISTENERS:
            while not self._answers(name):
                assert process.poll() is None, self.log()
                assert time.monotonic() < end, f"{name} does not answer: {self.log()}"
                time.sleep(POLL_SECONDS)

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, SIGKILL included; return its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(READY_SECONDS)

    def freeze(self) -> None:
        """Let it do nothing more, all of it at one moment, as a loss of power does. Linux. What the kernel is at it ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self._process.pid}/task")
        while {(thread / "stat").read_text().rpartition(") ")[2][0] for thread in threads.iterdir()} - {"T", "D"}:
            time.sleep(0.001)

    def url(self, name: str) -> str:
        """The address of a listener."""
        return f"{self._scheme}://127.0.0.1:{self.ports[name]}"

    def log(self) -> str:
        """What it has written so far."""
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")

    def environment(self) -> dict[str, str]:
        """The variables that point the client at it, with its first access key."""
        text = (self.data / "secrets" / "first-credentials").read_text()
        keys = dict(re.findall(r'"(\w+_key)" = "([^"]+)"', text))
        return {
            "CLEARML_WEB_HOST": self.url("web"),
            "CLEARML_API_HOST": self.url("api"),
            "CLEARML_FILES_HOST": self.url("files"),
            "CLEARML_API_ACCESS_KEY": keys["access_key"],
            "CLEARML_API_SECRET_KEY": keys["secret_key"],
        }

    def authorization(self) -> str:
        """The header of its administrator."""
        keys = self.environment()
        pair = f"{keys['CLEARML_API_ACCESS_KEY']}:{keys['CLEARML_API_SECRET_KEY']}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def call(self, endpoint: str, **fields: Any) -> Any:
        """The data of an endpoint's reply, asked for without the client."""
        headers = {"Authorization": self.authorization(), "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url('api')}/{endpoint}", json.dumps(fields).encode(), headers)
        with urllib.request.urlopen(request, timeout=READY_SECONDS, context=_ANY_CERTIFICATE) as reply:
            return json.load(reply)["data"]

    def run(self, script: Path, *arguments: str, home: Path) -> Any:
        """Run a script of the client's to its end; return what it answers, see start_script."""
        return finish(self.start_script(script, *arguments, home=home))

    def start_script(self, script: Path, *arguments: str, home: Path) -> "subprocess.Popen[str]":
        """Start a script of the client's, with a HOME of its own. Its last line in JSON is its answer.

        It runs as a copy in that HOME: outside of any repository the client stores all of it, and an agent can run it too.
        """
        environment = self._client(home)
        return subprocess.Popen(
            [sys.executable, shutil.copy(script, home), *arguments],
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, name: str, *arguments: str, home: Path, **environment: str) -> str:
        """Run one of the client's or the agent's commands to its end; return what it said. environment: variables besides."""
        command = subprocess.Popen(
            [str(Path(sys.executable).parent / name), *arguments],
            cwd=home,
            env={**self._client(home), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return said(command)

    @contextmanager
    def agent(self, *queues: str, home: Path, worker: str = AGENT, flags: tuple[str, ...] = ()) -> Iterator[None]:
        """An agent that takes tasks from the queues and runs them with this very Python, until the end of the block."""
        environment = {
            **self._client(home),
            "CLEARML_WORKER_ID": worker,
            "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1",
            "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "0.5",
        }
        command = [sys.executable, "-m", "clearml_agent", "daemon", "--foreground", *flags, "--queue", *queues]
        with (home / "agent.log").open("ab") as log:
            agent = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            agent.terminate()
            agent.wait(SCRIPT_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(agent.pid, signal.SIGKILL)  # services outlive their agent

    def _client(self, home: Path) -> dict[str, str]:
        """The environment of a client whose HOME this is."""
        home.mkdir(parents=True, exist_ok=True)
        (home / "clearml.conf").write_text(CLIENT_SETTINGS)
        return {**clean_environment(), **self.environment(), "HOME": str(home)}

    def _answers(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url(name)}/health", timeout=5, context=_ANY_CERTIFICATE) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def finish(script: "subprocess.Popen[str]") -> Any:
    """The answer of a script that was started."""
    return next(answer for answer in map(_json, reversed(said(script).splitlines())) if answer is not None)


def said(program: "subprocess.Popen[str]", given: str | None = None) -> str:
    """What a client's program that was started said by its end, which must have come without a complaint. given: its input."""
    try:
        out, err = program.communicate(given, timeout=SCRIPT_SECONDS)
    finally:
        program.kill()
    assert program.returncode == 0, f"{out}\n{err}"
    assert not re.search(" ERROR |Traceback", out + err), f"{out}\n{err}"
    return out


def assert_whole(data: Path, databases: tuple[str, ...] = DATABASES) -> None:
    """Let SQLite check the databases of a server."""
    for name in databases:
        with closing(sqlite3.connect(data / name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], name


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback that nobody listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for s in sockets:
        s.close()
    return ports


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure a client."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("CLEARML_", "TRAINS_"))}
