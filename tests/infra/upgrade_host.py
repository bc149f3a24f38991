"""A host for the program that upgrades: real files, a real small server process, and a systemctl that starts and stops it.

The server keeps tasks in SQLite, events, files and access keys, answers what the program asks, brings older data to its form and
refuses newer ones. How a version is broken stands in its folder: dies, mute, loses, scribbles, refuses, shuts.
"""

import importlib.util
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

PROGRAM = Path(__file__).parents[2] / "roles/trainshed/files/trainshed_upgrade.py"

SERVER = r"""
import base64, json, os, re, signal, sqlite3, sys, uuid
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

release, *words = sys.argv[1:]
said = dict(zip(words[1::2], words[2::2]))
data, ready = Path(said["--data-dir"]), Path(os.environ["READY"])
form = int(Path(release).name.split(".")[1])
broken = Path(release, "broken").read_text() if Path(release, "broken").exists() else ""
if broken == "dies" or broken == "shuts" and "--keep-logs" not in said:
    sys.exit("this version does not start")
documents = sqlite3.connect(data / "documents.db", check_same_thread=False, isolation_level=None)
documents.execute("PRAGMA journal_mode = WAL")
(there,) = documents.execute("PRAGMA user_version").fetchone()
if there > form:
    sys.exit(f"data of form {there} are newer than {form}")
for number in range(there, form):
    documents.execute(f"CREATE TABLE form{number} (id)")
documents.execute(f"PRAGMA user_version = {form}")
if broken == "loses":
    documents.execute("DELETE FROM tasks WHERE rowid % 2")
if broken == "scribbles":
    documents.execute("PRAGMA writable_schema = ON")
    documents.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'projects'")
if broken == "mute":
    signal.pause()
events = sqlite3.connect(data / "events.db", check_same_thread=False, isolation_level=None)

class Handler(BaseHTTPRequestHandler):
    def reply(self, value, status=200):
        body = value if isinstance(value, bytes) else json.dumps({"data": value}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            return self.reply({})
        self.reply((data / "files" / self.path.strip("/")).read_bytes())

    def do_DELETE(self):
        path = data / "files" / self.path.strip("/")
        path.unlink()
        path.parent.rmdir()
        self.reply({})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] and "multipart" in self.headers["Content-Type"]:
            name, content = re.search(rb'name="([^"]+)".*?\r\n\r\n(\w+)\r\n', body, re.S).groups()
            path = data / "files" / name.decode()
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            return self.reply({})
        fields = json.loads(body or "{}")
        if self.path == "/auth.login":
            key, secret = base64.b64decode(self.headers["Authorization"].split()[1]).decode().split(":")
            known = documents.execute("SELECT 1 FROM auth WHERE id = ? AND secret = ?", (key, secret)).fetchone()
            return self.reply({"token": "yes"} if known else {}, 200 if known else 401)
        if self.headers["Authorization"] != "Bearer yes":
            return self.reply({}, 401)
        if broken == "refuses":
            return self.reply({}, 500)
        if self.path == "/tasks.create":
            made = uuid.uuid4().hex
            documents.execute("INSERT INTO tasks VALUES (?, ?)", (made, json.dumps(fields)))
            return self.reply({"id": made})
        if self.path == "/tasks.get_by_id":
            found = documents.execute("SELECT body FROM tasks WHERE id = ?", (fields["task"],)).fetchone()
            return self.reply({"task": json.loads(found[0])})
        if self.path == "/tasks.delete":
            documents.execute("DELETE FROM tasks WHERE id = ?", (fields["task"],))
            events.execute("DELETE FROM owner WHERE name = ?", (fields["task"],))
            return self.reply({})
        if self.path == "/events.add":
            events.execute("INSERT INTO owner VALUES (?, 1, ?)", (fields["task"], fields["msg"]))
            return self.reply({})
        found = events.execute("SELECT msg FROM owner WHERE name = ?", (fields["task"],)).fetchall()
        self.reply({"events": [{"msg": msg} for (msg,) in found]})

    def log_message(self, *words):
        pass

def end(*_):
    ready.unlink(missing_ok=True)
    documents.close()
    events.close()
    os._exit(0)

signal.signal(signal.SIGTERM, end)
listening = [HTTPServer(("127.0.0.1", int(said[f"--{name}-port"])), Handler) for name in ("web", "api", "files")]
for server in listening:
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
half = ready.with_suffix(".half")
half.write_text("".join(f"http://127.0.0.1:{server.server_port}\n" for server in listening))
half.replace(ready)
while True:
    signal.pause()
"""

