"""The index of all that is published: releases with their files, cloud images and papers, and which of them are revoked.

One file, `index.json`, signed in `index.json.minisig`; described in docs/index.md, its schema is docs/reference/index.schema.json.
Nothing in it is believed before the signature, the expiry and the sequence number are.

What changes an index is a function from an index to an index; `edit` reads, checks, changes, signs and writes:

    index.edit(path, lambda now: index.add_cloud_images(now, "0.2.0", aws={"eu-central-1": "ami-..."}), key=key)
"""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers import files, signatures
from trainshed_provision.papers.signatures import PublicKey, SecretKey

SCHEMA = 1  # readers refuse a higher one; what is added within one, older readers pass over
VALID = timedelta(days=90)  # an index that nobody renewed is not believed for longer: it may be an old one, held back
CLOCKS_DIFFER = timedelta(hours=1)  # of publisher and reader, at most
LOCK_SECONDS = 30  # a change takes milliseconds

Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+~-]*$")]
Ami = Annotated[str, Meta(pattern="^ami-[0-9a-f]{8,17}$")]
Size = Annotated[int, Meta(ge=0)]
Time = Annotated[datetime, Meta(tz=True)]


class File(Struct, frozen=True, omit_defaults=True):
    """One published file. url: where it is; empty: beside the index, under its name. bytes: its size."""

    name: FileName
    sha256: Sha256
    bytes: Size
    url: Annotated[str, Meta(pattern="^(https?://.+)?$")] = ""


class GcpImage(Struct, frozen=True, omit_defaults=True):
    """A Compute Engine image; images are global."""

    project: Annotated[str, Meta(pattern="^[a-z0-9.:-]+$")]
    image: Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$")]
    family: str = ""


