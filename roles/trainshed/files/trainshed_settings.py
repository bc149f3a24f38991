#!/opt/trainshed/current/bin/python3
"""What this machine was told at launch, brought to the server: trainshed.yml, EC2 instance tags, GCE instance attributes.

It runs before each start of the server, and writes to its runtime directory

    environment   variables of the server, for its unit and for the command `trainshed`
    problem       what was not understood, a line each; the console and the message of the day show it

What is not understood is left out, and the server starts; but not without TLS, nor with another profile, where the owner
said something of these. docs/images.md has the keys.
"""

import difflib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "trainshed.yml"
FOLDERS = ("/opt/clearml/config", "/etc/trainshed")  # of the data volume, and of this machine alone
PREFIX = "trainshed-"  # of tags and attributes
STATE = "/run/trainshed-settings"
HTTPS = "/etc/trainshed/https.nft"

# What may be said -> the server's key for it, whose table also says what may be said there.
KEYS = {
    "profile": "trainshed.profile",
    "url": "trainshed.addresses.web",
    "api-url": "trainshed.addresses.api",
    "files-url": "trainshed.addresses.files",
    "tls": "trainshed.tls.own",
    "trusted-proxies": "trainshed.proxies.trusted",
    "claim-deadline": "trainshed.accounts.tickets.claim",
    "keep-logs": "trainshed.keep.logs",
    "keep-images": "trainshed.keep.images",
    "keep-plots": "trainshed.keep.plots",
}
# The engines of the profile scale-out.
ENGINES = {
    "mongodb": "hosts.mongo.service_connection_string",
    "elasticsearch": "hosts.elastic.service_connection_string",
    "redis": "hosts.redis.service_connection_string",
}
LISTS = frozenset({"trusted-proxies"})
REDIRECT = "trainshed.tls.redirect_port"
REDIRECT_PORT = 8000  # where https.nft leads port 80

SECRET = re.compile(r"secret|passw|token|credential|private|(^|-)keys?$")
PLAIN = re.compile(
    r"[ -&(-~]{1,1000}"
)  # what stands in single quotes as it is: neither a quote nor a control character
MOST = 64 * 1024  # bytes of a file
# Disks with user data, by their labels as udev writes them: NoCloud, ConfigDrive, and what VMware tells an appliance.
SEEDS = ("cidata", "CIDATA", "config-2", "CONFIG-2", r"OVF\x20ENV")
AZURE = "Microsoft Corporation"  # Hyper-V too
USER_DATA = "cloud-init-network.service"  # the stage that writes files
CLOUD_INIT_SECONDS = 120.0  # it gives up on a metadata service after less
METADATA_SECONDS = 2.0
TRIES = 3


class Trouble(Exception):
    """What a source cannot give, and why: a line."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where to look. root: of the file system. metadata: the clouds' address for what a machine may know of itself."""

    root: Path = Path("/")
    metadata: str = "http://169.254.169.254"

    def path(self, name: str) -> Path:
        """A path of the machine."""
        return self.root / name.lstrip("/")

    def vendor(self) -> str:
        """Whose machine this is, as its firmware says. EC2's older types, on Xen, say it in the version."""
        said = {}
        for name in ("sys_vendor", "bios_version"):
            with suppress(OSError):
                said[name] = self.path(f"/sys/class/dmi/id/{name}").read_text().strip()
        return "Amazon EC2" if "amazon" in said.get("bios_version", "") else said.get("sys_vendor", "")


@dataclass(frozen=True, kw_only=True)
class Said:
    """One value of one source. origin: which, for people."""

    origin: str
    key: str
    value: Any


def main(machine: Machine | None = None) -> int:
    """Look everywhere, write both files, open the ports of TLS."""
    machine = machine or Machine()
    state = Path(os.environ.get("RUNTIME_DIRECTORY", STATE))
    wait_for_user_data(machine)
    said, troubles = look(machine)
    variables, more = settle(said)
    lines = [f"{name}='{value}'\n" for name, value in variables.items()]
    problems = [f"Not understood: {line}\n" for line in (*troubles, *more)]
    state.mkdir(parents=True, exist_ok=True)
    write(state / "environment", "".join(lines))
    write(state / "problem", "".join(problems))
    sys.stderr.writelines(problems)
    open_https(machine, wanted=variables.get(variable(KEYS["tls"])) == "true")
    return 0


