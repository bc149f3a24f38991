"""The rules that are asked of images at AWS, with the ids that the rules of images have everywhere (docs/images.md)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from trainshed_provision.architecture import AMD64, ARCHITECTURES
from trainshed_provision.assertions import Result
from trainshed_provision.publish.aws.release import Seen
from trainshed_provision.publish.aws.spec import MANAGED_BY, NAME, boot_modes

TAGS = ("Product", "Version", "Architecture", "Commit", "Tree", "Disk")


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What it should be. shared: who may launch it, beside the account. lonely: our snapshots that no image has, by region."""

    shared: frozenset[str]
    lonely: Mapping[str, tuple[str, ...]]
    deprecated: bool = True


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One region's image among those of all regions."""

    here: Seen
    all: tuple[Seen, ...]
    expected: Expected


Check = Callable[[Asked], tuple[str, str]]  # found and wanted: the rule holds when they are the same


def results(seen: Mapping[str, Seen], expected: Expected) -> list[Result]:
    """Every rule of every region."""
    asked = [Asked(here=here, all=tuple(seen.values()), expected=expected) for here in seen.values()]
    return [_ask(rule, title, check, one) for one in asked for rule, (title, check) in RULES.items()]


def _ask(rule: str, title: str, check: Check, asked: Asked) -> Result:
    found, wanted = check(asked)
    file = f"{asked.here.region}/{asked.here.id}"
    return Result(rule=rule, title=title, where="C", ok=found == wanted, file=file, found=found, wanted=wanted)


def _same_content(asked: Asked) -> tuple[str, str]:
    first = asked.all[0]
    return tuple(f"{_root(one).get('VolumeSize')} GiB of {one.tags.get('Disk')}" for one in (asked.here, first))  # type: ignore[return-value]  # two


def _unencrypted(asked: Asked) -> tuple[str, str]:
    mappings = asked.here.image["BlockDeviceMappings"]
    found = [str(bool(mapping["Ebs"].get("Encrypted"))) for mapping in mappings if "Ebs" in mapping]
    return _list([*found, str(bool(asked.here.snapshot.get("Encrypted")))]), "False"


def _imds(asked: Asked) -> tuple[str, str]:
    return str(asked.here.image.get("ImdsSupport")), "v2.0"


def _attributes(asked: Asked) -> tuple[str, str]:
    image, root = asked.here.image, _root(asked.here)
    mode = str(image.get("BootMode"))
    found = [
        image.get("EnaSupport"),
        image.get("SriovNetSupport"),
        root.get("VolumeType"),
        root.get("DeleteOnTermination"),
    ]
    modes = next(boot_modes(one.name) for one in ARCHITECTURES.values() if one.ec2 == image["Architecture"])
    wanted = [True, "simple", "gp3", True, mode if mode in modes else modes[0]]
    return ", ".join(map(str, [*found, mode])), ", ".join(map(str, wanted))


def _tpm(asked: Asked) -> tuple[str, str]:
    image = asked.here.image
    fits = image.get("BootMode") == "uefi" and image["Architecture"] == AMD64.ec2
    found = str(image.get("TpmSupport") or "none")
    return found, found if fits else "none"


def _permissions(asked: Asked) -> tuple[str, str]:
    found = f"image: {_list(asked.here.shared)}; snapshot: {_list(asked.here.snapshot_shared)}"
    return found, f"image: {_list(asked.expected.shared)}; snapshot: nobody"


def _deprecation(asked: Asked) -> tuple[str, str]:
    found = "set" if asked.here.image.get("DeprecationTime") else "never"
    return found, "set" if asked.expected.deprecated else found


def _tags(asked: Asked) -> tuple[str, str]:
    missing = [tag for tag in TAGS if not asked.here.tags.get(tag)]
    if asked.here.tags.get("ManagedBy") != MANAGED_BY:
        missing.append("ManagedBy")
    return f"without {_list(missing)}", "without nobody"


def _no_lonely_snapshots(asked: Asked) -> tuple[str, str]:
    return _list(asked.expected.lonely.get(asked.here.region, ())), "nobody"


def _names(asked: Asked) -> tuple[str, str]:
    here, tags = asked.here, asked.here.tags
    match = NAME.fullmatch(str(here.image.get("Name", "")))
    parsed = match.groupdict() if match else {}
    fits = parsed == {
        "version": tags.get("Version"), "architecture": tags.get("Architecture"), "disk": tags.get("Disk", "")[:12],
    }  # fmt: skip
    found = [f"{'' if fits else 'un'}fit name", here.named or "no parameter", *here.twins, str(here.image["State"])]
    return ", ".join(found), f"fit name, {here.id}, available"


def _root(seen: Seen) -> dict[str, object]:
    mappings = seen.image["BlockDeviceMappings"]
    return dict(mappings[0].get("Ebs", {})) if mappings else {}


def _list(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "nobody"


RULES: dict[str, tuple[str, Check]] = {
    "W01": ("the same content in all regions", _same_content),
    "W02": ("nothing is encrypted", _unencrypted),
    "W03": ("instances ask for metadata with a token", _imds),
    "W04": ("ENA, SR-IOV, gp3, removed with the machine, UEFI", _attributes),
    "W05": ("a TPM only with UEFI on x86_64", _tpm),
    "W06": ("launched by whom it is meant for", _permissions),
    "W07": ("deprecated some day", _deprecation),
    "W08": ("tagged", _tags),
    "W09": ("no snapshot without an image", _no_lonely_snapshots),
    "W10": ("named so that it is found", _names),
}
OF_THE_IMAGE = ("W01", "W02", "W03", "W04", "W05", "W08", "W10")  # the others may change after a promotion