# A folder of state instead of a daemon: the pid of each unit and what was loaded. In sh, for it is asked many times a second.
SYSTEMCTL = r"""#!/bin/sh
root=$(dirname "$0")
ready=$root/run/trainshed/ready
verb=$1
for unit; do :; done

look() { # pid: 0 for none
    pid=0
    [ -e "$root/$unit.pid" ] || return
    read -r pid <"$root/$unit.pid"
    { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || pid=0
    case ${stat##*) } in Z*) pid=0 ;; esac
}

launch() {
    READY=$ready setsid "$@" </dev/null >>"$root/$unit.log" 2>&1 &
    echo $! >"$root/$unit.pid"
}

look
case $verb in
start)
    [ "$pid" = 0 ] || exit 0
    echo "$unit" >>"$root/starts"
    if [ "$unit" = trainshed.service ]; then
        rm -f "$ready" # as systemd removes the folder of a unit that died
        read -r web api files <"$root/ports"
        line="$root/opt/current/bin/trainshed serve --host 0.0.0.0 --data-dir $root/var/data"
        line="$line --web-port $web --api-port $api --files-port $files"
        if [ -s "$root/loaded" ]; then line=$(sed -n 's/^ExecStart=\(..*\)/\1/p' "$root/loaded"); fi
        launch $line
    else
        launch "$root/runner"
    fi
    ;;
daemon-reload)
    cat "$root/run/systemd/system/trainshed.service.d/upgrade.conf" >"$root/loaded" 2>/dev/null
    exit 0
    ;;
stop)
    [ "$pid" = 0 ] || kill "$pid"
    while [ "$pid" != 0 ]; do
        sleep 0.005
        look
    done
    ;;
show)
    if [ "$pid" != 0 ]; then state=active; elif [ "$unit" = trainshed.service ]; then state=failed; else state=inactive; fi
    case "$*" in
    *MainPID*) echo "$pid" ;;
    *--value*) echo $state ;;
    *) printf 'ActiveState=%s\nNRestarts=0\n' $state ;;
    esac
    ;;
esac
"""

COMMAND = r"""
import json, sqlite3, sys, uuid
from pathlib import Path

documents = sqlite3.connect(Path(__file__).parent / "var/data/documents.db", isolation_level=None, timeout=5)
if sys.argv[2] == "create":
    made = {"access_key": uuid.uuid4().hex, "secret_key": uuid.uuid4().hex}
    documents.execute("INSERT INTO auth VALUES (?, ?)", tuple(made.values()))
    print(json.dumps(made))
else:
    if not documents.execute("DELETE FROM auth WHERE id = ?", (sys.argv[3],)).rowcount:
        sys.exit("trainshed: access key not found for this user")
documents.close()
"""

# Runs the program until its so-manieth operation that the disk has to keep, or until a phase; there it dies.
MORTAL = r"""
import importlib.util, os, signal, sys

spec = importlib.util.spec_from_file_location("program", sys.argv[1])
program = importlib.util.module_from_spec(spec)
sys.modules["program"] = program
spec.loader.exec_module(program)
death, sync, step = sys.argv[2], program.sync, program.Journal.step
count = 0

def counted(path):
    global count
    count += 1
    sync(path)
    if death == str(count):
        os.kill(os.getpid(), signal.SIGKILL)

def stepped(self, phase, **fields):
    step(self, phase, **fields)
    if death == phase:
        os.kill(os.getpid(), signal.SIGKILL)

program.sync, program.Journal.step = counted, stepped
code = program.main(sys.argv[3:])
print("operations", count)
sys.exit(code)
"""


def load() -> ModuleType:
    """The program, as a module."""
    spec = importlib.util.spec_from_file_location("trainshed_upgrade", PROGRAM)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


program = load()


