"""Plans for a publication: the same wish and the same world give the same steps, and some worlds give a refusal."""

from dataclasses import replace
from typing import Any

import pytest

from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.publish.aws import prices
from trainshed_provision.publish.aws.plan import Observed, Place, Snapshot, plan
from trainshed_provision.publish.aws.spec import GIB, PublishSpec

SPEC = PublishSpec(
    version="0.1.0",
    commit="c" * 40,
    tree="d" * 64,
    sha256="e" * 64,
    size=4 * GIB,
    architecture="amd64",
    home="eu-central-1",
    regions=("eu-central-1", "us-east-1"),
)
NOWHERE = {region: Place() for region in SPEC.regions}
DONE = Place(image="ami-1", state="available", deprecation="2027-02-01", named="ami-1")
EVERYWHERE = dict.fromkeys(SPEC.regions, DONE)
UPLOADED = Snapshot(id="snap-1", state="completed")
PENDING = replace(UPLOADED, state="pending")
COPY = "us: copy, us: deprecate, us: name"
ALL = f"eu: upload, eu: register, eu: wait, eu: deprecate, eu: name, {COPY}"
REGISTER = ALL.replace("eu: upload, ", "")


def world(place: Place | None = None, **fields: Any) -> Observed:
    """The home region as told; the other one whole."""
    return Observed(places={**EVERYWHERE, SPEC.home: place or DONE}, **fields)


@pytest.mark.parametrize(
    ("spec", "observed", "expected"),
    [
        pytest.param(SPEC, Observed(places=NOWHERE), ALL, id="from nothing"),
        pytest.param(SPEC, Observed(places=NOWHERE, snapshot=PENDING), ALL, id="half uploaded"),
        pytest.param(SPEC, Observed(places=NOWHERE, snapshot=UPLOADED), REGISTER, id="uploaded"),
        pytest.param(SPEC, Observed(places=EVERYWHERE), "", id="done"),
        pytest.param(SPEC, world(replace(DONE, state="pending")), "eu: wait", id="registered, not available"),
        pytest.param(SPEC, world(replace(DONE, deprecation="")), "eu: deprecate", id="not deprecated"),
        pytest.param(SPEC, world(replace(DONE, named="")), "eu: name", id="not named"),
        pytest.param(
            replace(SPEC, accounts=frozenset({"111122223333"})),
            world(replace(DONE, shared=frozenset({"111122223333"}))),
            "us: share",
            id="shared in one region",
        ),
        pytest.param(replace(SPEC, deprecate_days=0), world(replace(DONE, deprecation="")), "", id="never deprecated"),
        pytest.param(SPEC, Observed(places={**EVERYWHERE, "us-east-1": Place()}), COPY, id="one region new"),
        pytest.param(
            SPEC,
            Observed(places={**EVERYWHERE, "us-east-1": Place(image="ami-9", state="failed")}),
            f"us: remove, {COPY}",
            id="a copy failed",
        ),
        pytest.param(
            SPEC,
            Observed(places=NOWHERE, snapshot=replace(UPLOADED, state="error")),
            f"eu: remove, {ALL}",
            id="given up by AWS",
        ),
        pytest.param(
            SPEC,
            Observed(places=NOWHERE, snapshot=replace(PENDING, parent="snap-0")),
            f"eu: remove, {ALL}",
            id="begun from blocks that we do not know",
        ),
        pytest.param(
            SPEC,
            Observed(places=NOWHERE, snapshot=replace(PENDING, parent="snap-0"), logged=frozenset({"snap-0"})),
            ALL,
            id="begun from blocks that we know",
        ),
        pytest.param(
            SPEC,
            Observed(places=NOWHERE, snapshot=replace(PENDING, skip_zeros=True)),
            f"eu: remove, {ALL}",
            id="begun without zeros, now wanted",
        ),
    ],
)
def test_steps(spec: PublishSpec, observed: Observed, expected: str) -> None:
    steps = plan(spec, observed)
    assert ", ".join(f"{step.region[:2]}: {step.do}" for step in steps) == expected
    assert steps == plan(spec, observed)


