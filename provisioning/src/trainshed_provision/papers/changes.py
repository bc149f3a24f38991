"""What is different between two images: packages, what their changelogs say, and known vulnerabilities.

An image is read from any of its papers that names packages: SPDX, CycloneDX, packages.json, or the manifest (which knows no
source packages, so changelogs and vulnerabilities of renamed binaries are not found by it).
"""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packageurl import PackageURL

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import versions

CODENAMES = {"debian-12": "bookworm", "debian-13": "trixie", "debian-14": "forky"}
CVE = re.compile(r"CVE-\d{4}-\d{4,}")
# The first line of each entry of a Debian changelog: `openssl (3.5.4-1) unstable; urgency=medium`.
ENTRY = re.compile(r"^(\S+) \(([^()\s]+)\)(?:\s+[-+0-9a-z.]+)+;", flags=re.MULTILINE | re.IGNORECASE)

What = Literal["added", "removed", "upgraded", "downgraded"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A package as an SBOM names it."""

    kind: str
    name: str
    version: str
    source: str
    source_version: str


@dataclass(frozen=True, kw_only=True)
class Image:
    """name: for the report; release: Debian's codename; parts: by (kind, name)."""

    name: str
    release: str
    parts: Mapping[tuple[str, str], Part]

    def sources(self) -> dict[str, str]:
        """Version by name of the Debian sources; of several the highest."""
        found: dict[str, str] = {}
        for part in self.parts.values():
            if part.kind == "deb":
                name, version = _tracked(part)
                found[name] = max(version, found.get(name, "0~~"), key=versions.Debian)
        return found

    def built_from(self, source: str) -> list[Part]:
        """The packages of one source."""
        return [p for p in self.parts.values() if p.kind == "deb" and _tracked(p)[0] == source]


def _tracked(part: Part) -> tuple[str, str]:
    """Source and version as advisories and changelogs name them: Debian signs kernels in a source of its own, as 6.12.1+1."""
    if part.source.startswith("linux-signed-"):
        return "linux", part.version
    return part.source, part.source_version


@dataclass(frozen=True, kw_only=True)
class Change:
    """One package that is another one now. old, new: versions; empty where there is none."""

    what: What
    kind: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Log:
    """What a source's changelog says of the versions after `old` up to `new`. cves: named in it."""

    source: str
    old: str
    new: str
    text: str
    cves: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, order=True)
class Open:
    """A vulnerability that an image has. fixed_in: the source version without it, or empty when there is none yet."""

    cve: str
    source: str
    version: str
    fixed_in: str
    urgency: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """The difference. fixed, introduced, still: of open vulnerabilities; None when no list of them was handed in."""

    old: str
    new: str
    changes: tuple[Change, ...]
    logs: tuple[Log, ...] = ()
    without_log: tuple[str, ...] = ()
    fixed: tuple[Open, ...] | None = None
    introduced: tuple[Open, ...] | None = None
    still: tuple[Open, ...] | None = None


def report(
    old: Image, new: Image, *, kept: Path | None = None, vulnerabilities: Mapping[str, Any] | None = None
) -> Report:
    """Compare two images. kept: folder of .deb files, for changelogs; vulnerabilities: the Debian security tracker's JSON."""
    changes = difference(old, new)
    logs, without = changelogs(old, new, kept) if kept else ((), ())
    made = Report(old=old.name, new=new.name, changes=changes, logs=logs, without_log=without)
    if vulnerabilities is None:
        return made
    before, after = open_in(old, vulnerabilities), open_in(new, vulnerabilities)
    was, is_now = {(o.cve, o.source) for o in before}, {(o.cve, o.source) for o in after}
    return Report(
        **{
            **vars(made),
            "fixed": tuple(o for o in before if (o.cve, o.source) not in is_now),
            "introduced": tuple(o for o in after if (o.cve, o.source) not in was),
            "still": tuple(o for o in after if (o.cve, o.source) in was),
        }
    )


def difference(old: Image, new: Image) -> tuple[Change, ...]:
    """The packages that differ, in order of kind and name."""
    found = []
    for kind, name in sorted(old.parts.keys() | new.parts.keys()):
        before, after = old.parts.get((kind, name)), new.parts.get((kind, name))
        if before and after and before.version == after.version:
            continue
        found.append(
            Change(
                what=_what(kind, before, after),
                kind=kind,
                name=name,
                old=before.version if before else "",
                new=after.version if after else "",
            )
        )
    return tuple(found)


def _what(kind: str, before: Part | None, after: Part | None) -> What:
    if before is None or after is None:
        return "added" if before is None else "removed"
    return "upgraded" if versions.key(kind, before.version) <= versions.key(kind, after.version) else "downgraded"


# --- changelogs ---


def changelogs(old: Image, new: Image, kept: Path) -> tuple[tuple[Log, ...], tuple[str, ...]]:
    """The entries between the versions of each upgraded source, from kept packages; and the sources that none is there for.

    Images hold no changelogs, the packages they are made of do.
    """
    logs, without, before = [], [], old.sources()
    for source, version in sorted(new.sources().items()):
        if source not in before or versions.Debian(version) <= versions.Debian(before[source]):
            continue
        texts = (text for part in new.built_from(source) for deb in _debs(kept, part) if (text := changelog(deb)))
        if text := next(texts, ""):
            said = "\n\n".join(between(text, old=before[source], new=version))
            cves = tuple(sorted(set(CVE.findall(said))))
            logs.append(Log(source=source, old=before[source], new=version, text=said, cves=cves))
        else:
            without.append(source)
    return tuple(logs), tuple(without)


