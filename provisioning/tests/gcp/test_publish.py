"""Publishing to Google: a real archive through the whole command against a stand-in that checks every request's form."""

import gzip
import io
import signal
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

import pytest
from google.oauth2.credentials import Credentials

from trainshed_provision.errors import Exit
from trainshed_provision.publish.gcp import api, bucket, tarball
from trainshed_provision.publish.gcp.api import COMPUTE_VARIABLE, STORAGE_VARIABLE
from trainshed_provision.testing import gcs
from trainshed_provision.testing.command import COMMIT, GIB, NAME, PART, Shed, pack, write_image
from trainshed_provision.testing.google import BUCKET
from trainshed_provision.testing.loopback import Cut, Request
from trainshed_provision.testing.victim import kill_at


def test_a_whole_publication(shed: Shed) -> None:
    told = shed.publish()

    made = shed.images[NAME]
    assert made["status"] == "READY"
    assert made["diskSizeGb"] == "1"
    assert made["family"] == "trainshed-amd64-candidate"
    assert made["architecture"] == "X86_64"
    assert {f["type"] for f in made["guestOsFeatures"]} == {
        "UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC", "SEV_CAPABLE", "SEV_LIVE_MIGRATABLE_V2",
    }  # fmt: skip
    assert made["storageLocations"] == ["us"]
    assert COMMIT in made["description"]
    digest = sha256(shed.image.read_bytes()).hexdigest()
    assert digest in made["description"]
    assert made["labels"] == {
        "managed-by": "trainshed",
        "version": "0-1-0",
        "commit": COMMIT,
        "tree": ("ab" * 32)[:63],
        "content": digest[:63],
    }
    assert told["image"] == NAME
    assert shed.objects == {}  # neither parts nor archive cost anything from now on
    assert "costs about $" in shed.err
    assert "upload" in shed.err
    assert "%" in shed.err


def test_an_image_for_arm64_claims_nothing_of_another_processor(shed: Shed, disk: bytes) -> None:
    write_image(shed.image.parent, disk, architecture="arm64")
    shed.publish()
    [made] = shed.images.values()
    assert (made["name"], made["family"]) == ("trainshed-0-1-0-arm64", "trainshed-arm64-candidate")
    assert made["architecture"] == "ARM64"
    assert {f["type"] for f in made["guestOsFeatures"]} == {"UEFI_COMPATIBLE", "VIRTIO_SCSI_MULTIQUEUE", "GVNIC"}
    told = shed("validate", "gcp", "--json", made["name"])
    assert {row["rule"] for row in told if row["ok"]} >= {"G01", "G02", "G03", "G04"}


def test_what_google_unpacks_is_what_was_baked(shed: Shed, disk: bytes) -> None:
    shed.publish("--keep-archive")
    [kept] = shed.objects.values()
    assert kept.data == disk
    assert kept.components == 5
    assert kept.metadata == {"managed-by": "trainshed"}


def test_a_small_archive_goes_in_one_piece(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "PART_BYTES", 16 << 20)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"
    assert "storage.objects.compose" not in shed.google.calls
    assert shed.objects == {}


def test_an_image_that_is_there_is_not_made_again(shed: Shed) -> None:
    shed.publish()
    shed.google.calls.clear()
    assert shed.publish()["steps"] == []
    assert {call.rsplit(".", 1)[1] for call in shed.google.calls} == {"get", "list"}


def test_a_dry_run_changes_nothing_and_names_the_cost(shed: Shed) -> None:
    told = shed.publish("--dry-run")
    assert [step.split(" ")[0] for step in told["steps"]] == ["upload", "put", "remove", "make", "remove"]
    assert told["dollars_a_month"] > 0
    assert "would upload 5 of 5 parts" in shed.err
    assert shed.objects == {}
    assert shed.images == {}
    assert {call.rsplit(".", 1)[1] for call in shed.google.calls} == {"get", "list"}


def test_a_dry_run_says_what_the_real_run_does(shed: Shed) -> None:
    assert shed.publish("--dry-run")["steps"] == shed.publish()["steps"]


def test_another_content_under_the_same_name_is_a_conflict(shed: Shed, disk: bytes) -> None:
    shed.publish()
    write_image(shed.image.parent, gzip.compress(gzip.decompress(disk), 1, mtime=0))
    shed.publish(code=Exit.CONFLICT)
    assert "has another content" in shed.err
    assert "--name" in shed.err
    assert shed.publish("--name", "trainshed-second")["image"] == "trainshed-second"


