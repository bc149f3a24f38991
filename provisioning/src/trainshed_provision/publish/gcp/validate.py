"""The rules that are asked of images in the cloud, with the ids that the rules of images have everywhere (docs/images.md)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.assertions import Result
from trainshed_provision.publish.gcp.deprecate import newest
from trainshed_provision.publish.gcp.images import (
    CANDIDATE,
    CONTENT,
    VERSION,
    Image,
    features_of,
)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One image and what is around it. resolved: by family, what Google gives for it; shared: members of the image's role."""

    image: Image
    ours: tuple[Image, ...]
    resolved: Mapping[str, str | None]
    shared: frozenset[str]
    expected: frozenset[str]


Check = Callable[[Seen], tuple[bool, str, str]]


def results(seen: Seen) -> list[Result]:
    """Every rule, asked."""
    return [_ask(rule, title, check, seen) for rule, (title, check) in RULES.items()]


def _ask(rule: str, title: str, check: Check, seen: Seen) -> Result:
    ok, found, wanted = check(seen)
    return Result(rule=rule, title=title, where="C", ok=ok, file=seen.image.name, found=found, wanted=wanted)


def _unpacked(seen: Seen) -> tuple[bool, str, str]:
    return seen.image.status == "READY", seen.image.status, "READY"


def _features(seen: Seen) -> tuple[bool, str, str]:
    found, wanted = seen.image.features, frozenset(features_of(seen.image.architecture))
    return found == wanted, _list(found), _list(wanted)


def _uefi(seen: Seen) -> tuple[bool, str, str]:
    return "UEFI_COMPATIBLE" in seen.image.features, _list(seen.image.features), "UEFI_COMPATIBLE among them"


def _described(seen: Seen) -> tuple[bool, str, str]:
    image = seen.image
    commit = image.labels.get("commit", "")
    missing = [
        what
        for what, there in {
            "architecture": image.architecture in {one.gce for one in ARCHITECTURES.values()},
            "family": bool(image.family),
            "labels": image.ours and bool(image.labels.get(CONTENT)) and bool(image.labels.get(VERSION)),
            "commit in the description": bool(commit) and commit in image.description,
            "one storage location": len(image.locations) == 1,
        }.items()
        if not there
    ]
    return (
        not missing,
        f"without {', '.join(missing)}" if missing else "all",
        "architecture, family, labels, commit, location",
    )


def _one_in_family(seen: Seen) -> tuple[bool, str, str]:
    family = seen.image.family.removesuffix(CANDIDATE)
    members = [image for image in seen.ours if image.family == family]
    active = [image.name for image in members if image.state == "ACTIVE" and image.status == "READY"]
    first = newest(members)
    if not active:  # nothing promoted yet, or all of it withdrawn: then the family has to resolve to nothing
        return seen.resolved.get(family) is None, str(seen.resolved.get(family)), "nothing"
    wanted = first.name if first else ""
    return active == [wanted] == [seen.resolved.get(family)], f"{_list(active)}; {seen.resolved.get(family)}", wanted


def _dated(seen: Seen) -> tuple[bool, str, str]:
    image = seen.image
    if image.state == "ACTIVE":
        return True, "ACTIVE", "dates once it is not"
    found = (
        f"{image.state}, obsolete {image.obsolete}, deleted {image.deleted}, instead {image.replacement or 'nothing'}"
    )
    alone = image.revoked and not any(i.family == image.family and i.name != image.name for i in seen.ours)
    ok = image.obsolete is not None and image.deleted is not None and (bool(image.replacement) or alone)
    return ok, found, "both dates and a replacement"


def _shared(seen: Seen) -> tuple[bool, str, str]:
    return seen.shared == seen.expected, _list(seen.shared), _list(seen.expected)


def _list(words: Collection[str] | Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "nobody"


RULES: dict[str, tuple[str, Check]] = {
    "G01": ("Google took the archive", _unpacked),
    "G02": ("guest OS features are those that were booted, all of them and no other", _features),
    "G03": ("UEFI_COMPATIBLE is stated", _uefi),
    "G04": ("architecture, family, labels, commit and storage location are set", _described),
    "G05": ("one active image in the family, and the family resolves to it", _one_in_family),
    "G06": ("an image that is not active has dates and a replacement", _dated),
    "G07": ("shared with whom it should be, and nobody else", _shared),
}
