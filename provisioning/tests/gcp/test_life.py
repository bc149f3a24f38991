"""What becomes of published images: promoted, rolled back, shared, aged, withdrawn, removed, and asked the rules."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from trainshed_provision.commands.gcp import options as common
from trainshed_provision.errors import Exit
from trainshed_provision.papers import index, signatures
from trainshed_provision.papers.signatures import SecretKey
from trainshed_provision.publish.gcp import collect, deprecate, tarball
from trainshed_provision.publish.gcp.images import Image, State
from trainshed_provision.publish.gcp.steps import Ages, Step
from trainshed_provision.testing.command import NAME, PART, Shed
from trainshed_provision.testing.google import BUCKET, PROJECT
from trainshed_provision.testing.loopback import Request
from trainshed_provision.testing.victim import kill_at

FAMILY = "trainshed-amd64"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = SecretKey(b"12345678", bytes(range(32)))
DOCS = Path(__file__).parents[3] / "docs" / "publishing-gcp.md"


@pytest.fixture(autouse=True)
def one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "PART_BYTES", 16 << 20)


def states(shed: Shed) -> dict[str, str]:
    return {name: image.get("deprecated", {}).get("state", "ACTIVE") for name, image in shed.images.items()}


def resolved(shed: Shed) -> str:
    """What somebody gets who launches the family."""
    found: str = shed.google.compute._family(FAMILY, Request("GET", "", {}, {}, lambda most: b"")).body["name"]
    return found


def test_a_family_resolves_to_what_was_promoted(shed: Shed) -> None:
    shed.release("a")
    shed.publish("--name", "b")
    assert resolved(shed) == "a"  # b was published, and nobody gets it yet
    told = shed.promote("b")
    assert told["family"] == FAMILY
    assert resolved(shed) == "b"
    assert states(shed) == {"a": "DEPRECATED", "b": "ACTIVE"}
    assert shed.images["a"]["deprecated"]["replacement"] == shed.images["b"]["selfLink"]
    assert shed.promote("b")["steps"] == []


def test_rolling_back_is_promoting_the_former(shed: Shed) -> None:
    shed.release("a", "b", "c")
    shed.promote("b")
    assert resolved(shed) == "b"
    assert states(shed) == {"a": "DEPRECATED", "b": "ACTIVE", "c": "DEPRECATED"}
    assert shed.images["c"]["deprecated"]["replacement"] == shed.images["b"]["selfLink"]
    assert "deprecated" not in shed.images["b"]
    shed.promote("c")
    assert resolved(shed) == "c"


def test_at_no_moment_a_family_resolves_to_nothing(shed: Shed) -> None:
    shed.release("a", "b")
    seen: list[str] = []
    for method in ("compute.images.deprecate", "compute.images.patch", "compute.globalOperations.get"):
        shed.google.before(method, lambda request: seen.append(resolved(shed)), times=99)
    shed.promote("a")
    shed.release("c")
    shed("revoke", "gcp", "c", "--reason", "broken")
    assert set(seen) == {"a", "b", "c"}


def test_an_image_that_was_rolled_back_does_not_come_again_by_itself(shed: Shed) -> None:
    shed.release("a", "b")
    shed.promote("a")
    told = shed("revoke", "gcp", "--json", "a", "--reason", "broken too")
    assert told["family_resolves_to"] is None


@pytest.mark.faults
@pytest.mark.parametrize("skip", range(4))
def test_a_promotion_that_was_killed_goes_on(shed: Shed, skip: int) -> None:
    shed.release("a")
    shed.publish("--name", "b")
    words = ["promote", "gcp", "b", "--tested", str(shed.report())]
    kill_at(shed.google, "compute.globalOperations.get", words, shed.environment, part_bytes=PART, skip=skip)
    shed(*words)
    assert resolved(shed) == "b"
    assert states(shed) == {"a": "DEPRECATED", "b": "ACTIVE"}


def test_a_version_names_its_image_and_a_name_does_too(shed: Shed) -> None:
    shed.publish()
    assert shed.promote("0.1.0")["image"] == NAME
    shed("validate", "gcp", "0.1.0")
    shed("validate", "gcp", NAME)
    shed.promote("0.2.0", code=Exit.NOT_FOUND)
    assert "no image of version 0.2.0" in shed.err
    shed.promote("Trainshed", code=Exit.USAGE)
    shed.publish("--name", "second")
    shed("revoke", "gcp", "0.1.0", "--reason", "broken", code=Exit.CONFLICT)
    assert f"version 0.1.0 has several images: {NAME}, second" in shed.err
    shed("revoke", "gcp", "second", "--reason", "broken")
    shed.images.pop("second")
    assert shed("revoke", "gcp", "--json", "0.1.0", "--reason", "broken")["image"] == NAME


def test_a_dry_promotion_changes_nothing(shed: Shed) -> None:
    shed.release("a")
    shed.publish("--name", "b")
    told = shed.promote("b", "--dry-run", "--share-with", "user:ann@example.org")
    assert len(told["steps"]) == 3
    assert (resolved(shed), states(shed)) == ("a", {"a": "ACTIVE", "b": "ACTIVE"})
    assert shed.google.compute.policies == {}


def test_what_does_not_boot_everywhere_is_not_promoted(shed: Shed) -> None:
    shed.publish("--name", "b")
    shed.images["b"]["guestOsFeatures"] = [{"type": "GVNIC"}]
    shed.promote("b", code=Exit.UNHEALTHY)
    assert "G02" in shed.err
    shed.images["b"]["status"] = "FAILED"
    shed.promote("b", code=Exit.UNHEALTHY)
    assert "G01" in shed.err


def test_an_image_of_somebody_else_is_not_touched(shed: Shed) -> None:
    shed.release("a")
    del shed.images["a"]["labels"]["managed-by"]
    for words in (["promote", "gcp", "a"], ["revoke", "gcp", "a", "--reason", "x"]):
        shed(*words, code=Exit.CONFLICT)
        assert "was not made by shed" in shed.err
    shed.promote("none-such", code=Exit.NOT_FOUND)
    assert "no image 'none-such'" in shed.err
    assert shed("gc", "gcp", "--json", "--delete")["steps"] == []


def test_what_was_not_tested_is_not_promoted(shed: Shed, tmp_path: Path) -> None:
    shed.publish("--name", "a")
    shed("promote", "gcp", "a", code=Exit.USAGE)
    assert "--tested" in shed.err
    shed("promote", "gcp", "a", "--tested", str(shed.report(commit="another")), code=Exit.UNHEALTHY)
    assert "is not of a machine of commit 0123456789ab" in shed.err
    report = shed.report()
    report.write_text(report.read_text().replace("true", "false"))
    shed("promote", "gcp", "a", "--tested", str(report), code=Exit.UNHEALTHY)
    assert "does not hold I11" in shed.err
    for content in ("{", "{}", "[]", "[1]"):
        report.write_text(content)
        shed("promote", "gcp", "a", "--tested", str(report), code=Exit.UNHEALTHY)
        assert "is not what shed check --json prints" in shed.err
    shed("promote", "gcp", "a", "--tested", str(tmp_path / "absent"), code=Exit.NOT_FOUND)
    assert shed.images["a"]["family"].endswith("-candidate")
    shed.release("b")
    shed.promote("a")
    shed("promote", "gcp", "b")  # it was tested when it was promoted first


# --- the signed index ---


@pytest.fixture
def listed(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index with release 0.1.0, and its key in the environment."""
    body = KEY.id + KEY.seed + KEY.public.key + bytes(32)
    text = b64encode(signatures.PLAIN + signatures.OPEN + signatures.CHECKSUM + bytes(48) + body).decode()
    (shed.image.parent / "signing.key").touch(mode=0o600)
    (shed.image.parent / "signing.key").write_text(f"untrusted comment: minisign\n{text}\n")
    monkeypatch.setenv(signatures.KEY_VARIABLE, str(shed.image.parent / "signing.key"))
    manifest = json.loads((shed.image.parent / "trainshed-0.1.0-amd64.manifest.json").read_text())
    path = shed.image.parent / "index.json"
    index.edit(path, lambda old: index.add_release(old, manifest, now=NOW), key=KEY)
    return path


