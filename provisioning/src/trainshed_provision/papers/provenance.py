"""How an image was made: an in-toto Statement with SLSA's provenance predicate, and the DSSE envelope that signs it.

What it says of the builder is what the bake knows of itself: it is a statement of whoever signs it, not of a build service.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.papers.packages import Package
from trainshed_provision.papers.signatures import PublicKey, SecretKey
from trainshed_provision.papers.subject import Subject

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
PAYLOAD = "application/vnd.in-toto+json"
BUILDER = "urn:trainshed:shed"  # whoever ran it: who that was, the signature says
BUILD_TYPE = "urn:trainshed:bake:1"  # docs/supply-chain.md says what its parameters mean


def statement(
    subject: Subject, manifest: Mapping[str, Any], packages: Sequence[Package], *, locks: Mapping[str, str]
) -> str:
    """The statement about every file of a manifest.

    locks: sha256 by path of the files in the checkout that pin what went in. Nothing in it depends on when or where the bake
    ran: started and finished are the commit's time, so that two bakes can be compared.
    """
    at = datetime.fromtimestamp(subject.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = {"name": "git", "digest": {"gitCommit": subject.commit}}
    pinned = [{"name": path, "digest": {"sha256": digest}} for path, digest in sorted(locks.items())]
    parts = [{"uri": p.purl(subject.distro), "digest": {"sha256": p.sha256}} for p in packages if p.sha256]
    made = {
        "_type": STATEMENT,
        "subject": [
            {"name": file["file"], "digest": {"sha256": file["sha256"]}}
            for file in sorted(manifest["files"].values(), key=lambda file: str(file["file"]))
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"formats": sorted(manifest["files"]), "architecture": subject.architecture},
                "internalParameters": {"SOURCE_DATE_EPOCH": subject.epoch, "treeDigest": {"sha256": subject.digest}},
                "resolvedDependencies": [source, *pinned, *parts],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"shed": subject.version}},
                "metadata": {"invocationId": str(subject.uuid()), "startedOn": at, "finishedOn": at},
            },
        },
    }
    return json.dumps(made, indent=1) + "\n"


def envelope(text: str, key: SecretKey) -> str:
    """The statement in a DSSE envelope: one line, as in-toto's `.intoto.jsonl` has it."""
    payload = text.encode()
    signature = {"keyid": key.public.name, "sig": _base64(key.sign(_encoded(payload)))}
    return json.dumps({"payloadType": PAYLOAD, "payload": _base64(payload), "signatures": [signature]}) + "\n"


def opened(text: str, keys: tuple[PublicKey, ...]) -> dict[str, Any]:
    """The statement of an envelope that one of `keys` signed. CORRUPT when it is none, REFUSED when nobody of them did."""
    try:
        sealed = json.loads(text)
        payload = base64.b64decode(sealed["payload"], validate=True)
        signatures = [base64.b64decode(each["sig"], validate=True) for each in sealed["signatures"]]
        kind = sealed["payloadType"]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ShedError("this is no DSSE envelope", hint="hand in the .intoto.jsonl", code=Exit.CORRUPT) from error
    if kind != PAYLOAD or not any(key.holds(each, _encoded(payload)) for key in keys for each in signatures):
        known = ", ".join(key.name for key in keys)
        raise ShedError(f"the provenance is not signed by {known}", hint="do not rely on it", code=Exit.REFUSED)
    made: dict[str, Any] = json.loads(payload)
    return made


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: type and content cannot be taken for one another."""
    return b" ".join([b"DSSEv1", str(len(PAYLOAD)).encode(), PAYLOAD.encode(), str(len(payload)).encode(), payload])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
