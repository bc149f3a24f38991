"""The lock of Debian packages, the kept set, and what is baked from when the mirrors have moved on."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

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

    def __call__(self, home: Path) -> "Mirror":
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
    (tmp_path / packages.LOCK).write_text(packages.render([OLD, SAME]))
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


def test_the_committed_lock_names_all_that_the_images_ask_for() -> None:
    names = {p.name for p in packages.locked(CHECKOUT)}
    assert {"openssh-server", "linux-image-cloud-amd64", "libc6"} <= names


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
    (bake.checkout / packages.LOCK).write_text(packages.render([OLD, package("bash", "5.2", content="as it was")]))
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
    repository = packages.repository([hello], kept, tmp_path / "repository")
    assert {path.name for path in repository.iterdir()} == {deb.name, "Packages", "Release"}
    index = (repository / "Packages").read_text()
    for line in ("Package: hello", "Version: 1:2.0", f"Filename: ./{deb.name}", f"SHA256: {sha256}"):
        assert line in index.splitlines()
    assert hashlib.sha256(index.encode()).hexdigest() in (repository / "Release").read_text()