def test_what_is_published_and_withdrawn_is_in_the_signed_index(shed: Shed, listed: Path) -> None:
    shed.publish("--index", str(listed), "--dry-run")
    assert index.read(listed, keys=(KEY.public,)).releases["0.1.0"].builds["amd64"].gcp is None
    shed.publish("--index", str(listed))
    image = index.read(listed, keys=(KEY.public,)).releases["0.1.0"].builds["amd64"].gcp
    assert image == index.GcpImage(project=PROJECT, image=NAME, family=FAMILY)
    words = ["revoke", "gcp", NAME, "--reason", "broken", "--index", str(listed)]
    shed(*words, "--dry-run")
    assert index.read(listed, keys=(KEY.public,)).releases["0.1.0"].revoked is None
    shed(*words)
    revoked = index.read(listed, keys=(KEY.public,)).releases["0.1.0"].revoked
    assert revoked is not None
    assert revoked.reason == "broken"
    shed.publish("--name", "again", "--index", str(listed), code=Exit.REFUSED)
    assert "0.1.0 was revoked" in shed.err


def test_an_index_that_is_not_to_be_believed_ends_it_before_anything_is_sent(shed: Shed, listed: Path) -> None:
    good = listed.read_bytes()
    listed.write_bytes(good.replace(b"0.1.0", b"0.1.1"))
    shed.publish("--index", str(listed), code=Exit.REFUSED)
    assert str(listed) in shed.err
    listed.write_bytes(good[:-9])
    shed.publish("--index", str(listed), code=Exit.REFUSED)
    assert str(listed) in shed.err
    listed.write_bytes(good)
    shed("revoke", "gcp", "--reason", "x", NAME, "--index", str(listed), code=Exit.NOT_FOUND)
    assert {call.rsplit(".", 1)[1] for call in shed.google.calls} <= {"get", "list"}


