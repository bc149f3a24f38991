"""The SBOM as SPDX 2.3 in JSON.

Plain dictionaries: the document is a dozen fields, and spdx-tools, which writes them too, brings an RDF library along. In the
tests spdx-tools judges what is written here.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from trainshed_provision.papers import licences
from trainshed_provision.papers.packages import Package
from trainshed_provision.papers.subject import Subject

NONE = "NOASSERTION"


def document(subject: Subject, packages: Sequence[Package]) -> str:
    """The text of the document; the same subject and packages give the same bytes."""
    ids = {p.id: _id(p.id) for p in packages}
    root = _id(subject.name)
    related = [
        _relation("SPDXRef-DOCUMENT", "DESCRIBES", root),
        *(_relation(root, "CONTAINS", ids[p.id]) for p in packages),
        *(_relation(ids[p.id], "DEPENDS_ON", ids[d]) for p in packages for d in p.depends),
    ]
    made = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": subject.name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{subject.name}-{subject.uuid()}",
        "creationInfo": {
            "created": datetime.fromtimestamp(subject.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: Trainshed", f"Tool: shed-{subject.version}"],
        },
        "packages": [_subject(subject, root), *(_package(p, ids[p.id], subject.distro) for p in packages)],
        "relationships": related,
    }
    if references := licences.references(p.licence for p in packages):
        made["hasExtractedLicensingInfos"] = [
            {"licenseId": ref, "name": ref, "extractedText": "In usr/share/doc/<package>/copyright of the image."}
            for ref in references
        ]
    return json.dumps(made, indent=1) + "\n"


def _subject(subject: Subject, root: str) -> dict[str, Any]:
    return {
        "SPDXID": root,
        "name": subject.name,
        "versionInfo": subject.version,
        "supplier": "Organization: Trainshed",
        "downloadLocation": NONE,
        "filesAnalyzed": False,
        "checksums": [{"algorithm": "SHA256", "checksumValue": subject.digest}],
        "licenseConcluded": NONE,
        "licenseDeclared": NONE,
        "copyrightText": NONE,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "comment": "The checksum is that of the root file tree, the same in every format.",
    }


def _package(package: Package, spdx_id: str, distro: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "SPDXID": spdx_id,
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": NONE,
        "filesAnalyzed": bool(package.files),
        "licenseConcluded": NONE,
        "licenseDeclared": package.licence or NONE,
        "copyrightText": NONE,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package.purl(distro)}
        ],
    }
    if package.files:
        made["packageVerificationCode"] = {"packageVerificationCodeValue": package.verification}
    if package.sha256:
        made["checksums"] = [{"algorithm": "SHA256", "checksumValue": package.sha256}]
    if package.source:
        made["sourceInfo"] = f"built from: {package.source} {package.source_version}"
    if package.disk_only:
        made["comment"] = "In disk images, not in the container image."
    return made


def _relation(one: str, relation: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": relation, "relatedSpdxElement": other}


def _id(name: str) -> str:
    """SPDX ids have letters, digits, dots and dashes."""
    return "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", lambda m: "-" if m[0] in "/_" else f"-{ord(m[0]):x}-", name)