def wait_for_user_data(machine: Machine) -> None:
    """Return when cloud-init has written the files that the user data have, if there can be any."""
    labels = machine.path("/dev/disk/by-label")
    seeds = any((labels / name).exists() for name in SEEDS)
    if not (seeds or machine.vendor() in (*CLOUDS, AZURE)):
        return
    try:
        # To start what is on its way is to wait for it; but what has failed would be tried again.
        if systemctl("is-failed", "--quiet", USER_DATA) != 0:
            systemctl("start", USER_DATA)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"not waiting for cloud-init: {error}", file=sys.stderr)


def systemctl(*words: str) -> int:
    """Its exit code. Raises OSError, TimeoutExpired."""
    argv = ["systemctl", *words]
    return subprocess.run(argv, timeout=CLOUD_INIT_SECONDS, check=False, stdin=subprocess.DEVNULL).returncode  # noqa: S603


def look(machine: Machine) -> tuple[list[Said], list[str]]:
    """What all sources say, the weakest first, and what is wrong with them."""
    said: list[Said] = []
    troubles: list[str] = []
    for folder in FOLDERS:
        name = f"{folder}/{FILE}"
        try:
            said += from_file(name, machine.path(name))
        except Trouble as trouble:
            troubles.append(f"{name}: {trouble}")
    cloud = CLOUDS.get(machine.vendor())
    if cloud:
        try:
            said += cloud(machine.metadata)
        except Trouble as trouble:
            troubles.append(str(trouble))
    return said, troubles


def from_file(origin: str, path: Path) -> Iterator[Said]:
    """What a file says; nothing when it is not there. Raises Trouble."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST + 1)
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(getattr(error, "strerror", None) or "it is no text") from error
    yield from from_text(origin, text)


def from_text(origin: str, text: str) -> Iterator[Said]:
    """What YAML says: names and values, one level deep. Raises Trouble."""
    if len(text) > MOST:
        raise Trouble(f"it is larger than {MOST} bytes")
    yaml = parser()
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise Trouble(f"it is no YAML{f', line {where.line + 1}' if where else ''}") from error
    if tree is None:
        return
    if not isinstance(tree, dict):
        raise Trouble("it must have lines as `tls: own`")
    for name, value in tree.items():
        yield Said(origin=origin, key=str(name), value=value)


def parser() -> Any:
    """PyYAML, which is the system's, as cloud-init has it."""
    sys.path.append("/usr/lib/python3/dist-packages")  # its Python is the one of the server's environment
    import yaml  # type: ignore[import-untyped]  # it ships no types

    return yaml


def of_ec2(metadata: str) -> Iterator[Said]:
    """Tags of the instance, where its metadata options allow them there. Raises Trouble."""
    life = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    header = {"X-aws-ec2-metadata-token": ask(f"{metadata}/latest/api/token", life, method="PUT")}
    tags = f"{metadata}/latest/meta-data/tags/instance"
    for name in ask(tags, header).split("\n"):
        if name.startswith(PREFIX):
            value = ask(f"{tags}/{urllib.parse.quote(name)}", header)
            yield Said(origin=f"the instance's tag {name}", key=name.removeprefix(PREFIX), value=value)


def of_gce(metadata: str) -> Iterator[Said]:
    """Attributes of the instance; `trainshed-yml` is a whole file. Raises Trouble."""
    text = ask(f"{metadata}/computeMetadata/v1/instance/attributes/?recursive=true", {"Metadata-Flavor": "Google"})
    attributes = json.loads(text or "{}")
    for name, value in attributes.items():
        origin = f"the instance's attribute {name}"
        if name == f"{PREFIX}yml":
            try:
                yield from from_text(origin, value)
            except Trouble as trouble:
                raise Trouble(f"{origin}: {trouble}") from trouble
        elif name.startswith(PREFIX):
            yield Said(origin=origin, key=name.removeprefix(PREFIX), value=value)


CLOUDS = {"Amazon EC2": of_ec2, "Google": of_gce}


