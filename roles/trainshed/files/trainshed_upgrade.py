#!/usr/bin/python3
"""Takes this host from one installed version of Trainshed to another with its data, or leaves both as they were.

What is under way stands in a journal on the disk before it is done. Whatever dies, this program, the server or the power,
the next run goes back to the version and the data from before; or, once the new version has proved itself, on to it.
Nothing that the server keeps is ever removed: what has to make room is set aside. docs/upgrade.md tells it to people.
"""

import argparse
import base64
import fcntl
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

LAYOUT = Path("/etc/trainshed/upgrade.json")
UNIT = "trainshed.service"
RUNNER = "trainshed-upgrade.service"
LISTENERS = ("web", "api", "files")

# The phases, in the order in which an upgrade comes to them. Up to TRYING it is undone, from PROVED on it is completed.
PLANNED, STOPPING, KEEPING, SWAPPING, TRYING, PROVED, COMMITTED = (
    *("planned", "stopping", "keeping", "swapping", "trying", "proved", "committed"),
)
RETURNING, RETURNED, DROPPED = "returning", "returned", "dropped"
ENDED = (COMMITTED, RETURNED, DROPPED)
FORWARD = (PROVED,)

STOP_SECONDS = 120.0  # systemd kills a server that does not stop after 90
OPEN_SECONDS = 30.0  # for a start on data that need no migration
ASK_SECONDS = 5.0
POLL_SECONDS = 0.05
SETTLE_SECONDS = 0.5  # for systemd to see that a server is dead
LOOPS = 3  # restarts by systemd after which a version is given up
LEASE_SECONDS = 300.0  # between two steps of an operator; the longest is to install the wheels
SPARE_BYTES = 256 * 2**20  # for what is written meanwhile
FILES = "files"  # of users, in the data folder: linked, never copied
LEFT = re.compile(r"replaced-")  # what restores set aside: no part of what the server is
OURS = re.compile(r"\.trainshed-(?![0-9a-f]{64}\Z)")  # folders of unfinished uploads: altered in place
COUNTED = ("users", "projects", "tasks", "models", "queues")
STABLE = ("projects", "tasks", "models")  # no start makes or removes one of them by itself
VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?\Z")


class Trouble(Exception):
    """What is wrong and what helps, in a line."""


class Busy(Trouble):
    """Somebody else is at it."""


class Broken(Exception):
    """The new version is not as it should be, and why."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are. systemctl, command: programs that tests put others in the place of."""

    home: Path = Path("/opt/trainshed")
    mount: Path = Path("/var/lib/trainshed")
    run: Path = Path("/run")
    systemctl: str = "systemctl"
    command: str = "/usr/local/bin/trainshed"

    @property
    def data(self) -> Path:
        return self.mount / "data"

    @property
    def sets(self) -> Path:
        """What is set aside, a folder for each upgrade, and the journal."""
        return self.mount / "upgrades"

    @property
    def journal(self) -> Path:
        return self.sets / "journal.json"

    @property
    def current(self) -> Path:
        return self.home / "current"

    @property
    def ready(self) -> Path:
        return self.run / "trainshed/ready"

    @property
    def trial(self) -> Path:
        """What has the server answer to this program alone. Gone after a boot."""
        return self.run / f"systemd/system/{UNIT}.d/upgrade.conf"

    def release(self, version: str) -> Path:
        return self.home / "releases" / version

    def version(self) -> str:
        """The one that `current` names. Raises Trouble."""
        try:
            target = self.current.readlink()
        except OSError as error:
            raise Trouble(
                f"no Trainshed is installed below {self.home} as releases: converge this host with playbooks/deploy.yml"
            ) from error
        return target.name