def between(text: str, *, old: str, new: str) -> Iterator[str]:
    """The entries of a changelog for the versions after `old` up to `new`, the newest first."""
    heads = list(ENTRY.finditer(text))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        if versions.Debian(old) < versions.Debian(head[2]) <= versions.Debian(new):
            yield text[head.start() : following.start() if following else len(text)].strip()


def changelog(deb: Path) -> str:
    """The Debian changelog in a package; empty when it has none of its own. Raises CORRUPT for what is no package."""
    archive = process.run(["dpkg-deb", "--fsys-tarfile", deb])
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            names = {re.sub(r"^\./", "", member.name): member for member in tar if member.isfile()}
            for ending in ("changelog.Debian.gz", "changelog.gz"):  # the second is of packages that only Debian makes
                for name, member in names.items():
                    if re.fullmatch(rf"usr/share/doc/[^/]+/{re.escape(ending)}", name):
                        file = tar.extractfile(member)
                        text = gzip.decompress(file.read()).decode(errors="replace") if file else ""
                        if ENTRY.search(text):
                            return text
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ShedError(
            f"{deb}: {error}", hint="remove it; the next bake fetches it again", code=Exit.CORRUPT
        ) from error
    return ""


def _debs(kept: Path, part: Part) -> Iterable[Path]:
    return sorted(kept.glob(f"{part.name}_{part.version.replace(':', '%3a')}_*.deb"))


# --- vulnerabilities ---


def open_in(image: Image, vulnerabilities: Mapping[str, Any]) -> list[Open]:
    """What the tracker lists against the sources of an image and its release: not fixed, or fixed in a later version.

    What the tracker calls undetermined is left out, as nobody knows yet whether it is one.
    """
    found = []
    for source, version in image.sources().items():
        for cve, entry in vulnerabilities.get(source, {}).items():
            state = entry.get("releases", {}).get(image.release)
            if not cve.startswith("CVE-") or state is None or state.get("status") == "undetermined":
                continue
            fixed_in = state.get("fixed_version", "")
            if fixed_in == "0" or (fixed_in and versions.Debian(fixed_in) <= versions.Debian(version)):
                continue  # "0": never vulnerable
            urgency = state.get("urgency", "")
            found.append(Open(cve=cve, source=source, version=version, fixed_in=fixed_in, urgency=urgency))
    return sorted(found)


def load_vulnerabilities(path: Path) -> dict[str, Any]:
    """https://security-tracker.debian.org/tracker/data/json as it was saved. CORRUPT when it is none."""
    made = _json(path, "fetch https://security-tracker.debian.org/tracker/data/json again")
    whole = all(isinstance(e, dict) and all(isinstance(s, dict) for s in e.values()) for e in made.values())
    if not whole or not any(cve.startswith("CVE-") for entry in made.values() for cve in entry):
        raise ShedError(
            f"{path} is not the Debian security tracker's list",
            hint="it is https://security-tracker.debian.org/tracker/data/json",
            code=Exit.CORRUPT,
        )
    return made


# --- images ---


def load(path: Path) -> Image:
    """An image from one of its papers. CORRUPT when it is none of them."""
    made = _json(path, PAPERS)
    try:
        if "spdxVersion" in made:
            refs = [ref for p in made["packages"] for ref in p.get("externalRefs", ())]
            return _of_purls(made["name"], [r["referenceLocator"] for r in refs if r["referenceType"] == "purl"])
        if made.get("bomFormat") == "CycloneDX":
            purls = [c["purl"] for c in made["components"] if "purl" in c]
            return _of_purls(made["metadata"]["component"]["name"], purls)
        if "distro" in made:
            parts = {
                (p["kind"], p["name"]): Part(
                    **{f: p[f] for f in ("kind", "name", "version", "source", "source_version")}
                )
                for p in made["packages"]
            }
            return Image(name=path.name.removesuffix(".packages.json"), release=_release(made["distro"]), parts=parts)
        maps = (("deb", {**made["debian"], **made.get("layer", {})}), ("pypi", made["python"]))
        named = [(kind, name, version) for kind, by_name in maps for name, version in by_name.items()]
        return Image(
            name=made["name"],
            release=made["suite"],
            parts={(k, n): Part(kind=k, name=n, version=v, source=n, source_version=v) for k, n, v in named},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ShedError(f"{path} names no packages: {error}", hint=PAPERS, code=Exit.CORRUPT) from error


PAPERS = "hand in a *.spdx.json, *.cdx.json, *.packages.json or *.manifest.json of an image"


def _of_purls(name: str, purls: Iterable[str]) -> Image:
    parts, distro = {}, ""
    for purl in map(PackageURL.from_string, purls):
        qualifiers = purl.qualifiers if isinstance(purl.qualifiers, dict) else {}
        version = purl.version or ""
        source, _, source_version = qualifiers.get("upstream", f"{purl.name}@{version}").partition("@")
        parts[purl.type, purl.name] = Part(
            kind=purl.type, name=purl.name, version=version, source=source, source_version=source_version or version
        )
        distro = qualifiers.get("distro", distro)
    if not parts:
        raise ValueError("no package URL in it")
    return Image(name=name, release=_release(distro), parts=parts)


def _release(distro: str) -> str:
    return CODENAMES.get(distro, distro)


def _json(path: Path, hint: str) -> dict[str, Any]:
    try:
        made = json.loads(path.read_bytes())
    except OSError as error:
        raise ShedError(f"cannot read {path}: {error.strerror}", hint=hint, code=Exit.MISSING) from error
    except ValueError as error:
        raise ShedError(f"{path}: {error}", hint=hint, code=Exit.CORRUPT) from error
    if not isinstance(made, dict):
        raise ShedError(f"{path} holds no JSON object", hint=hint, code=Exit.CORRUPT)
    return made