@dataclass
class Host:
    """One, in a folder, with version 0.1.0 running and 0.2.0 beside it."""

    root: Path
    ports: list[int] = field(default_factory=lambda: list(program.free_ports().values()))

    def __post_init__(self) -> None:
        for folder in ("run/trainshed", "var/data/files/a", "var/data/secrets", "opt/releases"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "server.py").write_text(SERVER)
        (self.root / "mortal.py").write_text(MORTAL)
        (self.root / "ports").write_text(" ".join(map(str, self.ports)))
        self.script("systemctl", SYSTEMCTL)
        self.script("command", f"#!{sys.executable} -IS\n{COMMAND}")
        self.script("runner", f"#!/bin/sh\nexec {sys.executable} -I {PROGRAM} --layout '{self.layout}' run\n")
        self.install("0.1.0")
        self.install("0.2.0")
        (self.root / "opt/current").symlink_to("releases/0.1.0")
        with closing(sqlite3.connect(self.root / "var/data/documents.db")) as documents, documents:
            for table in ("users", "projects", "tasks", "models", "queues"):
                documents.execute(f"CREATE TABLE {table} (id, body)")
            documents.execute("CREATE TABLE auth (id, secret)")
            rows = [(f"t{n:03}", json.dumps({"name": f"task {n}", "created": f"2026-01-{n:03}"})) for n in range(50)]
            documents.executemany("INSERT INTO tasks VALUES (?, ?)", rows)
        with closing(sqlite3.connect(self.root / "var/data/events.db")) as events, events:
            events.execute("CREATE TABLE owner (name, logs, msg)")
            events.execute("CREATE TABLE figures (count)")
            events.execute("CREATE TABLE sample (body)")
            events.execute("INSERT INTO figures VALUES (1000)")
        (self.root / "var/data/files/a/model.bin").write_bytes(b"weights" * 1000)
        (self.root / "var/data/secrets/token").write_text("secret")

    def script(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def install(self, version: str, broken: str = "") -> None:
        """A version, broken in some way."""
        release = self.root / "opt/releases" / version
        (release / "bin").mkdir(parents=True, exist_ok=True)
        (release / ".installed").write_text(version)
        (release / "broken").write_text(broken)
        starter = f'#!/bin/sh\nexec {sys.executable} -IS {self.root}/server.py {release} "$@"\n'
        (release / "bin/trainshed").write_text(starter)
        (release / "bin/trainshed").chmod(0o755)

    @property
    def layout(self) -> str:
        """As the program is told."""
        paths = {"home": "opt", "mount": "var", "run": "run", "systemctl": "systemctl", "command": "command"}
        return json.dumps({name: str(self.root / path) for name, path in paths.items()})

    @property
    def current(self) -> str:
        """The version that is pointed at."""
        return (self.root / "opt/current").readlink().name

    def systemctl(self, *words: str) -> str:
        """The stand-in."""
        return subprocess.run([self.root / "systemctl", *words], capture_output=True, text=True, check=True).stdout

    def start(self) -> None:
        """Start the server as a boot does: after what guards it."""
        assert self.call("guard").returncode == 0
        self.systemctl("start", "trainshed.service")
        late = time.monotonic() + 10
        while not (self.root / "run/trainshed/ready").exists():
            assert time.monotonic() < late, self.log()
            time.sleep(0.005)

    def kill_server(self) -> None:
        """As a loss of power does."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.root / "trainshed.service.pid").read_text()), signal.SIGKILL)
        while self.systemctl("show", "--property=MainPID", "--value", "trainshed.service").strip() != "0":
            time.sleep(0.002)
        (self.root / "run/trainshed/ready").unlink(missing_ok=True)

    def lose_power(self) -> None:
        """The server dies, and what stands in memory is gone."""
        self.kill_server()
        for name in ("run/systemd/system/trainshed.service.d/upgrade.conf", "loaded"):
            (self.root / name).unlink(missing_ok=True)

    def close(self) -> None:
        """End what still runs."""
        self.kill_server()

    def log(self) -> str:
        """What the units said."""
        return "\n".join(path.read_text() for path in self.root.glob("*.log"))

    def call(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run the program."""
        argv: list[str | Path] = [sys.executable, "-I", PROGRAM, "--layout", self.layout, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def switch(self, to: str = "0.2.0", *more: str) -> "subprocess.CompletedProcess[str]":
        """Upgrade, in another process as the unit does."""
        return self.call("switch", f"--to={to}", "--who=ann@desk", "--patience=5", *more)

    def plan(self, to: str = "0.2.0", restore: str = "", patience: float = 5) -> None:
        """Have it planned, and not begun."""
        layout = program.Layout(**{name: Path(path) for name, path in json.loads(self.layout).items()})
        layout.sets.mkdir(exist_ok=True)
        plan: dict[str, Any] = {
            "from": self.current,
            "to": to,
            "restore": restore,
            "who": "ann@desk",
            "patience": patience,
        }
        moment = f"{time.strftime('%Y%m%dT%H%M%S')}.{time.monotonic_ns()}Z"
        program.Journal(layout, {**plan, "id": f"{moment}-{self.current}", "boot": program.boot_id()}).step("planned")

    def run(self, death: str = "never") -> "subprocess.CompletedProcess[str]":
        """Do what is planned, or finish what was cut. death: the phase, or the number of the operation, to be killed after."""
        argv: list[str | Path] = [
            sys.executable,
            "-I",
            self.root / "mortal.py",
            PROGRAM,
            death,
            "--layout",
            self.layout,
            "run",
        ]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def journal(self) -> dict[str, Any]:
        """What stands in it."""
        found: dict[str, Any] = json.loads((self.root / "var/upgrades/journal.json").read_text())
        return found

    def holds(self) -> dict[str, Any]:
        """What the data are, in whichever form."""
        data = self.root / "var/data"
        with closing(sqlite3.connect(data / "documents.db")) as documents:
            (form,) = documents.execute("PRAGMA user_version").fetchone()
            tasks = documents.execute("SELECT id, body FROM tasks ORDER BY id").fetchall()
            keys = documents.execute("SELECT count(*) FROM auth").fetchone()[0]
        with closing(sqlite3.connect(data / "events.db")) as events:
            told = events.execute("SELECT * FROM owner").fetchall()
        files = {
            str(path.relative_to(data)): path.read_bytes() for path in (data / "files").rglob("*") if path.is_file()
        }
        token = (data / "secrets/token").read_text()
        return {"form": form, "tasks": tasks, "events": told, "files": files, "token": token, "keys": keys}