# --- sharing ---


def test_an_image_is_shared_and_others_keep_their_roles(shed: Shed) -> None:
    shed.publish("--name", "a")
    admin = {"role": "roles/compute.admin", "members": ["group:ops@example.org"]}
    shed.google.compute.policies["a"] = {"etag": "AAAA", "bindings": [admin]}
    shed.promote("a", "--share-with", "group:ml@example.org", "--share-with", "allAuthenticatedUsers")
    assert shed.google.compute.policies["a"]["bindings"] == [
        admin,
        {"role": "roles/compute.imageUser", "members": ["allAuthenticatedUsers", "group:ml@example.org"]},
    ]
    shed("validate", "gcp", "a", "--shared-with", "group:ml@example.org", "--shared-with", "allAuthenticatedUsers")
    shed("validate", "gcp", "a", code=Exit.UNHEALTHY)  # more than nobody
    assert shed.promote("a", "--share-with", "group:ml@example.org")["steps"] == []


def test_a_policy_that_changes_meanwhile_is_read_again(shed: Shed) -> None:
    shed.publish("--name", "a")
    other = {"role": "roles/compute.imageUser", "members": ["user:late@example.org"]}

    def meanwhile(request: Request) -> None:
        shed.google.compute.policies["a"] = {"etag": "BBBB", "bindings": [other]}

    shed.google.before("compute.images.setIamPolicy", meanwhile)
    shed.promote("a", "--share-with", "user:ann@example.org")
    [binding] = shed.google.compute.policies["a"]["bindings"]
    assert binding["members"] == ["user:ann@example.org", "user:late@example.org"]


