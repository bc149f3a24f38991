"""The SBOM as CycloneDX 1.6 in JSON, by the owners' own library: it orders and escapes as the standard asks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from trainshed_provision.papers.packages import Package
from trainshed_provision.papers.subject import Subject


def document(subject: Subject, packages: Sequence[Package]) -> str:
    """The text of the document; the same subject and packages give the same bytes."""
    root = Component(
        type=ComponentType.OPERATING_SYSTEM,
        name=subject.name,
        version=subject.version,
        bom_ref=subject.name,
        hashes=[_sha256(subject.digest)],
    )
    made = Bom(serial_number=subject.uuid())
    made.metadata.timestamp = datetime.fromtimestamp(subject.epoch, UTC)
    made.metadata.component = root
    tool = Component(type=ComponentType.APPLICATION, group="trainshed", name="shed", version=subject.version)
    made.metadata.tools = ToolRepository(components=[tool])
    components = {p.id: _component(p, subject.distro) for p in packages}
    made.components.update(components.values())
    made.register_dependency(root, components.values())
    for package in packages:
        made.register_dependency(components[package.id], [components[d] for d in package.depends])
    return json.dumps(json.loads(JsonV1Dot6(made).output_as_string()), indent=1) + "\n"


def _component(package: Package, distro: str) -> Component:
    purl = package.purl(distro)
    facts = {"trainshed:files": str(package.files), "trainshed:files:verification": package.verification}
    if package.disk_only:
        facts["trainshed:only-in"] = "disk images"
    return Component(
        type=ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        bom_ref=purl,
        purl=PackageURL.from_string(purl),
        licenses=[LicenseExpression(package.licence)] if package.licence else [],
        hashes=[_sha256(package.sha256)] if package.sha256 else [],
        properties=[Property(name=name, value=value) for name, value in facts.items()],
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
