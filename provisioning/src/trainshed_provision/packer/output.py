"""What `packer -machine-readable` says: lines of time,target,type,data..., in which commas and line ends are written out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

COMMA = "%!(PACKER_COMMA)"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_VARIABLE = re.compile(r'^(var|local)\.([A-Za-z0-9_-]+): "(.*)"$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Line:
    """target: the build it is about, often empty. kind: ui, artifact, version, ... data: as many as the kind has."""

    target: str
    kind: str
    data: tuple[str, ...]

    @property
    def said(self) -> str:
        """What a person is told by it, else nothing."""
        return self.data[1] if self.kind == "ui" and len(self.data) > 1 else ""

    @property
    def is_error(self) -> bool:
        """Whether that is a complaint."""
        return self.kind == "ui" and self.data[:1] == ("error",)


def parse(line: str) -> Line | None:
    """One line of it; None for one that is none, as plugins print at times."""
    parts = line.rstrip("\n").split(",")
    if len(parts) < 3 or not parts[0].isdigit():
        return None
    data = tuple(_plain(part) for part in parts[3:])
    return Line(target=parts[1], kind=parts[2], data=data)


def version(lines: Iterable[Line]) -> tuple[int, ...]:
    """Of the program, as (1, 9, 4); () when it does not say."""
    for line in lines:
        if line.kind == "version" and line.data:
            return tuple(int(number) for number in re.findall(r"\d+", line.data[0])[:3])
    return ()


def artifacts(lines: Iterable[Line]) -> list[dict[str, Any]]:
    """What a build made: its builder, the id that the builder gives it, and its files. A tag is told of for each post-processor."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        if line.kind != "artifact" or len(line.data) < 2:
            continue
        index, key, *values = line.data
        made = found.setdefault((line.target, index), {"build": line.target, "builder": "", "id": "", "files": []})
        if key == "builder-id" and values:
            made["builder"] = values[0]
        elif key == "id" and values:
            made["id"] = values[0]
        elif key == "file" and values:
            made["files"].append(values[-1])
    told = list(found.values())
    return [made for index, made in enumerate(told) if made not in told[:index]]


def inspected(lines: Iterable[Line]) -> dict[str, Any]:
    """The variables with their values, and the builds as text, of `packer inspect`, which says both in prose alone."""
    text = "".join(line.said for line in lines)
    variables = {name: _unquoted(value) for kind, name, value in _VARIABLE.findall(text) if kind == "var"}
    _, _, builds = text.partition("> builds:")
    return {"variables": variables, "builds": [word for word in builds.split() if "." in word]}


def _plain(part: str) -> str:
    text = part.replace(COMMA, ",").replace("\\n", "\n").replace("\\r", "")
    return _COLOUR.sub("", text)


def _unquoted(value: str) -> str:
    return value.replace('\\"', '"').replace("\\n", "\n")