STAGES = [
    ("before anything", "storage.objects.list", 0, False),
    ("first session", "storage.objects.insert", 0, False),
    ("first bytes", gcs.DATA, 0, False),
    ("some parts there", gcs.DATA, 3, False),
    ("composing", "storage.objects.compose", 0, False),
    ("composed, answer lost", "storage.objects.compose", 0, True),
    ("some parts removed", "storage.objects.delete", 2, False),
    ("insert", "compute.images.insert", 0, False),
    ("inserted, answer lost", "compute.images.insert", 0, True),
    ("while Google makes it", "compute.globalOperations.get", 1, False),
    ("last look at the archive", "storage.objects.get", 1, False),
    ("archive not removed", "storage.objects.delete", 5, False),
]


@pytest.mark.faults
@pytest.mark.parametrize(("method", "skip", "answered"), [s[1:] for s in STAGES], ids=[s[0] for s in STAGES])
def test_killed_and_started_again(shed: Shed, disk: bytes, method: str, skip: int, answered: bool) -> None:
    kill_at(shed.google, method, shed.words, shed.environment, part_bytes=PART, skip=skip, answered=answered)
    before, there = dict(shed.objects), NAME in shed.images
    shed.google.calls.clear()

    shed.publish()

    assert shed.images[NAME]["status"] == "READY"
    assert shed.images[NAME]["archiveSizeBytes"] == str(len(disk))
    assert shed.objects == {}
    parts = [name for name in before if bucket.PARTS in name]
    needed = 0 if there or len(before) > len(parts) else 5 - len(parts)
    assert shed.google.calls.count("storage.objects.insert") == needed  # nothing is sent twice


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """The archive in one piece, sent in three chunks of so many bytes at most."""
    monkeypatch.setattr(tarball, "PART_BYTES", 16 << 20)
    monkeypatch.setattr(bucket, "CHUNK_BYTES", 2 * PART)
    return 2 * PART


def test_a_line_that_breaks_sends_one_chunk_again(shed: Shed, chunks: int) -> None:
    arrived: list[str] = []

    def cut(request: Request) -> None:
        take, read = 300_000, request.read

        def some(most: int) -> bytes:
            nonlocal take
            piece = read(min(most, take)) if take else b""
            take -= len(piece)
            return piece

        request.read = some

    shed.google.before(gcs.DATA, cut, skip=1)
    shed.google.before(gcs.DATA, lambda request: arrived.append(request.headers["content-range"]), times=9)
    shed.publish("--keep-archive")
    size = shed.image.stat().st_size
    second = f"bytes {chunks}-{2 * chunks - 1}/*"  # of which Google has a part when it comes again
    assert arrived == [f"bytes 0-{chunks - 1}/*", second, second, f"bytes {2 * chunks}-{size - 1}/{size}"]
    [kept] = shed.objects.values()
    assert kept.data == shed.image.read_bytes()


def test_a_chunk_that_google_keeps_half_of_begins_the_piece_anew(shed: Shed, chunks: int) -> None:
    def half(request: Request) -> None:
        request.headers = {**request.headers, "content-range": f"bytes 0-{chunks // 2 - 1}/*"}

    shed.google.before(gcs.DATA, half)
    shed.publish("--keep-archive")
    assert shed.google.calls.count("storage.objects.insert") == 2
    [kept] = shed.objects.values()
    assert kept.data == shed.image.read_bytes()
    shed.google.before(gcs.DATA, half, times=9)
    shed.publish("--name", "second", code=Exit.FAILED)
    assert "goes on from where it was" in shed.err


@pytest.mark.faults
def test_interrupted_by_a_person_it_ends_at_once_and_goes_on_later(shed: Shed) -> None:
    arguments = (shed.google, gcs.DATA, shed.words, shed.environment)
    assert kill_at(*arguments, part_bytes=PART, skip=3, by=signal.SIGINT) == Exit.INTERRUPTED
    assert shed.images == {}
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"
    assert shed.objects == {}


def test_an_answer_that_is_lost_makes_no_second_image(shed: Shed) -> None:
    def lost(request: Request) -> None:
        compute = shed.google.compute
        compute._requests[request.query["requestId"]] = compute._insert("", request).body
        raise Cut

    shed.google.before("compute.images.insert", lost)
    shed.publish()
    assert shed.google.calls.count("compute.images.insert") == 2
    assert shed.images[NAME]["status"] == "READY"


