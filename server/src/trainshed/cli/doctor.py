"""`trainshed doctor`: what is wrong with this machine, the data folder and the configuration, and what helps.

It changes nothing but a small file of its own, and may run beside a server, before the first start or when none starts.
"""

import argparse
import http.client
import json
import os
import resource
import ssl
import stat
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from trainshed import bootstrap
from trainshed.cli.common import Commands, Exit, become_owner
from trainshed.cli.progress import amount
from trainshed.domain.errors import StoreError
from trainshed.settings import Settings
from trainshed.settings.loading import Finding as Said
from trainshed.settings.loading import Level, load
from trainshed.transport.listener import PortInUseError, check_free

_LITTLE_SPACE = 2**30  # bytes: some hours of a busy server
_LITTLE_SHARE = 0.05  # of the disk, or of its files
_SYNCS, _SLOW_SYNC = 11, 0.05  # seconds: a call that writes waits for one or two
_FILES = 4096  # connections and files that many clients need
_LITTLE_MEMORY = 200 * 2**20  # bytes: what a small server takes
_SKEW = 2.0  # seconds between this machine's clock and that of the file system
_AHEAD = 60.0  # seconds that documents may be ahead of the clock: of two machines, say
_EARLIEST = 1_767_225_600  # 2026: this release is younger
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs", "lustre")
_ASK_SECONDS = 5.0
_SOON = timedelta(days=14)  # a certificate that renews itself has done so by then


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """area: what was looked at. remedy: what helps; empty when all is well."""

    verdict: Verdict
    area: str
    text: str
    remedy: str = ""


Findings = Iterator[Finding]


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser(
        "doctor", help="find what is wrong, and say what helps; exit code 9 for problems", allow_abbrev=False
    )
    # Under another name, as main() refuses a configuration with errors before it says where the data is.
    doctor.add_argument(
        "--data-dir", dest="folder", type=Path, metavar="DIR", help="where everything is kept (default: as configured)"
    )
    doctor.add_argument("--quick", action="store_true", help="do not read the databases through")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(call=_doctor)


def _doctor(options: argparse.Namespace) -> Exit:
    findings = list(_all(options.folder, quick=options.quick))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    for finding in () if options.json else findings:
        print(f"{finding.verdict:7}  {finding.area}: {finding.text}")
        if finding.remedy:
            print(f"         {finding.remedy}")
    return Exit.UNHEALTHY if any(finding.verdict is Verdict.PROBLEM for finding in findings) else Exit.OK


def _all(data_dir: Path | None, *, quick: bool) -> Findings:
    loaded = load(os.environ)
    yield from _configuration(loaded.findings)
    if loaded.settings:
        yield from _ports(loaded.settings)
        yield from _certificate(loaded.settings)
    yield from _limits()
    yield from _memory()
    data = data_dir or (loaded.settings.data_dir if loaded.settings else None)
    if data is None:  # the configuration would say it
        return
    if not data.is_dir():
        yield Finding(Verdict.WARNING, "data folder", f"{data} is not there", "`trainshed serve` makes it")
        return
    yield from _owner(data)
    if not os.access(data, os.W_OK):
        yield Finding(Verdict.PROBLEM, "data folder", f"{data} cannot be written", "run this as the user of the server")
        return
    become_owner(data)
    yield from _disk(data)
    yield from _clock(data)
    yield from _leftovers(data)
    yield from _engines(data, quick=quick)


def _configuration(found: Iterable[Said]) -> Findings:
    verdicts = {Level.ERROR: Verdict.PROBLEM, Level.WARNING: Verdict.WARNING}
    worse = [said for said in found if said.level in verdicts]
    for said in worse:
        yield Finding(verdicts[said.level], "configuration", str(said), "correct it in that place")
    if not worse:
        yield Finding(Verdict.OK, "configuration", "it makes sense")