class Build(Struct, frozen=True, omit_defaults=True):
    """A release for one architecture.

    files: images by ending; papers: the same, as spdx.json; aws: AMI by region.
    """

    tree_digest: Sha256
    files: dict[str, File]
    papers: dict[str, File] = field(default_factory=dict)
    aws: dict[Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")], Ami] = field(default_factory=dict)
    gcp: GcpImage | None = None


class Revoked(Struct, frozen=True, omit_defaults=True):
    """Why a release must not be launched any more. replacement: a version to take instead."""

    at: Time
    reason: Annotated[str, Meta(min_length=1)]
    replacement: str = ""


class Release(Struct, frozen=True, omit_defaults=True):
    """One version. commit: of git. builds: by architecture, as Debian names them."""

    published: Time
    commit: Annotated[str, Meta(pattern="^[0-9a-f]{7,64}$")]
    builds: dict[str, Build]
    revoked: Revoked | None = None


class Index(Struct, frozen=True):
    """Everything published. sequence: one more with each change, so that an older index can be told from a newer one."""

    schema: Annotated[int, Meta(ge=1)]
    sequence: Annotated[int, Meta(ge=0)]
    issued: Time
    expires: Time
    releases: dict[str, Release]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What `resolve` found. id: the AMI, `projects/<p>/global/images/<i>`, or a file's url or name; file: unless a cloud's."""

    version: str
    architecture: str
    target: str
    id: str
    region: str = ""
    file: File | None = None


def empty() -> Index:
    """An index of nothing, before its first `edit`."""
    start = datetime.fromtimestamp(0, UTC)
    return Index(schema=SCHEMA, sequence=0, issued=start, expires=start, releases={})


# --- what changes an index: pure, the same again for what is there already ---


def add_release(index: Index, manifest: Mapping[str, Any], *, now: datetime, url: str = "") -> Index:
    """Add the image that a bake's manifest describes, or more formats of it.

    url: folder in which its files are published. Cloud images that are listed stay. CONFLICT when the version is there as
    another image: a version is published once.
    """
    with _of_a_manifest():
        version, architecture, commit = manifest["version"], manifest["architecture"], manifest["commit"]
        papers = _files(manifest.get("papers", {}), url)
        build = Build(tree_digest=manifest["tree_digest"], files=_files(manifest["files"], url), papers=papers)
    _version(version)
    old = index.releases.get(version)
    if old is None:
        new = Release(published=_seconds(now), commit=commit, builds={architecture: build})
        return _checked(_with(index, version, new))
    before = old.builds.get(architecture, Build(tree_digest=build.tree_digest, files={}))
    changed = [
        n for n, file in build.files.items() if n in before.files and _content(before.files[n]) != _content(file)
    ]
    if (old.commit, before.tree_digest) != (commit, build.tree_digest) or changed:
        raise ShedError(
            f"{version} for {architecture} is published already, as another image",
            hint="a published version never changes: raise the version in server/pyproject.toml and bake again",
            code=Exit.CONFLICT,
        )
    merged = replace(before, files={**before.files, **build.files}, papers={**before.papers, **build.papers})
    return _checked(_with(index, version, replace(old, builds={**old.builds, architecture: merged})))


def add_cloud_images(
    index: Index,
    version: str,
    *,
    aws: Mapping[str, str] | None = None,
    gcp: Mapping[str, str] | None = None,
    architecture: str = "amd64",
) -> Index:
    """Add AMIs by region, or a GCP image (project, image, family), to a release; others of it stay.

    NOT_FOUND when the release is not there: add it first.
    """
    release, build = _build(index, version, architecture)
    if aws:
        build = replace(build, aws={**build.aws, **aws})
    if gcp:
        build = replace(build, gcp=GcpImage(**gcp))
    return _checked(_with(index, version, replace(release, builds={**release.builds, architecture: build})))


def revoke(index: Index, version: str, *, reason: str, now: datetime, replacement: str = "") -> Index:
    """Mark a release as one that must not be launched. Again: the first time stays, reason and replacement are the new ones."""
    release = _release(index, version)
    if replacement and (replacement == version or _release(index, replacement).revoked):
        raise ShedError(
            f"{replacement} cannot replace {version}: it is revoked itself", hint="name another", code=Exit.CONFLICT
        )
    at = release.revoked.at if release.revoked else _seconds(now)
    return _checked(
        _with(index, version, replace(release, revoked=Revoked(at=at, reason=reason, replacement=replacement)))
    )


# --- what asks one ---


def resolve(index: Index, version: str, target: str, *, region: str = "", architecture: str = "amd64") -> Found:
    """The image to launch. version: one, or `latest`: the highest final one that has the target and is not revoked.

    target: aws (needs a region), gcp, or a format in `files`. REFUSED for a revoked one; NOT_FOUND says what there is.
    """
    if version != "latest":
        refuse_revoked(index, version)
        return _image(index, version, target, region, architecture)
    for candidate in newest_first(index):
        if index.releases[candidate].revoked or Version(candidate).is_prerelease:
            continue
        try:
            return _image(index, candidate, target, region, architecture)
        except ShedError:
            continue
    where = f" in {region}" if region else ""
    raise ShedError(
        f"the index has no release for {target} ({architecture}){where}",
        hint="see: shed index show",
        code=Exit.NOT_FOUND,
    )


def paper(index: Index, version: str, ending: str, *, architecture: str = "amd64") -> File:
    """A paper of a release, revoked or not. NOT_FOUND says what there is."""
    _, build = _build(index, version, architecture)
    if ending not in build.papers:
        raise _missing(f"{version} has no {ending}", build.papers)
    return build.papers[ending]


def refuse_revoked(index: Index, version: str) -> None:
    """Raise REFUSED, with the reason and what to take instead, for a revoked release; NOT_FOUND for an unknown one."""
    revoked = _release(index, version).revoked
    if revoked:
        instead = revoked.replacement
        raise ShedError(
            f"{version} was revoked on {revoked.at:%Y-%m-%d}: {revoked.reason}",
            hint=f"use {instead} instead" if instead else "use another version: shed index show",
            code=Exit.REFUSED,
        )


def by_digest(index: Index, sha256: str) -> tuple[str, File] | None:
    """The version and the file with this content, images and papers alike."""
    for version, release in index.releases.items():
        for build in release.builds.values():
            for file in (*build.files.values(), *build.papers.values()):
                if file.sha256 == sha256:
                    return version, file
    return None


def _image(index: Index, version: str, target: str, region: str, architecture: str) -> Found:
    _, build = _build(index, version, architecture)
    found = Found(version=version, architecture=architecture, target=target, id="")
    if target == "aws":
        if not region:
            raise ShedError("an AMI is one region's", hint="name the region: --region", code=Exit.USAGE)
        if region not in build.aws:
            raise _missing(f"{version} has no AMI in {region}", build.aws)
        return _found(found, id=build.aws[region], region=region)
    if target == "gcp":
        if build.gcp is None:
            raise ShedError(f"{version} has no GCP image", hint="see: shed index show", code=Exit.NOT_FOUND)
        return _found(found, id=f"projects/{build.gcp.project}/global/images/{build.gcp.image}")
    if target not in build.files:
        raise _missing(f"{version} has no {target} image", build.files)
    file = build.files[target]
    return _found(found, id=file.url or file.name, file=file)


def _found(found: Found, **changes: Any) -> Found:
    return Found(**{**vars(found), **changes})


# --- the file ---


def read(path: Path, *, keys: tuple[PublicKey, ...], now: datetime | None = None, seen: Path | None = None) -> Index:
    """The index in a file, once it is to be believed.

    keys: who may sign it. seen: where to remember the highest sequence number that was believed; an older index than that is
    refused, also with a good signature. Raises MISSING, CORRUPT (cut off, no index, newer schema) or REFUSED (signature,
    expiry, sequence).
    """
    now = now or datetime.now(UTC)
    content, signature = _pair(path)
    key = signatures.verify_content(content, signature, keys, path=path)
    index = decode(content, str(path))
    if index.expires <= now:
        raise _refused(
            f"{path} expired on {index.expires:%Y-%m-%d}", "fetch the present one; its publisher: shed index renew"
        )
    if index.issued > now + CLOCKS_DIFFER:
        raise _refused(
            f"{path} is of {index.issued:%Y-%m-%d %H:%M} UTC, which is to come", "is the clock of this machine right?"
        )
    if seen is not None:
        _remember(seen, path, index, content, key)
    return index


def edit(
    path: Path,
    change: Callable[[Index], Index],
    *,
    key: SecretKey,
    trusted: tuple[PublicKey, ...] = (),
    now: datetime | None = None,
    renew: bool = False,
) -> Index:
    """Change the index in a file, or make a first one; sign it; return it. Nothing changed: nothing is written.

    Two at a time wait for each other. Killed at any moment, the file is the old or the new one and the next edit goes on
    from there. The present file must be signed by `key` or by one of `trusted`, as when a key follows another. renew: sign
    again although nothing changed, whatever its expiry.
    """
    keys = (key.public, *trusted)
    with _locked(path):
        _finish(path, keys)
        old = _present(path, keys)
        new = _next(old, change, now, renew=renew)
        if new is not old:
            _write(path, encode(new), key)
    return new


def preview(
    path: Path,
    change: Callable[[Index], Index],
    *,
    key: SecretKey,
    trusted: tuple[PublicKey, ...] = (),
    now: datetime | None = None,
    renew: bool = False,
) -> Index:
    """What `edit` would make of it; nothing is written."""
    return _next(_present(path, (key.public, *trusted)), change, now, renew=renew)


def _next(old: Index, change: Callable[[Index], Index], now: datetime | None, *, renew: bool) -> Index:
    """The index after a change; `old` itself when that changes nothing."""
    new, now = _checked(change(old)), now or datetime.now(UTC)
    if new == old and not renew:
        return old
    dates = {"issued": _seconds(now), "expires": _seconds(now + VALID)}
    return replace(new, schema=SCHEMA, sequence=old.sequence + 1, **dates)


def newest_first(index: Index) -> list[str]:
    """Its versions."""
    return sorted(index.releases, key=Version, reverse=True)


def encode(index: Index) -> bytes:
    """Its text, the newest release first."""
    ordered = {version: index.releases[version] for version in newest_first(index)}
    text = msgspec.json.encode(replace(index, releases=ordered))
    return msgspec.json.format(text, indent=2) + b"\n"


def decode(content: bytes, name: str) -> Index:
    """From its text, every value checked. CORRUPT names the place of what is wrong."""
    try:
        schema = msgspec.json.decode(content, type=_Versioned).schema
        if schema > SCHEMA:
            raise ShedError(
                f"{name} has schema {schema}, and this shed reads up to {SCHEMA}",
                hint="install a newer shed",
                code=Exit.CORRUPT,
            )
        index = msgspec.json.decode(content, type=Index)
    except msgspec.MsgspecError as error:
        raise ShedError(f"{name}: {error}", hint="docs/index.md says how an index looks", code=Exit.CORRUPT) from error
    for version in index.releases:
        _version(version)
    return index


def json_schema() -> dict[str, Any]:
    """The JSON Schema of an index, which docs/reference/index.schema.json holds."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trainshed index",
        **msgspec.json.schema(Index),
    }