def test_a_line_that_stays_broken_ends_with_a_clear_line(shed: Shed) -> None:
    def cut(request: Request) -> None:
        raise Cut

    shed.google.before(gcs.DATA, cut, times=999)
    shed.publish(code=Exit.FAILED)
    assert "line to Google" in shed.err
    assert "goes on from where it was" in shed.err
    shed.google.forget_orders()
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


@pytest.mark.parametrize(
    ("method", "status", "reason"),
    [
        ("storage.objects.list", 503, "backendError"),
        ("storage.objects.insert", 429, "rateLimitExceeded"),
        (gcs.DATA, 503, "backendError"),
        ("storage.objects.compose", 500, "internalError"),
        ("compute.images.insert", 403, "rateLimitExceeded"),
        ("compute.globalOperations.get", 502, "badGateway"),
    ],
)
def test_throttling_and_hiccups_are_waited_out(shed: Shed, method: str, status: int, reason: str) -> None:
    shed.google.fail(method, status, reason, times=3)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"
    assert shed.objects == {}
    assert len(shed.waits) == 3


def test_throttling_without_end_is_told(shed: Shed) -> None:
    shed.google.fail("storage.objects.list", 429, "rateLimitExceeded", "Too many requests", times=99)
    shed.publish(code=Exit.FAILED)
    assert "Too many requests" in shed.err
    assert "goes on from where it was" in shed.err
    assert 88 <= sum(shed.waits) <= 120  # the last would have been 32 s at most, and two minutes are all


def test_a_refusal_of_a_kind_nobody_knows_is_told_as_it_is(shed: Shed) -> None:
    shed.google.fail("compute.images.get", 418, "teapot", "Short and stout")
    shed.publish(code=Exit.FAILED)
    assert "Google refused: Short and stout" in shed.err
    assert shed.waits == []


def test_a_wrong_project_or_bucket_is_named(shed: Shed) -> None:
    shed.publish("--project", "other-project", code=Exit.NOT_FOUND)
    assert "projects/other-project" in shed.err
    assert "--project" in shed.err
    shed("publish", "gcp", "--bucket", "nowhere", "--image", str(shed.image), code=Exit.NOT_FOUND)
    assert "bucket does not exist" in shed.err


@pytest.mark.parametrize("location", ["europe-west4-a", "Europe", "mars"])
def test_a_place_that_is_none_is_a_usage_error(shed: Shed, location: str) -> None:
    shed.publish("--location", location, code=Exit.USAGE)
    assert f"'{location}'" in shed.err
    assert shed.google.calls == []


def test_a_region_that_google_does_not_have_is_told_and_the_upload_is_kept(shed: Shed) -> None:
    shed.publish("--location", "europe-west99", code=Exit.USAGE)
    assert "'europe-west99'. Unknown location" in shed.err
    shed.google.calls.clear()
    shed.publish("--location", "europe-west4")
    assert "storage.objects.insert" not in shed.google.calls
    assert shed.images[NAME]["storageLocations"] == ["europe-west4"]


def test_an_api_that_is_switched_off_is_told(shed: Shed) -> None:
    shed.google.fail("compute.images.get", 403, "accessNotConfigured", "Compute Engine API has not been used before")
    shed.publish(code=Exit.MISSING)
    assert "gcloud services enable compute.googleapis.com" in shed.err


def test_a_missing_right_is_named_and_nothing_is_left(shed: Shed) -> None:
    shed.google.granted = frozenset({"storage.objects.get", "storage.objects.list", "compute.images.get"})
    shed.publish(code=Exit.MISSING)
    assert "Required 'storage.objects.create'" in shed.err
    assert "docs/publishing-gcp.md" in shed.err
    assert shed.objects == {}


def test_a_full_quota_is_told_and_the_next_run_does_not_upload_again(shed: Shed) -> None:
    shed.google.compute.quota = 0
    shed.publish(code=Exit.NO_SPACE)
    assert "Quota 'IMAGES' exceeded" in shed.err
    assert "shed gc gcp" in shed.err
    shed.google.compute.quota = 1
    shed.google.calls.clear()
    shed.publish()
    assert "storage.objects.insert" not in shed.google.calls
    assert shed.images[NAME]["status"] == "READY"


def test_a_quota_that_google_finds_while_it_works(shed: Shed) -> None:
    shed.google.compute.failures = [{"code": "QUOTA_EXCEEDED", "message": "Quota 'IMAGES' exceeded."}]
    shed.publish(code=Exit.NO_SPACE)
    assert "Quota 'IMAGES' exceeded" in shed.err
    assert shed.images == {}  # the image that failed is gone
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