def _ports(settings: Settings) -> Findings:
    for name, port in settings.running.items():
        area = f"port {port} ({name})"
        try:
            check_free(settings.host, port)
            yield Finding(Verdict.OK, area, "it is free")
        except PortInUseError:
            if _answers(settings, port):
                yield Finding(Verdict.OK, area, "a server answers there")
            else:
                yield Finding(
                    Verdict.PROBLEM,
                    area,
                    "something else listens there",
                    f"`ss -ltnp sport = :{port}` names it; stop it or choose another port",
                )
        except OSError as error:
            yield Finding(
                Verdict.PROBLEM,
                area,
                f"cannot listen on {settings.host}: {error.strerror}",
                "choose an address of this machine, or let the server use ports below 1024 (CAP_NET_BIND_SERVICE)",
            )


def _answers(settings: Settings, port: int) -> bool:
    """Whether it is one of ours, also one in maintenance."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - only compared
    connection = http.client.HTTPConnection(shown, port, timeout=_ASK_SECONDS)
    if settings.tls.on:
        anybody = ssl.SSLContext(
            ssl.PROTOCOL_TLS_CLIENT
        )  # nothing is told, and its certificate has other names than this
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(shown, port, timeout=_ASK_SECONDS, context=anybody)
    try:
        with closing(connection):
            connection.request("GET", "/health")
            return "X-Request-Id" in connection.getresponse().headers
    except (OSError, http.client.HTTPException):
        return False


def _certificate(settings: Settings) -> Findings:
    if settings.tls.certificate is None:  # the server sees to its own
        return
    remedy = "renew it; a running server takes it within a minute"
    area = f"certificate {settings.tls.certificate}"
    try:
        left = bootstrap.certificate_left(settings)
    except (OSError, ValueError) as error:
        yield Finding(
            Verdict.PROBLEM, area, f"TLS cannot be served with it: {error}", "name files in PEM that belong together"
        )
        return
    if left < timedelta(0):
        yield Finding(Verdict.PROBLEM, area, "it has ended", remedy)
    elif left < _SOON:
        yield Finding(Verdict.WARNING, area, f"it ends in {left.days} days", remedy)
    else:
        yield Finding(Verdict.OK, area, f"it ends in {left.days} days")


def _limits() -> Findings:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < _FILES:
        yield Finding(
            Verdict.WARNING,
            "open files",
            f"a process may open {most}",
            f"allow {_FILES} or more: LimitNOFILE= in the unit, `ulimit -Hn`, or --ulimit nofile of the container",
        )
    else:
        yield Finding(Verdict.OK, "open files", f"a process may open {'any number' if most < 0 else most}")


def _memory() -> Findings:
    with Path("/proc/meminfo").open() as file:
        found = dict(line.split(":", 1) for line in file)
    free = int(found["MemAvailable"].split()[0]) * 1024
    if free < _LITTLE_MEMORY:
        yield Finding(
            Verdict.WARNING, "memory", f"{amount(free)} are available", "end other programs, or give the machine more"
        )
    else:
        yield Finding(Verdict.OK, "memory", f"{amount(free)} are available")


def _owner(data: Path) -> Findings:
    status = data.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        yield Finding(Verdict.PROBLEM, "data folder", f"others may enter {data}", f"chmod 700 {data}")
    wrong = [path for path in _mine(data) if path.lstat().st_uid != status.st_uid]
    for path in wrong[:3]:
        yield Finding(
            Verdict.PROBLEM,
            "data folder",
            f"{path} is not of the owner of {data}" + (f", nor are {len(wrong) - 1} others" if len(wrong) > 1 else ""),
            f"chown -R --reference={data} {data}",
        )
        break
    open_secrets = [path for path in (data / "secrets").glob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    for path in open_secrets:
        yield Finding(Verdict.PROBLEM, "data folder", f"others may read {path}", f"chmod 600 {path}")
    if os.geteuid() not in (0, status.st_uid):
        yield Finding(Verdict.WARNING, "data folder", "it is of another user", "run this as the user of the server")
    elif not (wrong or open_secrets or stat.S_IMODE(status.st_mode) & 0o077):
        yield Finding(Verdict.OK, "data folder", f"{data} is its owner's alone")


def _mine(data: Path) -> Iterator[Path]:
    """Files of the server, but for those of users, of which there may be many."""
    yield from data.glob("*")
    yield from data.glob("secrets/*")


def _disk(data: Path) -> Findings:
    disk = os.statvfs(data)
    free, share = disk.f_bavail * disk.f_frsize, disk.f_bavail / (disk.f_blocks or 1)
    if free < _LITTLE_SPACE:
        yield Finding(Verdict.PROBLEM, "disk", f"{amount(free)} are free", "free some, or give it a larger disk")
    elif share < _LITTLE_SHARE:
        yield Finding(Verdict.WARNING, "disk", f"{amount(free)} are free, {share:.0%}", "keep an eye on it")
    else:
        yield Finding(Verdict.OK, "disk", f"{amount(free)} are free")
    if disk.f_files and disk.f_favail / disk.f_files < _LITTLE_SHARE:
        yield Finding(Verdict.PROBLEM, "disk", "it has hardly any room for names of files", "remove small files")
    kind = _file_system(data)
    if kind in _REMOTE:
        yield Finding(
            Verdict.PROBLEM,
            "disk",
            f"the data folder is on {kind}",
            "databases need a local disk; keep backups on the network",
        )
    seconds = _sync_seconds(data)
    if seconds > _SLOW_SYNC:
        yield Finding(
            Verdict.WARNING,
            "disk",
            f"a write takes {seconds * 1000:.0f} ms to reach it",
            "every call that writes waits for it: use a faster disk, or `trainshed serve --fast-writes`",
        )
    else:
        yield Finding(Verdict.OK, "disk", f"a write takes {seconds * 1000:.1f} ms to reach it")


def _file_system(data: Path) -> str:
    """The kind of the one that holds the folder."""
    held, kind = "", ""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, place, name, *_ = line.split(" ")
        place = place.encode().decode("unicode_escape")
        if data.resolve().is_relative_to(place) and len(place) >= len(held):
            held, kind = place, name
    return kind


def _sync_seconds(data: Path) -> float:
    """The median of some writes of a page."""
    times = []
    with tempfile.TemporaryFile(dir=data, buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _clock(data: Path) -> Findings:
    now = time.time()
    with tempfile.NamedTemporaryFile(dir=data) as file:
        skew = abs(Path(file.name).stat().st_mtime - time.time())
    latest = bootstrap.latest_change(data)
    if now < _EARLIEST:
        yield Finding(Verdict.PROBLEM, "clock", f"it says {time.ctime(now)}", "set it: `timedatectl set-ntp true`")
    elif skew > _SKEW:
        yield Finding(
            Verdict.PROBLEM, "clock", f"the file system's differs by {skew:.0f} s", "set the clocks of both machines"
        )
    elif latest is not None and latest > now + _AHEAD:
        yield Finding(
            Verdict.PROBLEM,
            "clock",
            f"the last change of a task is {latest - now:.0f} s ahead of it",
            "it was set back, or was wrong before: `timedatectl status`",
        )
    else:
        yield Finding(Verdict.OK, "clock", "it agrees with the file system and the data; no other clock was asked")


def _leftovers(data: Path) -> Findings:
    if (word := bootstrap.maintenance(data).word()) is not None:
        yield Finding(
            Verdict.WARNING,
            "maintenance",
            f"everybody is turned away: {word}".rstrip(": "),
            "`trainshed maintenance off`",
        )
    if bootstrap.is_half_restored(data):
        yield Finding(Verdict.PROBLEM, "restore", "one was cut and left a part of it", "restore again")
    for path in sorted(data.glob("replaced-*")):
        size = sum(file.lstat().st_size for file in path.rglob("*") if file.is_file())
        yield Finding(
            Verdict.WARNING, "restore", f"{path} holds {amount(size)} of former data", "remove it when it is not needed"
        )


def _engines(data: Path, *, quick: bool) -> Findings:
    for name in bootstrap.DATABASES:
        path = data / name
        if not path.exists():
            missing = any((data / other).exists() for other in bootstrap.DATABASES)
            verdict = Verdict.PROBLEM if missing else Verdict.OK
            yield Finding(verdict, name, "it is not there", "restore a backup" if missing else "")
            continue
        try:
            bootstrap.check_database(path, whole=not quick)
            yield Finding(Verdict.OK, name, "it fits this release" if quick else "it is whole and fits this release")
        except StoreError as error:
            yield Finding(
                Verdict.PROBLEM, name, str(error), "restore a backup, or run the release that made it: see the message"
            )
