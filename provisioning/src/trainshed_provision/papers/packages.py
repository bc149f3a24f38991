"""What a root tree holds: Debian packages as dpkg's status has them, Python distributions by their METADATA.

Everything is read from the tree alone, so the same tree gives the same list.
"""

import csv
import hashlib
import json
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from email.parser import HeaderParser
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from packageurl import PackageURL
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import licences

STATUS = "var/lib/dpkg/status"
INFO = "var/lib/dpkg/info"
HOPS = 40  # of links, as Linux has it


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package. source, source_version: of the Debian source it was built from, which advisories name.

    licence: SPDX expression, or empty when it is not machine-readable. files: regular files of it in the tree. verification:
    SPDX's code over their contents. sha256: of the .deb or wheel, where it is known. depends: ids of packages that are there.
    disk_only: not in the root that containers have.
    """

    kind: Literal["deb", "pypi"]
    name: str
    version: str
    architecture: str = ""
    source: str = ""
    source_version: str = ""
    licence: str = licences.UNKNOWN
    files: int = 0
    verification: str = ""
    sha256: str = ""
    depends: tuple[str, ...] = ()
    disk_only: bool = False

    @property
    def id(self) -> str:
        """Unique in a tree."""
        return f"{self.kind}/{self.name}"

    def purl(self, distro: str = "") -> str:
        """The package URL. upstream: the Debian source, where its name or version is another."""
        if self.kind == "pypi":
            return PackageURL("pypi", None, self.name, self.version).to_string()
        qualifiers = {"arch": self.architecture, "distro": distro}  # without a value they are left out
        if (self.source, self.source_version) != (self.name, self.version):
            qualifiers["upstream"] = f"{self.source}@{self.source_version}"
        return PackageURL("deb", "debian", self.name, self.version, qualifiers).to_string()


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All that an image holds. distro: as purls name it, debian-13; packages: Debian's first, each kind in order of name."""

    distro: str
    packages: tuple[Package, ...]


def read(tree: Path, *, archives: Mapping[str, str] | None = None) -> Inventory:
    """What a root tree holds. archives: sha256 of the .deb or wheel by package id. CORRUPT when there is no dpkg status."""
    found = (replace(p, sha256=(archives or {}).get(p.id, "")) for p in (*debian(tree), *python(tree)))
    return Inventory(distro=_distro(tree), packages=tuple(found))


def with_layer(root: Inventory, tree: Path, *, archives: Mapping[str, str] | None = None) -> Inventory:
    """What a root holds and, marked as such, what a tree made on top of it has besides."""
    there = {p.id for p in root.packages}
    more = [replace(p, sha256=(archives or {}).get(p.id, ""), disk_only=True) for p in debian(tree, but=there)]
    return replace(root, packages=tuple(sorted((*root.packages, *more), key=lambda p: (p.kind, p.name))))


def dump(inventory: Inventory) -> str:
    """Its text, the package manifest."""
    return json.dumps(asdict(inventory), indent=1) + "\n"


def load(path: Path) -> Inventory:
    """The reverse of dump, from a file. CORRUPT when it is none."""
    try:
        made = json.loads(path.read_text())
        entries = [Package(**{**entry, "depends": tuple(entry["depends"])}) for entry in made["packages"]]
        return Inventory(distro=made["distro"], packages=tuple(entries))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ShedError(
            f"{path} is no package manifest: {error}", hint="run: shed bake --force", code=Exit.CORRUPT
        ) from error


def _distro(tree: Path) -> str:
    words = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]*)"?$', _text(tree, "etc/os-release"), flags=re.MULTILINE))
    return "-".join(filter(None, (words.get("ID", ""), words.get("VERSION_ID", ""))))


# --- Debian ---


def debian(tree: Path, *, but: Container[str] = ()) -> list[Package]:
    """What dpkg has installed, without those ids."""
    text = _text(tree, STATUS)
    if not text:
        raise ShedError(f"{tree / STATUS} is not there or empty", hint="is this a Debian root?", code=Exit.CORRUPT)
    installed = [p for p in paragraphs(text) if p.get("Status", "").endswith(" installed")]
    providers = _providers(installed)
    wanted = [fields for fields in installed if f"deb/{fields['Package']}" not in but]
    return sorted((_debian(tree, fields, providers) for fields in wanted), key=lambda p: p.name)


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of a Debian control file; a continued field keeps its line breaks."""
    for block in re.split(r"\n\n+", text.strip()):
        yield {
            m[1]: m[2].strip()
            for m in re.finditer(r"^([A-Za-z][A-Za-z0-9-]*):(.*(?:\n[ \t].*)*)", block, flags=re.MULTILINE)
        }


def _debian(tree: Path, fields: Mapping[str, str], providers: Mapping[str, str]) -> Package:
    name, version = fields["Package"], fields["Version"]
    source = re.fullmatch(r"(\S+)(?: \((\S+)\))?", fields.get("Source", name))
    wanted = _alternatives(", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends")))))
    depends = {next((providers[name] for name in names if name in providers), "") for names in wanted}
    count, verification = _verify(tree, _debian_files(tree, name, fields["Architecture"]))
    return Package(
        kind="deb",
        name=name,
        version=version,
        architecture=fields["Architecture"],
        source=source[1] if source else name,
        source_version=(source and source[2]) or version,
        licence=licences.of_copyright(_text(tree, f"usr/share/doc/{name}/copyright")),
        files=count,
        verification=verification,
        depends=tuple(sorted(f"deb/{d}" for d in depends if d and d != name)),
    )


def _providers(installed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Name of the package that is there for each name one can depend on."""
    virtual = {
        provided: fields["Package"]
        for fields in installed
        for (provided, *_) in _alternatives(fields.get("Provides", ""))
    }
    return {**virtual, **{fields["Package"]: fields["Package"] for fields in installed}}