@pytest.mark.faults
def test_an_image_that_failed_is_removed_and_made_anew(shed: Shed) -> None:
    kill_at(shed.google, "compute.globalOperations.get", shed.words, shed.environment, part_bytes=PART)
    shed.images[NAME]["status"] = "FAILED"
    shed.google.compute.operations.clear()
    told = shed.publish()
    assert any(step.startswith("remove trainshed") for step in told["steps"])
    assert shed.images[NAME]["status"] == "READY"


def test_an_archive_that_changes_meanwhile_makes_no_image(shed: Shed, tmp_path: Path) -> None:
    evil = pack(tmp_path, b"evil")

    def swap(request: Request) -> None:
        [name] = [n for n in shed.objects if bucket.PARTS not in n]
        shed.google.storage.put(BUCKET, name, evil)

    shed.google.before("compute.images.insert", swap)
    shed.publish(code=Exit.CORRUPT)
    assert "changed while the image was made of it" in shed.err
    assert shed.images == {}


def test_a_part_that_changes_meanwhile_makes_no_archive(shed: Shed) -> None:
    def swap(request: Request) -> None:
        name = min(n for n in shed.objects if bucket.PARTS in n)
        shed.google.storage.put(BUCKET, name, b"evil")

    shed.google.before("storage.objects.compose", swap)
    shed.publish(code=Exit.CORRUPT)
    assert "changed before they were put together" in shed.err
    shed.publish(code=Exit.CONFLICT)
    assert "holds something else" in shed.err
    assert shed.images == {}


def test_a_file_that_changes_while_it_is_sent_is_refused(shed: Shed) -> None:
    def change(request: Request) -> None:
        with shed.image.open("r+b") as file:
            file.seek(100)
            file.write(b"changed meanwhile")

    shed.google.before("storage.objects.insert", change, times=9)
    shed.publish(code=Exit.CORRUPT)
    assert "changed while it was sent" in shed.err
    assert shed.images == {}


def test_two_publishers_of_one_archive_help_each_other(shed: Shed) -> None:
    """The other one brings every part and the archive just before us, and inserts just before us."""
    first = shed.google.before

    def part(request: Request) -> None:
        wanted = request.body["name"]
        offset, size = wanted.rsplit("/", 1)[1].split("-")
        data = shed.image.read_bytes()[int(offset) : int(offset) + int(size)]
        shed.google.storage.put(BUCKET, wanted, data)

    def whole(request: Request) -> None:
        data = shed.image.read_bytes()
        shed.google.storage.put(BUCKET, name_in(request), data, {"managed-by": "trainshed"})

    def insert(request: Request) -> None:
        with shed.google.lock:
            shed.google.compute._insert("", request)

    first("storage.objects.insert", part, times=5)
    first("storage.objects.compose", whole)
    first("compute.images.insert", insert)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"
    assert shed.objects == {}


def test_an_archive_that_vanishes_makes_no_image(shed: Shed) -> None:
    shed.google.before("compute.globalOperations.get", lambda request: shed.objects.clear())
    shed.publish(code=Exit.FAILED)
    assert "archive of trainshed-0-1-0-amd64 was not found" in shed.err
    assert shed.images == {}
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


def test_the_other_publisher_may_have_tidied_up_already(shed: Shed) -> None:
    """It made the image of the same archive and removed all it had, just before we insert; or it saw ours and removed it."""

    def finished(request: Request) -> None:
        with shed.google.lock:
            shed.google.compute._insert("", request)
            while shed.images[NAME]["status"] != "READY":
                shed.google.compute._get(NAME, request)
            shed.objects.clear()

    shed.google.before("compute.images.insert", finished)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"

    shed.google.before("storage.objects.get", lambda request: shed.objects.clear(), skip=1)
    shed.publish("--name", "second")
    assert shed.images["second"]["status"] == "READY"


def test_a_session_that_google_has_forgotten_begins_anew(shed: Shed) -> None:
    def forget(request: Request) -> None:
        shed.google.storage.sessions.clear()
        raise Cut

    shed.google.before(gcs.DATA, forget)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


def name_in(request: Request) -> str:
    return unquote(request.path.split("/o/")[1].removesuffix("/compose"))