class _Versioned(Struct):
    schema: int


def _pair(path: Path) -> tuple[bytes, str]:
    """Content and signature."""
    try:
        return path.read_bytes(), signatures.signature_of(path).read_text(errors="replace")
    except OSError as error:
        raise ShedError(
            f"cannot read {error.filename}: {error.strerror}",
            hint="an index is two files: index.json and index.json.minisig",
            code=Exit.MISSING,
        ) from error


def _present(path: Path, keys: tuple[PublicKey, ...]) -> Index:
    """The index to change: believed when one of `keys` signed it, expired or not; an empty one when there is no file."""
    if not path.exists():
        return empty()
    content, signature = _pair(path)
    signatures.verify_content(content, signature, keys, path=path)
    return decode(content, str(path))


def _write(path: Path, content: bytes, key: SecretKey) -> None:
    """Two files, each by one rename, the signature first. Killed between them, `_finish` does the second."""
    partial = _partial(path)
    files.write(partial, content)
    files.write(signatures.signature_of(path), signatures.signature_text(content, path.name, key))
    partial.replace(path)


def _finish(path: Path, keys: tuple[PublicKey, ...]) -> None:
    """Bring a killed `_write` to its end when the new signature is there, else take it back."""
    partial = _partial(path)
    try:
        signatures.verify_content(partial.read_bytes(), _pair(path)[1], keys, path=path)
    except (ShedError, OSError):
        partial.unlink(missing_ok=True)
    else:
        partial.replace(path)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One edit at a time, of all processes of this machine."""
    with files.said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.with_name(f".{path.name}.lock").open("w")
    with opened as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ShedError(
                        f"{path} is being changed by another shed", hint="try again", code=Exit.CONFLICT
                    ) from None
                time.sleep(0.05)
        yield


def _remember(seen: Path, path: Path, index: Index, content: bytes, key: PublicKey) -> None:
    """Refuse an index older than the newest that was believed of this key; else it is the newest now."""
    try:
        memory = msgspec.json.decode(seen.read_bytes(), type=dict[str, _Seen]) if seen.exists() else {}
    except msgspec.MsgspecError as error:
        raise ShedError(f"{seen} is damaged: {error}", hint="remove it to begin anew", code=Exit.CORRUPT) from error
    digest = hashlib.sha256(content).hexdigest()
    last = memory.get(key.name)
    if last and index.sequence < last.sequence:
        raise _refused(
            f"{path} has sequence {index.sequence}, and {last.sequence} was seen before: it is an old one, played again",
            "fetch the present one",
        )
    if last and index.sequence == last.sequence and digest != last.sha256:
        raise _refused(f"{path} is another index than the one seen before as {last.sequence}", "ask its publisher")
    with files.said(seen):
        seen.parent.mkdir(parents=True, exist_ok=True)
    memory[key.name] = _Seen(index.sequence, digest)
    files.write(seen, msgspec.json.format(msgspec.json.encode(memory), indent=2) + b"\n")


class _Seen(Struct, frozen=True):
    sequence: int
    sha256: str


# --- parts of one ---


def _build(index: Index, version: str, architecture: str) -> tuple[Release, Build]:
    release = _release(index, version)
    if architecture not in release.builds:
        raise _missing(f"{version} is not there for {architecture}", release.builds)
    return release, release.builds[architecture]


def _release(index: Index, version: str) -> Release:
    if version not in index.releases:
        raise _missing(f"the index has no release {version}", index.releases)
    return index.releases[version]


def _with(index: Index, version: str, release: Release) -> Index:
    return replace(index, releases={**index.releases, version: release})


@contextmanager
def _of_a_manifest() -> Iterator[None]:
    """What is not there in a manifest is said as such."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise ShedError(
            f"the manifest names no {error}", hint="hand in what `shed bake` wrote: *.manifest.json", code=Exit.CORRUPT
        ) from error


def _files(entries: Mapping[str, Mapping[str, Any]], url: str) -> dict[str, File]:
    base = url and f"{url.rstrip('/')}/"
    return {
        kind: File(name=e["file"], sha256=e["sha256"], bytes=e["bytes"], url=base and base + e["file"])
        for kind, e in entries.items()
    }


def _content(file: File) -> tuple[str, int]:
    return file.sha256, file.bytes


def _checked(index: Index) -> Index:
    """The same index, its values held against the schema: structs made in Python are not."""
    return decode(encode(index), "the index")


def _seconds(when: datetime) -> datetime:
    return when.astimezone(UTC).replace(microsecond=0)


def _version(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion as error:
        raise ShedError(f"'{version}' is no version", hint="as in 1.2.3", code=Exit.USAGE) from error


def _missing(message: str, there: Mapping[str, Any]) -> ShedError:
    return ShedError(message, hint=f"there is: {', '.join(sorted(there)) or 'nothing'}", code=Exit.NOT_FOUND)


def _refused(message: str, hint: str) -> ShedError:
    return ShedError(message, hint=hint, code=Exit.REFUSED)