def _alternatives(relation: str) -> list[list[str]]:
    """`a (>= 1) | b, c:any` -> [[a, b], [c]]."""
    return [
        [re.split(r"[\s:(\[]", name.strip(), maxsplit=1)[0] for name in group.split("|")]
        for group in relation.split(",")
        if group.strip()
    ]


def _debian_files(tree: Path, name: str, architecture: str) -> list[str]:
    """The paths dpkg lists for a package; Multi-Arch ones have the architecture in the list's name."""
    listing = _text(tree, f"{INFO}/{name}.list") or _text(tree, f"{INFO}/{name}:{architecture}.list")
    return [line.lstrip("/") for line in listing.splitlines() if line != "/."]


# --- Python ---


def python(tree: Path) -> list[Package]:
    """The distributions in virtual environments; those in dist-packages are Debian's."""
    found = {}
    for folder, folders, _ in os.walk(tree):
        if Path(folder).name == "site-packages":
            for info in sorted(f for f in folders if f.endswith(".dist-info")):
                package = _python(tree, PurePosixPath(os.path.relpath(folder, tree)), info)
                found[package.name] = package
        folders[:] = [f for f in folders if not Path(folder, f).is_symlink()]
    return [
        replace(p, depends=tuple(d for d in p.depends if d.removeprefix("pypi/") in found))
        for _, p in sorted(found.items())
    ]


def _python(tree: Path, folder: PurePosixPath, info: str) -> Package:
    message = HeaderParser().parsestr(_text(tree, str(folder / info / "METADATA")))
    record = csv.reader(_text(tree, str(folder / info / "RECORD")).splitlines())
    count, verification = _verify(tree, [os.path.normpath(folder / row[0]) for row in record if row])
    fields = {key.lower(): str(value) for key, value in message.items()}
    match = re.fullmatch(r"python(\d+\.\d+)", folder.parent.name)
    said = {"extra": "", **({"python_version": match[1], "python_full_version": f"{match[1]}.0"} if match else {})}
    environment = {**{name: str(value) for name, value in default_environment().items()}, **said}
    return Package(
        kind="pypi",
        name=canonicalize_name(fields.get("name", info.split("-")[0])),
        version=fields.get("version", ""),
        licence=licences.of_metadata(fields, [str(c) for c in message.get_all("Classifier", [])]),
        files=count,
        verification=verification,
        depends=tuple(sorted({f"pypi/{n}" for n in _requires(message.get_all("Requires-Dist", []), environment)})),
    )


def _requires(lines: Iterable[str], environment: dict[str, str]) -> Iterator[str]:
    for line in lines:
        try:
            wanted = Requirement(str(line))
        except InvalidRequirement:  # of an old distribution: pip passed over it too
            continue
        if wanted.marker is None or wanted.marker.evaluate(environment):
            yield canonicalize_name(wanted.name)


# --- files ---


def _verify(tree: Path, names: Iterable[str]) -> tuple[int, str]:
    """How many regular files there are of these, and SPDX's package verification code over them."""
    sums = []
    for name in names:
        path = _parent(tree, os.path.dirname(name)) / os.path.basename(name)  # noqa: PTH119, PTH120 - 30,000 of them
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                sums.append(hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest())
    return len(sums), hashlib.sha1("".join(sorted(sums)).encode(), usedforsecurity=False).hexdigest()


@lru_cache(maxsize=4096)
def _parent(tree: Path, folder: str) -> Path:
    return within(tree, folder)


def within(tree: Path, name: str) -> Path:
    """The path in the tree, its links followed as they would be with the tree as /: never a file of this host."""
    todo, at, hops = list(reversed(PurePosixPath(name).parts)), PurePosixPath(), 0
    while todo and hops < HOPS:
        part = todo.pop()
        if part == "..":
            at = at.parent
        elif part not in ("/", "."):
            path = tree / at / part
            if path.is_symlink():
                hops += 1
                target = path.readlink()
                at = PurePosixPath() if target.is_absolute() else at
                todo += reversed(target.parts)
            else:
                at = at / part
    return tree / at


def _text(tree: Path, name: str) -> str:
    """A text file of the tree; empty when it is not there."""
    path = within(tree, name)
    return path.read_text(errors="replace") if path.is_file() else ""
