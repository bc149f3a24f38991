"""The lock of Debian packages, the kept set, and what is baked from when the mirrors have moved on."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from trainshed_provision.architecture import AMD64, ARCHITECTURES, ARM64, Architecture
from trainshed_provision.bake import context, packages
from trainshed_provision.bake.packages import Package
from trainshed_provision.errors import Exit, ShedError

CHECKOUT = Path(__file__).parents[2]


def package(name: str, version: str = "1.0", content: str = "") -> Package:
    """A package whose file holds `content`, or its own name and version."""
    data = (content or f"{name} {version}").encode()
    return Package(name=name, version=version, architecture="all", sha256=hashlib.sha256(data).hexdigest())


class Mirror:
    """Stands in for apt: `has` is what a mirror offers now; down: it cannot be reached."""

    def __init__(self, has: Iterable[Package], *, down: bool = False) -> None:
        self.has = list(has)
        self.down = down
        self.fetched: list[Package] = []

    def __call__(self, home: Path, architecture: Architecture) -> "Mirror":
        return self

    def resolve(self, names: Iterable[str]) -> list[Package]:
        self.reached()
        return sorted(self.has)

    def fetch(self, wanted: list[Package], into: Path) -> None:
        self.reached()
        if gone := [p.name for p in wanted if (p.name, p.version) not in {(h.name, h.version) for h in self.has}]:
            raise packages.Gone(f"the mirrors no longer have {', '.join(gone)}", hint="run: x", code=Exit.NOT_FOUND)
        for p in wanted:
            (into / p.file).write_text(f"{p.name} {p.version}")
        self.fetched += wanted

    def reached(self) -> None:
        if self.down:
            raise ShedError("no mirror", code=Exit.FAILED)


OLD, NEW, SAME = package("openssl", "3.5.1"), package("openssl", "3.5.2"), package("bash", "5.2")


@pytest.fixture
def bake(tmp_path: Path) -> context.Bake:
    """A bake of a checkout that asks for two packages and has a lock of them."""
    for target in packages.TARGETS:
        (tmp_path / "images" / target).mkdir(parents=True)
        (tmp_path / "images" / target / "packages.txt").write_text("# of a test\nbash\nopenssl\n")
    (tmp_path / packages.lock_of(AMD64)).write_text(packages.render([OLD, SAME]))
    (tmp_path / "build" / "cache").mkdir(parents=True)
    return context.Bake(checkout=tmp_path, work=tmp_path / "work", version="1", commit="c", epoch=0, inputs="i")


def strictly(bake: context.Bake) -> context.Bake:
    return context.Bake(**{**vars(bake), "strict": True})


def use(monkeypatch: pytest.MonkeyPatch, mirror: Mirror) -> Mirror:
    monkeypatch.setattr(packages, "Apt", mirror)
    return mirror


def test_a_lock_is_read_as_it_was_written() -> None:
    rows = [package("zstd", "1:1.5+b1"), package("adduser", "3.152")]
    assert packages.parse(packages.render(rows)) == sorted(rows)


@pytest.mark.parametrize("line", ["bash", "bash 5 all", "bash 5 all " + "g" * 64, "../x 1 all " + "a" * 64])
def test_a_damaged_lock_names_its_line(line: str) -> None:
    with pytest.raises(ShedError, match="line 2") as caught:
        packages.parse(f"# a lock\n{line}\n")
    assert caught.value.code == Exit.CORRUPT


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda a: a.name)
def test_the_committed_lock_names_all_that_the_images_ask_for(architecture: Architecture) -> None:
    locked = packages.locked(CHECKOUT, architecture)
    kernel, signed = f"linux-image-cloud-{architecture.name}", f"grub-efi-{architecture.name}-signed"
    assert {"openssh-server", kernel, signed, "libc6"} <= {p.name for p in locked}
    assert {p.architecture for p in locked} == {architecture.name, "all"}


def test_the_locks_were_made_together() -> None:
    """Or one architecture would lack a security update that the other has; a rebuild for one of them alone (+b1) is none."""
    versions = [
        {p.name: p.version.partition("+b")[0] for p in packages.locked(CHECKOUT, architecture)}
        for architecture in ARCHITECTURES.values()
    ]
    shared = versions[0].keys() & versions[1].keys()
    assert {name: versions[0][name] for name in shared} == {name: versions[1][name] for name in shared}


def test_a_lock_that_is_not_there_is_made_by_a_command_that_names_its_architecture(
    bake: context.Bake,
) -> None:
    with pytest.raises(packages.Gone, match="does not name bash") as caught:
        packages.locked(bake.checkout, ARM64)
    assert caught.value.hint == "run: shed bake --update-lock --architecture arm64"


def test_a_file_is_named_as_apt_names_it() -> None:
    assert package("util-linux", "1:2.41~rc+b1").file == "util-linux_1%3a2.41~rc+b1_all.deb"


def test_the_locked_packages_are_fetched_once(bake: context.Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = use(monkeypatch, Mirror([OLD, SAME]))
    assert packages.provide(bake, tell=pytest.fail) == sorted([OLD, SAME])
    assert packages.provide(bake, tell=pytest.fail) == sorted([OLD, SAME])
    assert sorted(mirror.fetched) == sorted([OLD, SAME])


def test_a_kept_set_needs_no_mirror(bake: context.Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Mirror([OLD, SAME]))
    packages.provide(bake, tell=pytest.fail)
    use(monkeypatch, Mirror([], down=True))
    assert packages.provide(strictly(bake), tell=pytest.fail) == sorted([OLD, SAME])


def test_a_damaged_kept_package_is_fetched_again(bake: context.Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = use(monkeypatch, Mirror([OLD, SAME]))
    packages.provide(bake, tell=pytest.fail)
    (bake.kept / SAME.file).write_text("cut o")
    packages.provide(bake, tell=pytest.fail)
    assert mirror.fetched[2:] == [SAME]


def test_another_file_under_the_same_version_is_refused(bake: context.Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    (bake.checkout / packages.lock_of(AMD64)).write_text(
        packages.render([OLD, package("bash", "5.2", content="as it was")])
    )
    use(monkeypatch, Mirror([OLD, SAME]))
    with pytest.raises(ShedError, match="sha256") as caught:
        packages.provide(bake, tell=pytest.fail)
    assert caught.value.code == Exit.CORRUPT
    assert not (bake.kept / SAME.file).exists()


def test_when_the_mirrors_moved_on_the_newest_are_taken_and_it_is_said(
    bake: context.Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Mirror([NEW, SAME]))
    told: list[str] = []
    assert packages.provide(bake, tell=told.append) == sorted([NEW, SAME])
    assert "openssl" in told[0]
    assert told[0].startswith("WARNING")


def test_a_strict_bake_refuses_when_the_mirrors_moved_on(bake: context.Bake, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Mirror([NEW, SAME]))
    with pytest.raises(packages.Gone, match="openssl") as caught:
        packages.provide(strictly(bake), tell=pytest.fail)
    assert caught.value.code == Exit.NOT_FOUND


def test_the_next_bake_takes_the_same_newer_packages_and_needs_no_mirror(
    bake: context.Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Mirror([NEW, SAME]))
    told: list[str] = []
    packages.provide(bake, tell=told.append)
    use(monkeypatch, Mirror([], down=True))
    assert packages.provide(bake, tell=told.append) == sorted([NEW, SAME])
    assert "WARNING" in told[1]


def test_a_mirror_that_is_down_is_no_reason_for_other_packages(
    bake: context.Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Mirror([], down=True))
    with pytest.raises(ShedError, match="no mirror"):
        packages.provide(bake, tell=pytest.fail)


def test_a_lock_older_than_the_list_of_packages_counts_as_gone(
    bake: context.Bake, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = package("nftables")
    (bake.checkout / "images/common/packages.txt").write_text("bash\nnftables\nopenssl\n")
    use(monkeypatch, Mirror([OLD, SAME, more]))
    told: list[str] = []
    assert more in packages.provide(bake, tell=told.append)
    assert "nftables" in told[0]
    with pytest.raises(packages.Gone, match="nftables"):
        packages.provide(strictly(bake), tell=pytest.fail)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg is not installed")
def test_the_repository_holds_the_locked_packages_alone(tmp_path: Path) -> None:
    source, kept = tmp_path / "source", tmp_path / "kept"
    (source / "DEBIAN").mkdir(parents=True)
    kept.mkdir()
    control = "Package: hello\nVersion: 1:2.0\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: a test\n"
    (source / "DEBIAN/control").write_text(control)
    deb = kept / "hello_1%3a2.0_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", source, deb], check=True, capture_output=True)
    (kept / "other_1_all.deb").write_text("of another lock")
    sha256 = hashlib.sha256(deb.read_bytes()).hexdigest()
    hello = Package(name="hello", version="1:2.0", architecture="all", sha256=sha256)
    repository = packages.repository([hello], kept, tmp_path / "repository", ARM64)
    assert {path.name for path in repository.iterdir()} == {deb.name, "Packages", "Release"}
    index = (repository / "Packages").read_text()
    for line in ("Package: hello", "Version: 1:2.0", f"Filename: ./{deb.name}", f"SHA256: {sha256}"):
        assert line in index.splitlines()
    release = (repository / "Release").read_text()
    assert "Architectures: arm64\n" in release
    assert hashlib.sha256(index.encode()).hexdigest() in release
