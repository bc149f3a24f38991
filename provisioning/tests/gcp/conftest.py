"""What every test of publishing to Google starts from."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from trainshed_provision.publish.gcp import operations, tarball
from trainshed_provision.testing.command import PART, Shed, pack, write_image
from trainshed_provision.testing.google import Google


class Clock:
    """The time of Google's retries, which passes as they wait, and no faster."""

    def __init__(self, waits: list[float]) -> None:
        self.waits = waits

    def monotonic(self) -> float:
        return sum(self.waits)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An archive of a disk of 1 GiB with 1.2 MB on it that does not pack: five parts of 256 KiB."""
    noise = b"".join(sha256(number.to_bytes(4)).digest() for number in range(1_200_000 // 32))
    return pack(tmp_path_factory.mktemp("disk"), noise)


@pytest.fixture
def image(tmp_path: Path, disk: bytes) -> Path:
    return write_image(tmp_path, disk)


@pytest.fixture
def shed(image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shed]:
    with Google() as google:
        shed = Shed(google, image, capsys)
        for name, value in shed.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(tarball, "PART_BYTES", PART)

        monkeypatch.setattr(operations, "POLL_SECONDS", 0.0)
        for module in ("retry_unary", "retry_base"):
            monkeypatch.setattr(f"google.api_core.retry.{module}.time", Clock(shed.waits))
        yield shed