def log_in(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on shed has a credential, which the stand-in renews."""
    credentials = Credentials(  # type: ignore[no-untyped-call]  # Google gives no types
        None,
        refresh_token="refresh",
        token_uri=f"{shed.google.endpoint}/token",
        client_id="client",
        client_secret="secret",
    )
    monkeypatch.setattr(api, "AnonymousCredentials", lambda: credentials)


def test_a_credential_is_renewed_while_it_works(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    shed.google.token = "first"
    log_in(shed, monkeypatch)

    def expire(request: Request) -> None:
        shed.google.token = "second"

    shed.google.before(gcs.DATA, expire)
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


def test_a_credential_that_is_not_renewed_is_told(shed: Shed, monkeypatch: pytest.MonkeyPatch) -> None:
    shed.google.token = "first"
    log_in(shed, monkeypatch)

    def expire(request: Request) -> None:
        shed.google.token, shed.google.locked = None, True

    shed.google.before("storage.objects.compose", expire)
    shed.publish(code=Exit.MISSING)
    assert "Token has been expired or revoked" in shed.err
    assert "gcloud auth application-default login" in shed.err
    shed.google.token, shed.google.locked = "third", False
    shed.publish()
    assert shed.images[NAME]["status"] == "READY"


def test_no_credential_is_told(shed: Shed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(COMPUTE_VARIABLE)
    monkeypatch.delenv(STORAGE_VARIABLE)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    shed.publish(code=Exit.MISSING)
    assert "absent.json" in shed.err
    assert "gcloud auth application-default login" in shed.err


def archive_of(data: bytes, *, name: str = "disk.raw") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), 1, mtime=0)


@pytest.mark.parametrize(
    ("archive", "says"),
    [
        (archive_of(bytes(512), name="other.raw"), "other.raw"),
        (archive_of(bytes(512)), "512 bytes are not whole GiB"),
        (b"not packed at all", "not gzipped"),
        (archive_of(bytes(512))[:-6], "no whole tar"),
    ],
    ids=["another name", "not whole GiB", "no gzip", "cut"],
)
def test_an_archive_google_would_refuse_is_not_sent(shed: Shed, archive: bytes, says: str) -> None:
    write_image(shed.image.parent, archive)
    shed.publish(code=Exit.CORRUPT)
    assert says in shed.err
    assert shed.google.calls == []


def test_a_corrupt_manifest_or_archive_is_not_sent(shed: Shed, disk: bytes) -> None:
    shed.image.write_bytes(disk[:-1] + bytes([disk[-1] ^ 1]))
    shed.publish(code=Exit.CORRUPT)
    assert "its manifest says" in shed.err
    manifest = shed.image.parent / "trainshed-0.1.0-amd64.manifest.json"
    manifest.write_text("{")
    shed.publish(code=Exit.CORRUPT)
    assert manifest.name in shed.err
    assert shed.google.calls == []


@pytest.mark.parametrize("name", ["Trainshed", "0-1", "a_b", "x" * 64, "end-"])
def test_a_name_google_would_refuse_is_a_usage_error(shed: Shed, name: str) -> None:
    shed.publish("--name", name, code=Exit.USAGE)
    assert f"'{name}'" in shed.err
    assert shed.google.calls == []


def test_a_revoked_image_is_not_published_again(shed: Shed) -> None:
    shed.publish()
    shed("revoke", "gcp", "--json", NAME, "--reason", "the session key was the same everywhere")
    shed.publish(code=Exit.REFUSED)
    assert "the session key was the same everywhere" in shed.err
    shed("promote", "gcp", NAME, code=Exit.REFUSED)
    assert "was revoked" in shed.err


def test_memory_stays_flat_and_parts_few() -> None:
    assert tarball.part_bytes(1) == tarball.PART_BYTES
    for size in (10**6, 170 * 10**6, 600 << 20, 40 * GIB):
        each = tarball.part_bytes(size)
        assert -(-size // each) <= gcs.MOST_SOURCES
        assert each % gcs.UNIT == 0


def test_a_credential_never_goes_to_an_address_of_tests(shed: Shed) -> None:
    seen: list[str | None] = []
    shed.google.before("storage.objects.list", lambda request: seen.append(request.headers.get("authorization")))
    shed.publish("--dry-run")
    assert seen == [None]


def test_who_does_not_ask_google_does_not_load_its_clients() -> None:
    """They take seconds. In a process of its own: this one has loaded them."""
    program = (
        "import sys; from trainshed_provision.commands.gcp import deprecate, gc, promote, publish, revoke, validate; "
        "print(*(name for name in sys.modules if name.startswith(('google.api_core', 'google.cloud', 'requests'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