def test_an_upload_goes_on_from_the_parent_it_began_with() -> None:
    logged = frozenset({"snap-0", "snap-9"})
    begun = Observed(places=NOWHERE, snapshot=replace(PENDING, parent="snap-0"), logged=logged, parent="snap-9")
    assert plan(SPEC, begun)[0].what == "snap-0"
    assert plan(SPEC, replace(begun, snapshot=None))[0].what == "snap-9"


@pytest.mark.parametrize(
    ("spec", "observed", "code", "words"),
    [
        pytest.param(
            SPEC, world(replace(DONE, revoked="CVE")), Exit.REFUSED, "was revoked in eu-central-1: CVE", id="revoked"
        ),
        pytest.param(SPEC, world(replace(DONE, state="disabled")), Exit.REFUSED, "disabled", id="disabled"),
        pytest.param(
            SPEC, world(Place(named="ami-7")), Exit.CONFLICT, "another image of version 0.1.0", id="other bytes"
        ),
        pytest.param(
            replace(SPEC, public=True),
            world(replace(DONE, walled=True)),
            Exit.MISSING,
            "blocks public images",
            id="public images blocked",
        ),
        pytest.param(
            replace(SPEC, accounts=frozenset({"111122223333"})),
            world(Place(encrypts=True)),
            Exit.CONFLICT,
            "encrypts every snapshot in eu-central-1",
            id="shared and encrypted",
        ),
    ],
)
def test_refusals(spec: PublishSpec, observed: Observed, code: Exit, words: str) -> None:
    with pytest.raises(ShedError, match=words) as told:
        plan(spec, observed)
    assert told.value.code == code
    assert told.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"accounts": frozenset({"1234"})}, id="account"),
        pytest.param({"arns": frozenset({"arn:aws:iam::111122223333:root"})}, id="arn"),
        pytest.param({"architecture": "riscv64"}, id="architecture"),
        pytest.param({"architecture": "arm64"}, id="bios"),
        pytest.param({"architecture": "arm64", "boot_mode": "uefi", "tpm": True}, id="tpm on arm64"),
        pytest.param({"tpm": True}, id="tpm without uefi"),
        pytest.param({"size": 0}, id="empty disk"),
        pytest.param({"size": 17000 * GIB}, id="too large"),
        pytest.param({"public": True, "deprecate_days": 731}, id="deprecated too late"),
        pytest.param({"prefix": "/aws/mine"}, id="prefix of AWS"),
        pytest.param({"prefix": "no-slash"}, id="prefix"),
    ],
)
def test_what_ec2_would_refuse_is_refused_at_once(fields: dict[str, Any]) -> None:
    with pytest.raises(ShedError) as told:
        replace(SPEC, **fields)
    assert told.value.code == Exit.USAGE


def test_names_follow_from_the_bytes() -> None:
    assert SPEC.name == "trainshed-0.1.0-amd64-eeeeeeeeeeee"
    assert replace(SPEC, sha256="f" * 64).name != SPEC.name
    assert SPEC.parameter() == "/trainshed/amd64/0.1.0/image_id"
    assert (SPEC.gib, SPEC.blocks) == (4, 8192)
    assert replace(SPEC, size=4 * GIB + 1).gib == 5


def test_costs_are_estimates_by_the_regions_and_what_is_left_to_do() -> None:
    begun = prices.cost(SPEC, plan(SPEC, Observed(places=NOWHERE)))
    done = prices.cost(SPEC, ())
    assert done.monthly == begun.monthly == pytest.approx(4 * (0.054 + 0.05))
    assert done.once == 0
    assert begun.once == pytest.approx(8192 / 1000 * 0.006 + 4 * 0.02, abs=1e-3)
    assert "estimates" in begun.line(SPEC)
    assert prices.AS_OF in begun.line(SPEC)
