"""What one rule says about one image or machine."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

# Where a rule can be asked: F = the offline tree, Q = a booted machine, C = an image as its cloud describes it, U = a server
# by its web address.
Where = Literal["F", "Q", "C", "U"]


class Output(Protocol):
    """What a command on a host left."""

    @property
    def rc(self) -> int: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...


class Host(Protocol):
    """The part of a Testinfra host that rules use: commands, as root."""

    def run(self, command: str, *args: str) -> Output:
        """Run a shell command; each %s in it is replaced by one quoted argument."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a check saw. file: path or command looked at; found and wanted: one line each, for a person."""

    ok: bool
    file: str
    found: str
    wanted: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the registry. where: the letters of the places it can be asked, "F", "Q" or "FQ"."""

    title: str
    where: str
    check: Callable[[Host], Finding]


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finding with the id of its rule; the same id offline and on a booted machine."""

    rule: str
    title: str
    where: Where
    ok: bool
    file: str
    found: str
    wanted: str

    @classmethod
    def of(cls, rule: str, title: str, where: Where, seen: Finding) -> "Result":
        """What was seen, under the id of its rule."""
        return cls(
            rule=rule, title=title, where=where, ok=seen.ok, file=seen.file, found=seen.found, wanted=seen.wanted
        )

    def as_json(self) -> dict[str, Any]:
        """The fields by name, ready for json.dumps."""
        return asdict(self)

    def line(self) -> str:
        """One line for a person."""
        if self.ok:
            return f"ok    {self.rule}  {self.title}"
        return f"FAIL  {self.rule}  {self.title}: {self.file}: found {self.found!r}, wanted {self.wanted}"


def nothing(host: Host, command: str, *, file: str, wanted: str) -> Finding:
    """Passes when the command succeeds and prints nothing; what it prints is what should not be there."""
    seen = host.run(command)
    found = " ".join((seen.stdout + (seen.stderr if seen.rc else "")).split())
    return Finding(ok=seen.rc == 0 and not found, file=file, found=found or "none", wanted=wanted)


def settings(host: Host, command: str, *, file: str, wanted: dict[str, str]) -> Finding:
    """Passes when the command's `name value` or `name = value` lines hold all that is wanted. Case of names is kept."""
    pairs = (line.replace("=", " ", 1).split(None, 1) for line in host.run(command).stdout.splitlines())
    found = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
    wrong = {name: found.get(name, "nothing") for name, value in wanted.items() if found.get(name) != value}
    return Finding(
        ok=not wrong,
        file=file,
        found=", ".join(f"{name} {value}" for name, value in wrong.items()) or "as wanted",
        wanted=", ".join(f"{name} {wanted[name]}" for name in wrong or wanted),
    )


def booted(host: Host) -> bool:
    """Whether the host runs, or is only a tree of files."""
    return host.run("test -d /run/systemd/system").rc == 0