# --- files that survive the power ---


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, value: Any) -> None:
    """Write JSON: afterwards the file has it, whatever happens, or still what it had."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with half.open("w") as out:
        out.write(json.dumps(value, indent=1) + "\n")
        out.flush()
        os.fsync(out.fileno())
    half.replace(path)
    sync(path.parent)


def read(path: Path) -> dict[str, Any]:
    """JSON of a file; nothing when it is not there. Raises Trouble."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Trouble(f"{path} cannot be read ({error}): set it right or move it away by hand") from error
    return found


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder with owners, modes and times, to the disk. File systems that can share the blocks do."""
    status = source.lstat()
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir(mode=0o700)
        for entry in sorted(source.iterdir()):
            copy(entry, target / entry.name)
    elif source.is_file():
        with source.open("rb") as read_from, target.open("xb") as out:
            try:
                while os.copy_file_range(read_from.fileno(), out.fileno(), 2**26):
                    pass
            except OSError:  # file systems that have no such call
                read_from.seek(0)
                out.seek(0)
                shutil.copyfileobj(read_from, out, 2**20)
            out.flush()
            os.fsync(out.fileno())
    else:
        return  # a socket or a pipe: it has nothing in it
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    sync(target)


def entries(data: Path) -> list[Path]:
    """What of a data folder a version writes in place."""
    return [path for path in sorted(data.iterdir()) if path.name != FILES and not LEFT.match(path.name)]


def walk(top: Path, below: Path = Path()) -> Iterator[Path]:
    """The files of users and their folders, relative, each folder before what is in it."""
    with os.scandir(top / below) as found:
        names = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    for name, is_folder in names:
        if below == Path() and OURS.match(name):
            continue
        yield below / name
        if is_folder:
            yield from walk(top, below / name)


def link(source: Path, target: Path, aside: Path | None = None) -> int:
    """Give the files in a folder names in another. What is there under such a name and is another file goes to aside; what is
    there besides stays. The number of names that were given.
    """
    if not source.is_dir():
        return 0
    touched, given = {target}, 0
    like(source, target)
    for path in walk(source):
        old, new = source / path, target / path
        if old.is_dir() and not old.is_symlink():
            like(old, new)
            continue
        if os.path.lexists(new):
            if os.path.samestat(old.lstat(), new.lstat()):
                continue
            assert aside is not None  # a new set is empty
            (aside / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.rename(free(aside / path))
        os.link(old, new, follow_symlinks=False)
        touched.add(new.parent)
        given += 1
    for folder in touched:
        sync(folder)
    return given


def free(path: Path) -> Path:
    """The name, or one like it that is not taken."""
    taken = 0
    while os.path.lexists(name := path.with_name(f"{path.name}.{taken}") if taken else path):
        taken += 1
    return name


def like(source: Path, target: Path) -> None:
    """Make a folder with the owner and mode of another, unless it is there."""
    if target.is_dir():
        return
    status = source.stat()
    target.mkdir(mode=0o700)
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(status.st_mode & 0o7777)


def move(source: Path, target: Path) -> None:
    """Move what a version writes in place from one folder to another, as far as it is still there."""
    for entry in entries(source):
        entry.rename(target / entry.name)
    sync(target)
    sync(source)


# --- the journal ---


class Journal:
    """What is under way. Each change is on the disk before what it announces is done."""

    def __init__(self, layout: Layout, fields: dict[str, Any]) -> None:
        self.layout = layout
        self.fields = fields

    @classmethod
    def read(cls, layout: Layout) -> "Journal":
        return cls(layout, read(layout.journal))

    @property
    def phase(self) -> str:
        return str(self.fields.get("phase", ""))

    @property
    def ended(self) -> bool:
        return self.phase in ("", *ENDED)

    @property
    def folder(self) -> Path:
        """What this one sets aside: `data` as it was before, `work` what is to take its place, `failed` what was given up."""
        return self.layout.sets / str(self.fields["id"])

    def note(self, **fields: Any) -> None:
        """Have the fields on the disk."""
        self.fields.update(fields)
        write(self.layout.journal, self.fields)

    def step(self, phase: str, **fields: Any) -> None:
        """Come to a phase."""
        times = {**self.fields.get("times", {}), phase: round(time.time(), 3)}
        self.note(phase=phase, times=times, **fields)
        say(phase)

    def swap(self, out: str, into: str, mark: str) -> None:
        """Have the data folder hold what `into` holds, and `out` what it held. mark: notes that the first half is done."""
        data = self.layout.data
        (self.folder / out).mkdir(mode=0o700, exist_ok=True)
        if not self.fields.get(mark):
            move(data, self.folder / out)
            self.note(**{mark: True})
        if (self.folder / into).is_dir():
            move(self.folder / into, data)


def say(line: str) -> None:
    """To the journal of systemd, or whoever runs this."""
    print(line, flush=True)


# --- the server ---


def systemctl(layout: Layout, *words: str, check: bool = True) -> str:
    """Its output. Raises Broken."""
    argv = [layout.systemctl, *words]
    done = subprocess.run(  # noqa: S603 - ours
        argv, capture_output=True, text=True, timeout=STOP_SECONDS, check=False, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        raise Broken(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def stop(layout: Layout) -> None:
    systemctl(layout, "stop", UNIT)


def start(layout: Layout, *, trial: Mapping[str, int] | None = None) -> None:
    """Start whatever `current` is. trial: ports of this host alone, where nobody comes. Raises Broken."""
    if trial:
        server = f"{layout.current}/bin/trainshed serve --host 127.0.0.1 --data-dir {layout.data}"
        ports = " ".join(f"--{name}-port {port}" for name, port in trial.items())
        keep = " ".join(
            f"--keep-{kind} 36500" for kind in ("logs", "images", "plots", "trash")
        )  # they will be compared
        layout.trial.parent.mkdir(parents=True, exist_ok=True)
        layout.trial.write_text(f"[Service]\nExecStart=\nExecStart={server} {ports} {keep}\n")
    else:
        layout.trial.unlink(missing_ok=True)
    systemctl(layout, "daemon-reload")  # always: one that was killed may have removed the file and said nothing
    systemctl(layout, "reset-failed", UNIT, check=False)
    systemctl(layout, "start", UNIT)


def addresses(layout: Layout) -> list[str]:
    """Where the server says that it answers; none before it does."""
    try:
        return layout.ready.read_text().split()
    except OSError:
        return []


def ask(url: str, *, token: str = "", body: bytes | None = None, kind: str = "", method: str | None = None) -> bytes:
    """The answer. Raises Broken for none, and for an error."""
    headers = {"Authorization": token} if token else {}
    if kind:
        headers["Content-Type"] = kind
    anybody = ssl.create_default_context()  # this host asks itself, by another name than the certificate's
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anybody))
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - the server's own address
    try:
        with opener.open(request, timeout=ASK_SECONDS) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            raise Broken(f"{url} answers {error.code} {error.read(300).decode(errors='replace')}") from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"{url} does not answer: {error}") from error


def wait_up(layout: Layout, deadline: float, ports: Mapping[str, int] | None = None) -> list[str]:
    """Wait until every listener is healthy; their addresses. Raises Broken when the server gives up, or at the deadline."""
    trouble, look = "it does not say that it is ready", 0.0
    while True:
        found = addresses(layout)
        if found and all(f":{port}" in " ".join(found) for port in (ports or {}).values()):
            try:
                for address in found:
                    ask(f"{address}/health")
                return found
            except Broken as error:
                trouble = str(error)
        if time.monotonic() > deadline:
            raise Broken(f"the server is not up in time: {trouble}")
        if time.monotonic() > look:
            look = time.monotonic() + 0.5
            said = systemctl(layout, "show", "--property=ActiveState,NRestarts", UNIT, check=False)
            state = dict(line.partition("=")[::2] for line in said.splitlines())
            if state.get("ActiveState") == "failed" or int(state.get("NRestarts") or 0) >= LOOPS:
                raise Broken("the server does not start: journalctl -u trainshed tells why")
        time.sleep(POLL_SECONDS)


def smoke(urls: Mapping[str, str], key: Mapping[str, str]) -> None:
    """Write and read a task, an event and a file as a client does, and remove them. Raises Broken."""
    pair = base64.b64encode(f"{key['access_key']}:{key['secret_key']}".encode()).decode()

    def call(endpoint: str, token: str, **fields: Any) -> Any:
        text = ask(f"{urls['api']}/{endpoint}", token=token, body=json.dumps(fields).encode(), kind="application/json")
        return json.loads(text)["data"]

    token = "Bearer " + call("auth.login", f"Basic {pair}")["token"]
    word = uuid.uuid4().hex
    task = call("tasks.create", token, name=f"upgrade {word}", type="testing")["id"]
    try:
        event = {"task": task, "type": "log", "level": "info", "worker": "upgrade", "msg": word}
        call("events.add", token, **event, timestamp=int(time.time() * 1000))
        if call("tasks.get_by_id", token, task=task)["task"]["name"] != f"upgrade {word}":
            raise Broken("a task is not read as it was written")
        if [one["msg"] for one in call("events.get_task_log", token, task=task)["events"]] != [word]:
            raise Broken("an event is not read as it was written")
        file_there_and_back(urls["files"], token, word)
    finally:
        with suppress(Broken):
            call("tasks.delete", token, task=task, force=True)


def file_there_and_back(files: str, token: str, word: str) -> None:
    """Upload a file, read it, remove it. Raises Broken."""
    path = f"upgrade-{word}/{word}"
    head = f'--{word}\r\nContent-Disposition: form-data; name="{path}"; filename="{path}"\r\n\r\n'
    body, kind = f"{head}{word}\r\n--{word}--\r\n".encode(), f"multipart/form-data; boundary={word}"
    url = f"{files}/{path}"
    ask(files, token=token, body=body, kind=kind)
    try:
        if ask(url, token=token) != word.encode():
            raise Broken("a file is not read as it was written")
    finally:
        with suppress(Broken):
            ask(url, token=token, method="DELETE")


def command(layout: Layout, *words: str) -> str:
    """Run the server's own command. Raises Trouble with what it says."""
    done = subprocess.run(  # noqa: S603 - ours
        [layout.command, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise Trouble(f"trainshed {' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def revoke(layout: Layout, journal: Journal) -> None:
    """End the access keys of checks. One that cannot be ended now is tried again by the next run; nobody knows its secret."""
    left = []
    restored = journal.fields.get("restore")
    more = read(layout.sets / restored / "set.json").get("keys", ()) if restored else ()
    for key in {*journal.fields.get("keys", ()), *more}:
        try:
            command(layout, "credentials", "revoke", key)
        except (Trouble, OSError) as trouble:
            if "access key not found" in str(trouble):  # it is in the data that were set aside
                continue
            say(f"the access key {key} of the check stays for now: {trouble}")
            left.append(key)
    if journal.fields:
        journal.note(keys=left)


# --- what the data are ---


def account(data: Path, *, settle: bool = False) -> dict[str, Any]:
    """What a data folder holds. settle: nothing runs there: bring the logs of the databases into them."""
    if os.geteuid() != 0 or data.stat().st_uid == 0:
        return look(data, settle=settle)
    # As their owner, for SQLite makes files beside them.
    argv = [
        sys.executable,
        "-I",
        "-",
        "account",
        str(data),
        *(["--settle"] if settle else []),
    ]
    owner = data.stat()
    done = subprocess.run(  # noqa: S603 - ours
        argv,
        input=Path(__file__).read_text(),  # which that user need not be able to read
        capture_output=True,
        text=True,
        check=False,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
    )
    if done.returncode:
        raise Broken(done.stderr.strip() or "the databases cannot be read")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def look(data: Path, *, settle: bool) -> dict[str, Any]:
    """As account, for who may read it. Raises Broken for databases that are damaged."""
    found: dict[str, Any] = {}
    try:
        with closing(opened(data / "documents.db")) as documents:
            names = {row[0] for row in documents.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            for kind in COUNTED:
                found[kind] = one(documents, f'SELECT count(*) FROM "{kind}"') if kind in names else 0  # noqa: S608 - ours
            digest = hashlib.sha256()
            for kind in STABLE:
                if kind in names:
                    rows = f"SELECT id, body ->> '$.name', body ->> '$.created' FROM \"{kind}\" ORDER BY id"  # noqa: S608 - ours
                    for row in documents.execute(rows):
                        digest.update(repr(row).encode())
            found["names"] = digest.hexdigest()
        with closing(opened(data / "events.db")) as events:
            found["log lines"] = one(events, "SELECT sum(logs) FROM owner")
            found["points"] = one(events, "SELECT sum(count) FROM figures")
            found["plots and images"] = one(events, "SELECT count(*) FROM sample")
        for path in sorted(data.glob("*.db")):
            with closing(opened(path)) as database:
                said = [row[0] for row in database.execute("PRAGMA quick_check(3)")]
                if said != ["ok"]:
                    raise Broken(f"{path} is damaged: {'; '.join(said)}")
                if settle:
                    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise Broken(f"the databases cannot be read: {error}") from error
    return found


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5, isolation_level=None)


def one(database: sqlite3.Connection, question: str) -> int:
    return int(database.execute(question).fetchone()[0] or 0)


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raise Broken if something is missing that was there."""
    for name, count in before.items():
        if name != "names" and after[name] < count:
            raise Broken(f"of {count} {name} the new version has {after[name]}")
    if before["names"] != after["names"]:
        raise Broken("tasks, models or projects have other names or times than before")


# --- the way there and back ---


def go(layout: Layout, journal: Journal) -> None:
    """What was planned, from the stop to the commit. Raises Broken."""
    fields = journal.fields
    key = {} if fields["restore"] else new_key(layout, journal)  # before anybody waits, if it is to be in these data
    if fields["restore"]:  # what was set aside stays there whole; and it is copied before anybody waits
        source = layout.sets / fields["restore"] / "data"
        journal.folder.mkdir(mode=0o700, exist_ok=True)
        prepare(source, journal.folder / "work")
    journal.step(STOPPING)
    stop(layout)
    there = account(layout.data, settle=True)
    journal.step(KEEPING, account=there)
    journal.folder.mkdir(mode=0o700, exist_ok=True)
    (journal.folder / "data").mkdir(mode=0o700)
    if not fields["restore"]:
        prepare(layout.data, journal.folder / "work")
    linked = link(layout.data / FILES, journal.folder / "data" / FILES)
    described = {name: fields[name] for name in ("id", "from", "to", "who")}
    write(journal.folder / "set.json", {**described, "account": there, "files": linked, "keys": fields.get("keys", [])})
    sync(journal.folder)
    sync(layout.sets)
    journal.step(SWAPPING)
    journal.swap("data", "work", "swapped")
    if fields["restore"]:
        link(
            layout.sets / fields["restore"] / "data" / FILES,
            layout.data / FILES,
            journal.folder / "newer-files",
        )
    point(layout, fields["to"])
    journal.step(TRYING)
    prove(layout, journal, key)
    journal.step(PROVED)
    complete(layout, journal)


def prepare(source: Path, work: Path) -> None:
    """Copy what a version writes in place. Raises Broken for a disk that is full."""
    if work.exists():  # of a run that was killed before it stopped anything
        work.rename(free(work.with_name("half")))
    work.mkdir(mode=0o700)
    try:
        for entry in entries(source):
            if entry.name.endswith("-shm"):  # SQLite makes it anew
                continue
            copy(entry, work / entry.name)
    except OSError as error:
        raise Broken(f"the data cannot be copied to {work}: {error.strerror}") from error
    sync(work)


def prove(layout: Layout, journal: Journal, key: Mapping[str, str]) -> None:
    """Have the new version migrate and answer where nobody comes; look at the data; write and read. Raises Broken."""
    fields = journal.fields
    held = read(layout.sets / fields["restore"] / "set.json")["account"] if fields["restore"] else fields["account"]
    deadline = time.monotonic() + float(fields["patience"])
    ports = free_ports()
    start(layout, trial=ports)
    while True:
        wait_up(layout, deadline, ports)
        try:
            compare(held, account(layout.data))
            key = key or new_key(layout, journal)
            scheme = addresses(layout)[0].partition(":")[0] if addresses(layout) else "http"
            smoke({name: f"{scheme}://127.0.0.1:{port}" for name, port in ports.items()}, key)
            break
        except Broken:
            time.sleep(SETTLE_SECONDS)
            if addresses(layout):  # it is up, and wrong; else it was killed, and systemd starts it again
                raise
    stop(layout)


def new_key(layout: Layout, journal: Journal) -> dict[str, str]:
    """An access key for the check. Raises Trouble."""
    key: dict[str, str] = json.loads(command(layout, "credentials", "create", "--label", "upgrade", "--json"))
    journal.note(keys=[*journal.fields.get("keys", ()), key["access_key"]])
    return key


def complete(layout: Layout, journal: Journal) -> None:
    """Let everybody in. A version that proved itself and does not open is given up all the same. Raises Broken."""
    start(layout)
    wait_up(layout, time.monotonic() + OPEN_SECONDS)
    journal.step(COMMITTED)


def undo(layout: Layout, journal: Journal) -> None:
    """Have the version and the data from before."""
    fields = journal.fields
    if fields.get("swapped") or journal.phase in (SWAPPING, TRYING, *FORWARD):
        fields["touched"] = True
    journal.step(RETURNING)
    if fields.get("touched"):
        if not fields.get("swap_ended"):  # it may have been cut between its halves
            journal.swap("data", "work", "swapped")
            journal.note(swap_ended=True)
        journal.swap("failed", "data", "back")
        link(journal.folder / "data" / FILES, layout.data / FILES, journal.folder / "failed" / FILES)
    point(layout, fields["from"])


def give_up(layout: Layout, journal: Journal, problem: str) -> None:
    """Go back, and let everybody in again."""
    problem = journal.fields.get("problem") or problem
    journal.note(problem=problem)
    say(problem)
    stop(layout)
    undo(layout, journal)
    try:
        start(layout)
        wait_up(layout, time.monotonic() + OPEN_SECONDS)
    except Broken as error:
        journal.note(problem=f"{problem}; and {journal.fields['from']} is back, but: {error}")
    journal.step(RETURNED)


def point(layout: Layout, version: str) -> None:
    """Have `current` name this version, at once."""
    half = layout.current.with_name(f".current.{os.getpid()}")
    half.unlink(missing_ok=True)
    half.symlink_to(f"releases/{version}")
    half.replace(layout.current)
    sync(layout.home)


def free_ports() -> dict[str, int]:
    """Ports of the loopback that nobody has."""
    with ExitStack() as open_together:  # or two would get the same one
        sockets = {name: open_together.enter_context(socket.socket()) for name in LISTENERS}
        for each in sockets.values():
            each.bind(("127.0.0.1", 0))
        return {name: int(each.getsockname()[1]) for name, each in sockets.items()}


# --- commands ---


@contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Whoever changes something does it alone. Raises Trouble."""
    with (layout.run / "trainshed-upgrade.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"an upgrade is under way here: {held_by(read(lease_file(layout)))}; wait for it") from error
        yield


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def run(layout: Layout) -> int:
    """Do what is planned; or finish what was cut. What the unit runs, again when it was killed."""
    with alone(layout):
        journal = Journal.read(layout)
        if journal.ended:
            return 0
        try:
            if journal.phase == PLANNED and journal.fields["boot"] != boot_id():
                raise Broken("the machine stopped before it began")
            if journal.phase == PLANNED:
                go(layout, journal)
            elif journal.phase in FORWARD:
                complete(layout, journal)
            else:
                raise Broken(f"it was cut while {journal.phase}")
        except (Broken, Trouble, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            problem = str(error) or repr(error)
            if journal.phase == PLANNED:  # nothing was stopped yet
                journal.step(DROPPED, problem=problem)
            else:
                give_up(layout, journal, problem)
        revoke(layout, journal)
        return 0


def guard(layout: Layout) -> int:
    """Before the server starts, at boot and ever after: it never starts on what was cut in the middle. Starts nothing."""
    try:
        with alone(layout):
            journal = Journal.read(layout)
            running = systemctl(layout, "show", "--property=MainPID", "--value", UNIT, check=False)
            if not journal.ended and running in ("", "0"):
                at_rest(layout, journal)
    except Busy:
        pass  # run() is at it, and starts the server when it wants to
    return 0


def at_rest(layout: Layout, journal: Journal) -> None:
    """Finish what was cut, for a server that starts by itself."""
    if journal.phase == PLANNED:
        journal.step(DROPPED, problem="the machine stopped before it began")
        return
    if journal.phase in FORWARD:
        point(layout, journal.fields["to"])
        journal.step(COMMITTED)
        return
    journal.note(problem=journal.fields.get("problem") or f"the machine stopped while {journal.phase}")
    undo(layout, journal)
    journal.step(RETURNED)


def switch(layout: Layout, options: argparse.Namespace) -> int:
    """Plan, have the unit do it, and say how it ended. The unit goes on when whoever waits here is gone."""
    lease(layout, options)
    with alone(layout):
        cut = Journal.read(layout)
    if not cut.ended:
        say(f"finishing what was cut while {cut.phase}")
        begin(layout)
    present = layout.version()
    if options.to == present and not options.restore:
        say(f"{present} runs already; nothing was changed")
        return 0
    if not (layout.release(options.to) / ".installed").exists():
        raise Trouble(f"{options.to} is not installed in {layout.release(options.to)}")
    layout.sets.mkdir(mode=0o700, exist_ok=True)
    made = datetime.now(UTC)
    plan = {
        "id": f"{made:%Y%m%dT%H%M%S.%fZ}-{present}",
        "from": present,
        "to": options.to,
        "restore": options.restore,
        "who": options.who,
        "patience": options.patience,
        "boot": boot_id(),
        "keys": cut.fields.get("keys", []),
    }
    with alone(layout):
        Journal(layout, plan).step(PLANNED)
    ended = begin(layout)
    times = ended.fields["times"]
    if ended.phase != COMMITTED:
        raise Trouble(f"{present} runs, with its data as they were, for: {ended.fields['problem']}")
    took = ", ".join(
        f"{phase} at {moment - times[STOPPING]:.1f}" for phase, moment in times.items() if phase != PLANNED
    )
    say(
        f"{options.to} runs. Without answers: {times[COMMITTED] - times[STOPPING]:.1f} s ({took}). Set aside: {ended.folder}"
    )
    return 0


def begin(layout: Layout) -> Journal:
    """Start the unit; the journal at its end. Raises Trouble."""
    systemctl(layout, "reset-failed", RUNNER, check=False)
    systemctl(layout, "start", "--no-block", RUNNER)
    return outcome(layout)


def outcome(layout: Layout) -> Journal:
    """Wait for the end, also of another try of the unit after one was killed. Raises Trouble."""
    quiet = 0.0
    while not (journal := Journal.read(layout)).ended:
        state = systemctl(layout, "show", "--property=ActiveState", "--value", RUNNER, check=False)
        quiet = 0.0 if state in ("activating", "active", "deactivating") else quiet or time.monotonic()
        if quiet and time.monotonic() - quiet > ASK_SECONDS:
            raise Trouble(
                f"it stopped while {journal.phase}: run it again, or restart this host; journalctl -u {RUNNER}"
            )
        time.sleep(POLL_SECONDS)
    while systemctl(layout, "show", "--property=ActiveState", "--value", RUNNER, check=False) in (
        "activating",
        "active",
    ):
        time.sleep(POLL_SECONDS)  # it still ends the key of its check
    return Journal.read(layout)


def lease_file(layout: Layout) -> Path:
    return layout.run / "trainshed-upgrade.lease"


def held_by(holder: Mapping[str, Any]) -> str:
    return f"{holder.get('who', 'somebody')} has it since {holder.get('since', 'some time')}"


def lease(layout: Layout, options: argparse.Namespace) -> int:
    """Have this host for this run of a playbook, until it ends or is silent for minutes. Raises Trouble."""
    if not options.run:
        return 0
    file = lease_file(layout)
    holder = read(file)
    silent = time.time() - float(holder.get("touched", 0))
    other = bool(holder) and holder.get("run") != options.run
    if other and silent < LEASE_SECONDS and not options.take:
        left = LEASE_SECONDS - silent
        raise Trouble(
            f"this host is being upgraded: {held_by(holder)}; if that run is dead, "
            f"wait {left:.0f} s or say -e trainshed_take_lock=true"
        )
    since = datetime.now(UTC).isoformat(timespec="seconds") if other or not holder else holder["since"]
    write(file, {"run": options.run, "who": options.who, "since": since, "touched": time.time()})
    return 0


def unlock(layout: Layout, options: argparse.Namespace) -> int:
    """Give the host free."""
    if read(lease_file(layout)).get("run") == options.run:
        lease_file(layout).unlink(missing_ok=True)
    return 0


def preflight(layout: Layout, options: argparse.Namespace) -> int:
    """Say what stands in the way. Changes nothing."""
    problems: list[str] = []
    notes: list[str] = []
    found: dict[str, Any] = {"from": "", "to": options.to, "restore": "", "changes": False, "installed": False}
    for check in (version_path, free_disk, health, last_backup):
        try:
            notes += check(layout, options, found)
        except (Trouble, Broken, OSError) as trouble:
            problems.append(str(trouble))
            if not found["from"]:
                break
        if found["from"] and not found["changes"]:
            break
    print(json.dumps({**found, "notes": notes, "problems": problems}))
    return 0


def order(version: str) -> tuple[Any, ...]:
    """Sorts as versions do. Raises Trouble."""
    match = VERSION.match(version)
    if match is None:
        raise Trouble(f"{version!r} is no version: say one as 1.2.3")
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers, match[2] or "z", int(match[3] or 0), int(match[4] or -1)


def version_path(layout: Layout, options: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    """From a version that is known to a later one; or back to one of which the data are there."""
    if not os.access(layout.home, os.W_OK):
        raise Trouble("only root can do this: run the playbook with --become, or as a user with sudo")
    present = layout.version()
    found["from"] = present
    journal = Journal.read(layout)
    notes = [] if journal.ended else [f"an earlier run was cut while {journal.phase}; it is finished first"]
    if options.back:
        found.update(target_of(layout, options.to, present))
        return [*notes, *lost(layout, found)]
    if order(options.to) < order(present):
        raise Trouble(f"{options.to} is older than {present}, which runs: use playbooks/rollback.yml to go back")
    found["changes"] = order(options.to) > order(present)
    found["installed"] = (layout.release(options.to) / ".installed").exists()
    return [*notes, f"from {present} to {options.to}"] if found["changes"] else [*notes, f"{present} runs already"]


def target_of(layout: Layout, wanted: str, present: str) -> dict[str, Any]:
    """The latest set that leads back from the present version; wanted: to this one. Raises Trouble."""
    for described in reversed(sets(layout)):
        if described["whole"] and described["from"] != present and wanted in ("", described["from"]):
            if not (layout.release(described["from"]) / ".installed").exists():
                raise Trouble(
                    f"{described['from']} is no longer in {layout.release(described['from'])}: install it there again"
                )
            return {"to": described["from"], "restore": described["id"], "changes": True, "installed": True}
    raise Trouble(
        f"no data of {wanted or 'another version than ' + present} are set aside in {layout.sets}: restore a backup"
    )


def lost(layout: Layout, found: dict[str, Any]) -> list[str]:
    """Which writes would be lost."""
    kept = read(layout.sets / found["restore"] / "set.json")
    before, now = kept["account"], account(layout.data)
    since = datetime.strptime(kept["id"][:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    span = datetime.now(UTC).replace(microsecond=0) - since
    more = [f"{now[name] - count} {name}" for name, count in before.items() if name != "names" and now[name] > count]
    found["lost"] = f"all that was written since {since:%Y-%m-%d %H:%M:%S} UTC ({span}): " + (
        ", ".join(more) or "nothing that was counted is new"
    )
    return [f"from {found['from']} back to {found['to']}", f"set aside, and no longer served: {found['lost']}"]


def size(top: Path) -> int:
    """Bytes of what would be copied of a data folder."""
    total = 0
    for entry in entries(top):
        parts = entry.rglob("*") if entry.is_dir() else [entry]
        total += sum(part.lstat().st_size for part in parts)
    return total


def free_disk(layout: Layout, options: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    """Room for a copy of the databases, another that a migration may write, and the new version."""
    source = layout.sets / found["restore"] / "data" if found["restore"] else layout.data
    wanted, there = 2 * size(source) + SPARE_BYTES, shutil.disk_usage(layout.mount).free
    if there < wanted:
        raise Trouble(
            f"{layout.mount} has {there // 2**20} MiB free and {wanted // 2**20} are needed: free some, or grow the disk; "
            "`trainshed-upgrade list` tells what was set aside"
        )
    there = shutil.disk_usage(layout.home).free
    if not found["installed"] and there < SPARE_BYTES:
        raise Trouble(f"{layout.home} has {there // 2**20} MiB free and {SPARE_BYTES // 2**20} are needed: free some")
    if layout.data.stat().st_dev != layout.mount.stat().st_dev:
        raise Trouble(f"{layout.data} is another file system than {layout.mount}: data cannot be set aside beside it")
    return [f"{wanted // 2**20} MiB of {layout.mount} are needed for now"]


def health(layout: Layout, options: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    """The running server answers, everywhere."""
    answering = addresses(layout)
    if not answering:
        raise Trouble(
            "the server does not run here: `systemctl status trainshed` and `trainshed doctor` tell why; mend it first"
        )
    for address in answering:
        ask(f"{address}/health")
    if len(answering) < len(LISTENERS):
        raise Trouble(
            f"the server answers at {len(answering)} of {len(LISTENERS)} listeners only: an upgrade needs all"
        )
    if (layout.data / "maintenance").exists():
        raise Trouble("the server is in maintenance: `trainshed maintenance off` first")
    return []


def last_backup(layout: Layout, options: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    """A backup is made now, or one is there that is young enough."""
    if found["restore"]:
        return []
    names = sorted(path.name for path in Path(options.backups, "backups").glob("2*")) if options.backups else []
    hours = None
    if names:
        made = datetime.strptime(names[-1][:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        hours = (datetime.now(UTC) - made).total_seconds() / 3600
    told = (
        f"the last backup in {options.backups} is {hours:.1f} hours old"
        if hours is not None
        else "there is no backup yet"
    )
    if options.age and (hours is None or hours > options.age):
        raise Trouble(
            f"{told}, and {options.age} are allowed: run `trainshed backup {options.backups}`, or leave the age out"
        )
    return [told]


def sets(layout: Layout) -> list[dict[str, Any]]:
    """What is set aside, the oldest first. whole: a version with its data, to which one can go back."""
    found = []
    journal = Journal.read(layout)
    for folder in sorted(layout.sets.glob("2*")) if layout.sets.is_dir() else []:
        described = read(folder / "set.json") or {"id": folder.name, "from": "", "to": "", "account": {}}
        open_still = journal.fields.get("id") == folder.name and not journal.ended
        whole = (folder / "data/documents.db").exists() and not open_still
        kind = "a version with its data" if whole else "under way" if open_still else "what was given up"
        found.append({**described, "whole": whole, "kind": kind, "folder": str(folder)})
    return found


def listing(layout: Layout, options: argparse.Namespace) -> int:
    """Say what is set aside, and how to remove it."""
    found = sets(layout)
    for described in found:
        own = sum(
            p.lstat().st_size for p in Path(described["folder"]).rglob("*") if p.is_file() and p.lstat().st_nlink == 1
        )
        print(
            f"{described['folder']}\n    {described['kind']}: from {described['from'] or '?'}, {own / 2**20:.0f} MiB of its own"
        )
    if found:
        print(
            "\nNothing of it is used by the server, and nothing removes it. By hand, when it is no longer wanted:\n"
            f"    sudo rm -r {found[0]['folder']}\n"
            "Files of users in it are further names of those that are served, and take no room until the server removes those."
        )
    else:
        print(f"nothing is set aside in {layout.sets}")
    return 0


def status(layout: Layout, options: argparse.Namespace) -> int:
    """The journal, as JSON."""
    print(json.dumps(Journal.read(layout).fields, indent=1))
    return 0


def wheelhouse(layout: Layout, options: argparse.Namespace) -> int:
    """Whether a tar of wheels has this version and what its list says. Raises Trouble."""
    archive = Path(options.archive)
    try:
        with tarfile.open(archive) as tar:
            members = {Path(member.name).name: tar.extractfile(member) for member in tar if member.isfile()}
            listed = members.pop("requirements.txt", None)
            if listed is None:
                raise Trouble(f"{archive} has no requirements.txt: `shed bake vm` makes one that has")
            text = listed.read().decode()
            sums = {hashlib.sha256(file.read()).hexdigest() for file in members.values() if file is not None}
    except (OSError, tarfile.TarError) as error:
        raise Trouble(f"{archive} cannot be read: {error}") from error
    if f"trainshed=={options.version} " not in text:
        has = re.search(r"^trainshed==(\S+)", text, flags=re.MULTILINE)
        raise Trouble(
            f"{archive} holds {has[1] if has else 'no Trainshed'} and not {options.version}: name what it holds"
        )
    for line in text.splitlines():
        wanted = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
        if wanted and not wanted & sums:
            raise Trouble(f"{archive} has no wheel of {line.split(' ')[0]} with the sum in its list: fetch it again")
    say(f"{archive} is whole: {len(sums)} wheels")
    return 0


Command = Callable[[Layout, argparse.Namespace], int]
COMMANDS: dict[str, Command] = {
    "preflight": preflight,
    "wheelhouse": wheelhouse,
    "switch": switch,
    "run": lambda layout, options: run(layout),
    "guard": lambda layout, options: guard(layout),
    "lock": lease,
    "unlock": unlock,
    "list": listing,
    "status": status,
}


def main(argv: list[str] | None = None) -> int:
    """Parse and call."""
    parser = argparse.ArgumentParser(
        prog="trainshed-upgrade", description=(__doc__ or "").splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--layout", type=json.loads, help=f"paths as JSON (default: what {LAYOUT} says)")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True, dest="verb")
    for name, text in {
        "preflight": "say what stands in the way",
        "wheelhouse": "check a tar of wheels",
        "switch": "go to an installed version",
        "run": "do what is planned, or finish what was cut: for the unit",
        "guard": "finish what was cut before the server starts: for the unit",
        "lock": "keep other operators away",
        "unlock": "let them in again",
        "list": "what is set aside",
        "status": "the journal",
        "account": argparse.SUPPRESS,
    }.items():
        verb = verbs.add_parser(name, help=text, allow_abbrev=False)
        if name in ("preflight", "switch"):
            verb.add_argument("--to", default="", metavar="VERSION")
        if name == "preflight":
            verb.add_argument("--back", action="store_true", help="to the version before, or to VERSION")
            verb.add_argument("--backups", default="", metavar="PLACE")
            verb.add_argument("--age", type=float, default=0, metavar="HOURS", help="0: one is made")
        if name == "switch":
            verb.add_argument("--restore", default="", metavar="SET", help="with the data that are set aside there")
            verb.add_argument("--patience", type=float, default=30, metavar="SECONDS", help="for migration and check")
        if name in ("switch", "lock", "unlock"):
            verb.add_argument("--run", default="", metavar="ID")
            verb.add_argument("--who", default="somebody")
            verb.add_argument("--take", action="store_true", help="from whoever has the lock")
        if name == "wheelhouse":
            verb.add_argument("archive")
            verb.add_argument("version")
        if name == "account":
            verb.add_argument("data", type=Path)
            verb.add_argument("--settle", action="store_true")
    options = parser.parse_args(argv)
    try:
        if options.verb == "account":
            print(json.dumps(look(options.data, settle=options.settle)))
            return 0
        told = read(LAYOUT) if options.layout is None else options.layout
        paths: dict[str, Any] = {
            name: Path(value) if name in ("home", "mount", "run") else value for name, value in told.items()
        }
        return COMMANDS[options.verb](Layout(**paths), options)
    except (Trouble, Broken) as trouble:
        refuse(str(trouble))


def refuse(text: str) -> NoReturn:
    """One line, and the code of what is unhealthy."""
    print(text, file=sys.stderr)
    sys.exit(9)


if __name__ == "__main__":
    sys.exit(main())