def ask(url: str, headers: Mapping[str, str], *, method: str = "GET") -> str:
    """The answer; "" where there is no such thing. Raises Trouble when nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy sees what a machine is told
    request = urllib.request.Request(url, headers=dict(headers), method=method)  # noqa: S310 - one of ours
    for again in range(TRIES):
        try:
            with opener.open(request, timeout=METADATA_SECONDS) as answer:
                return str(answer.read(MOST).decode())
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return ""
            reason: object = error.code
        except (OSError, UnicodeDecodeError) as error:
            reason = error
        time.sleep(again)
    raise Trouble(f"the metadata service does not answer: {reason}")


def settle(said: list[Said]) -> tuple[dict[str, str], list[str]]:
    """Variables of the server by name, and what was not understood. The later source wins."""
    variables: dict[str, str] = {}
    problems: list[str] = []
    for one in said:
        name = one.key.strip().lower().replace("_", "-")
        try:
            path = known(name)
            variables[variable(path)] = text(name, path, one.value)
        except Trouble as trouble:
            problems.append(f"{one.origin}: {name[:60]!r} {trouble}")
            variables.update(closed(name, one.value))
    engines = [name for name, path in ENGINES.items() if variable(path) in variables]
    if engines and variable(KEYS["profile"]) not in variables:
        problems.append(f"{', '.join(engines)}: without effect, unless `profile: scale-out` is said too")
    if variables.get(variable(KEYS["tls"])) == "true":
        variables[variable(REDIRECT)] = str(REDIRECT_PORT)
    return variables, problems


def known(name: str) -> str:
    """The server's key. Raises Trouble for a name that is none."""
    path = KEYS.get(name) or ENGINES.get(name)
    if path:
        return path
    if SECRET.search(name):
        raise Trouble("looks like a secret, which others can read here: put it into /opt/clearml/config by ssh")
    close = difflib.get_close_matches(name, [*KEYS, *ENGINES], n=1)
    raise Trouble(f"is no key; {f'is {close[0]} meant?' if close else 'the keys are ' + ', '.join([*KEYS, *ENGINES])}")


def text(name: str, path: str, value: Any) -> str:
    """The value as a variable has it. Raises Trouble for one that cannot be."""
    from trainshed.settings.keys import BY_PATH  # a third of a second, which most machines need not spend

    if name in LISTS and isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if name == "tls" and str(value).lower() == "own":
        value = True
    if name in ENGINES:
        address(value)
    elif name == "profile":  # the server has the last word on it, and says it on each start and in `trainshed doctor`
        if not re.fullmatch(r"[a-z-]{1,40}", str(value)):
            raise Trouble("must be embedded or scale-out")
    else:
        try:
            read = BY_PATH[path].form.read(value)
        except ValueError as error:
            raise Trouble(f"must be {'own or off' if name == 'tls' else BY_PATH[path].form.words}") from error
        value = read if isinstance(read, bool) else value
    said = value if isinstance(value, str) else json.dumps(value)
    if not PLAIN.fullmatch(said):
        raise Trouble("has a character that no value here has")
    return said


def address(value: Any) -> None:
    """Raises Trouble for what is no address of an engine, and for one with a password in it."""
    if not isinstance(value, str):
        raise Trouble('must be an address in quotes, as "mongodb://10.0.0.5:27017"')
    url = urllib.parse.urlsplit(value)
    if "@" in url.netloc:
        raise Trouble("has a name or password in it, which others can read here: leave it out")
    if not (url.scheme and url.netloc):
        raise Trouble('must be an address, as "mongodb://10.0.0.5:27017"')


def closed(name: str, value: Any) -> dict[str, str]:
    """What is the safe side of a value that was not understood: TLS, and no server rather than another engine."""
    if name == "tls":
        return {variable(KEYS["tls"]): "true"}
    return {variable(KEYS["profile"]): "not-understood"} if name == "profile" else {}


def variable(path: str) -> str:
    """The variable that sets a key of the server."""
    return "CLEARML__" + path.upper().replace(".", "__")


def write(path: Path, content: str) -> None:
    """Write a file at once; an empty one is none."""
    if not content:
        path.unlink(missing_ok=True)
        return
    half = path.with_name(f".{path.name}")
    half.write_text(content)
    half.replace(path)


def open_https(machine: Machine, *, wanted: bool) -> None:
    """Lead ports 443 and 80 to the server, or to nobody; where there is a firewall of ours."""
    rules = machine.path(HTTPS)
    if not rules.exists():
        return
    none = b"table inet trainshed_https\ndelete table inet trainshed_https\n"
    content = none + rules.read_bytes() if wanted else none
    try:
        subprocess.run(["nft", "-f", "-"], input=content, check=True)  # noqa: S607 - of the system
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the firewall was not changed: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