@pytest.mark.parametrize("member", ["ann@example.org", "allUsers", "user:", "user:ann"])
def test_a_member_google_would_refuse_is_a_usage_error(shed: Shed, member: str) -> None:
    shed.promote("a", "--share-with", member, code=Exit.USAGE)
    assert f"'{member}'" in shed.err
    assert shed.google.calls == []


# --- withdrawn ---


def test_a_revoked_image_launches_no_more_and_the_former_takes_its_place(shed: Shed) -> None:
    shed.release("a", "b")
    shed.promote("b", "--share-with", "allAuthenticatedUsers")
    told = shed("revoke", "gcp", "--json", "b", "--reason", "keys are the same everywhere")
    assert told["family_resolves_to"] == resolved(shed) == "a"
    assert states(shed) == {"a": "ACTIVE", "b": "OBSOLETE"}
    assert shed.images["b"]["deprecated"]["replacement"] == shed.images["a"]["selfLink"]
    assert "keys are the same everywhere" in shed.images["b"]["description"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", shed.images["b"]["labels"]["revoked"])
    assert shed.google.compute.policies["b"].get("bindings", []) == []
    shed.promote("b", code=Exit.REFUSED)
    assert "keys are the same everywhere" in shed.err
    assert shed("revoke", "gcp", "--json", "b", "--reason", "again")["steps"] == []
    shed("validate", "gcp", "b")


@pytest.mark.faults
@pytest.mark.parametrize("skip", [0, 3, 6, 9, 11])
def test_a_withdrawal_that_was_killed_goes_on(shed: Shed, skip: int) -> None:
    shed.release("a", "b")
    words = ["revoke", "gcp", "b", "--reason", "broken"]
    kill_at(shed.google, "compute.globalOperations.get", words, shed.environment, part_bytes=PART, skip=skip)
    shed(*words)
    assert states(shed) == {"a": "ACTIVE", "b": "OBSOLETE"}
    assert "revoked" in shed.images["b"]["labels"]
    assert shed.images["b"]["description"].count("REVOKED") == 1


def test_the_only_image_can_be_withdrawn(shed: Shed) -> None:
    shed.release("a")
    told = shed("revoke", "gcp", "--json", "a", "--reason", "broken")
    assert told["family_resolves_to"] is None
    shed("validate", "gcp")


def test_a_reason_is_needed(shed: Shed) -> None:
    shed("revoke", "gcp", "a", "--reason", " ", code=Exit.USAGE)
    assert shed.google.calls == []


# --- aged ---


def image(name: str, state: State = "ACTIVE", *, age: int = 0, family: str = FAMILY, **more: Any) -> Image:
    """age: days since it was made."""
    link = f"https://www.googleapis.com/compute/v1/projects/p/global/images/{name}"
    created, labels = NOW - timedelta(days=age), {"managed-by": "trainshed"} | more.pop("labels", {})
    return Image(name=name, family=family, status=more.pop("status", "READY"), state=state, created=created, link=link,
                 labels=labels, **more)  # fmt: skip


def after(days: int) -> datetime:
    return NOW + timedelta(days=days)


def moves(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.on: step.body["state"] for step in steps}


DATES: dict[str, Any] = {"obsolete": after(-1), "deleted": after(89)}
AGING = {
    "superseded": ([image("old", age=9), image("new")], {"old": "DEPRECATED"}),
    "not yet": ([image("old", "DEPRECATED", obsolete=after(1), deleted=after(9)), image("new")], {}),
    "obsolete": ([image("old", "DEPRECATED", **DATES), image("new")], {"old": "OBSOLETE"}),
    "deleted": ([image("old", "OBSOLETE", obsolete=after(-9), deleted=after(-1)), image("new")], {"old": "DELETED"}),
    "one state a run": (
        [image("old", "DEPRECATED", obsolete=after(-9), deleted=after(-9)), image("new")],
        {"old": "OBSOLETE"},
    ),
    "deleted stays": ([image("old", "DELETED", obsolete=after(-9), deleted=after(-9)), image("new")], {}),
    "dates are missing": ([image("old", "DEPRECATED"), image("new")], {"old": "DEPRECATED"}),
    "the newest, however old": ([image("new", age=9999)], {}),
    "the newest, all deprecated": (
        [image("old", "DEPRECATED", age=9, **DATES), image("new", "DEPRECATED", **DATES)],
        {"old": "OBSOLETE"},
    ),
    "newer than the one in use": ([image("good", age=9), image("bad", "DEPRECATED", **DATES)], {"bad": "OBSOLETE"}),
    "two families": ([image("a", age=9), image("b", family="other")], {}),
    "no family": ([image("a", age=9, family=""), image("b", family="")], {}),
    "half made": ([image("old", age=9, status="PENDING"), image("new")], {}),
    "revoked is no newest": (
        [image("new", "OBSOLETE", obsolete=after(-9), deleted=after(-1), labels={"revoked": "x"})],
        {"new": "DELETED"},
    ),
}


@pytest.mark.parametrize(("there", "expected"), AGING.values(), ids=AGING)
def test_how_images_age(there: list[Image], expected: dict[str, str]) -> None:
    assert moves(deprecate.plan(there, now=NOW, ages=Ages())) == expected


def test_dates_are_announced_once_and_kept_to(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two years of the job, on the stand-in."""
    shed.release("a", "b")
    today = datetime.now(UTC)
    announced = {key: shed.images["a"]["deprecated"][key] for key in ("obsolete", "deleted")}
    history: dict[str, int] = {}
    for day in range(0, 700, 30):
        monkeypatch.setattr(common, "now", lambda day=day: today + timedelta(days=day))
        shed("deprecate", "gcp", "--apply")
        shed("gc", "gcp", "--delete")
        history.setdefault(states(shed).get("a", "gone"), day)
        assert {k: v for k, v in shed.images.get("a", {}).get("deprecated", {}).items() if k in announced} in (
            announced,
            {},
        )
    assert history == {"DEPRECATED": 0, "OBSOLETE": 90, "DELETED": 180, "gone": 210}
    assert states(shed) == {"b": "ACTIVE"}


@pytest.mark.parametrize("days", [("-1", "180"), ("90", "89")])
def test_ages_that_make_no_sense_are_a_usage_error(shed: Shed, days: tuple[str, str]) -> None:
    shed("deprecate", "gcp", f"--obsolete-after={days[0]}", f"--deleted-after={days[1]}", "--apply", code=Exit.USAGE)
    assert "as many or more" in shed.err
    assert not any(call.endswith("deprecate") for call in shed.google.calls)


def test_the_job_says_first_what_it_would_do(shed: Shed) -> None:
    shed.release("a", "b")
    del shed.images["a"]["deprecated"]
    told = shed("deprecate", "gcp", "--json")
    assert told["dry_run"]
    assert len(told["steps"]) == 1
    assert states(shed) == {"a": "ACTIVE", "b": "ACTIVE"}
    assert "would a: ACTIVE -> DEPRECATED" in shed.err
    shed("deprecate", "gcp", "--apply")
    assert states(shed) == {"a": "DEPRECATED", "b": "ACTIVE"}


# --- removed ---


def test_only_what_is_ours_and_old_is_removed() -> None:
    gone: dict[str, Any] = {"obsolete": after(-99), "deleted": after(-8)}
    there = [
        image("deleted long ago", "DELETED", **gone),
        image("deleted yesterday", "DELETED", obsolete=after(-99), deleted=after(-1)),
        image("obsolete", "OBSOLETE", **gone),
        image("failed", age=2, status="FAILED"),
        image("failing now", status="FAILED"),
    ]
    foreign = image("foreign", "DELETED", labels={"managed-by": "somebody"}, **gone)
    steps = collect.plan([*there, foreign], [], grace=timedelta(days=7), now=NOW)
    assert [step.on for step in steps] == ["deleted long ago", "failed"]


@pytest.mark.faults
def test_what_a_killed_publication_left_is_removed(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "PART_BYTES", PART)
    kill_at(shed.google, "storage.objects.compose", shed.words, shed.environment, part_bytes=PART)
    shed.google.storage.put(BUCKET, "trainshed/temporary/by-hand", b"not ours")
    shed.google.storage.put(BUCKET, "elsewhere", b"ours", {"managed-by": "trainshed"})
    words = ["gc", "gcp", "--json", "--bucket", BUCKET]
    assert shed(*words, "--delete")["steps"] == []  # somebody may be at work on it
    monkeypatch.setattr(common, "now", lambda: datetime.now(UTC) + timedelta(days=8))
    assert len(shed(*words)["steps"]) == 5
    assert len(shed.objects) == 7  # without --delete
    told = shed(*words, "--delete")
    assert told["dollars_a_month"] >= 0
    assert set(shed.objects) == {"trainshed/temporary/by-hand", "elsewhere"}


# --- rules ---


BREAK: dict[str, Callable[[Shed], object]] = {
    "G01": lambda shed: shed.images["b"].update(status="FAILED"),
    "G02": lambda shed: shed.images["b"]["guestOsFeatures"].append({"type": "TDX_CAPABLE"}),
    "G03": lambda shed: shed.images["b"]["guestOsFeatures"].pop(0),
    "G04": lambda shed: shed.images["b"].pop("architecture"),
    "G05": lambda shed: shed.images["a"].pop("deprecated"),
    "G06": lambda shed: shed.images["a"]["deprecated"].pop("obsolete"),
    "G07": lambda shed: shed.google.compute.policies.update(
        b={"etag": "AAAA", "bindings": [{"role": "roles/compute.imageUser", "members": ["allAuthenticatedUsers"]}]}
    ),
}


def test_what_is_published_meets_the_rules(shed: Shed) -> None:
    shed.release("a", "b")
    results = shed("validate", "gcp", "--json")
    assert {result["rule"] for result in results} == set(BREAK)
    assert all(result["ok"] for result in results), results


@pytest.mark.parametrize("rule", BREAK)
def test_each_rule_can_fail(shed: Shed, rule: str) -> None:
    shed.release("a", "b")
    BREAK[rule](shed)
    failed = [r for r in shed("validate", "gcp", "--json", code=Exit.UNHEALTHY) if not r["ok"]]
    assert rule in {result["rule"] for result in failed}
    assert all(result["found"] and result["wanted"] for result in failed)


# --- rights ---


def test_the_documented_role_is_all_that_is_needed_and_no_more(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole life of images with the permissions of the documentation; each of them is asked for."""
    listed = re.findall(r"^  - ((?:compute|storage)\.\w+\.\w+)$", DOCS.read_text(), flags=re.MULTILINE)
    assert len(listed) == len(set(listed))
    shed.google.granted = frozenset(listed)
    monkeypatch.setattr(tarball, "PART_BYTES", PART)
    shed.release("a", NAME)
    shed.promote(NAME, "--share-with", "allAuthenticatedUsers")
    shed("validate", "gcp", NAME, "--shared-with", "allAuthenticatedUsers")
    shed("revoke", "gcp", NAME, "--reason", "broken")
    monkeypatch.setattr(common, "now", lambda: datetime.now(UTC) + timedelta(days=300))
    shed("deprecate", "gcp", "--apply")
    shed("gc", "gcp", "--delete", "--bucket", BUCKET)
    assert states(shed) == {"a": "ACTIVE"}
    assert shed.google.used == set(listed)
