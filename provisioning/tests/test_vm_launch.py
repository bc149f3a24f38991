"""Launch, stop and destroy with an engine that needs no emulator: what is made, what stays, what is cleaned away."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from trainshed_provision import process
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.plan import Step
from trainshed_provision.spec import GIB, SERVICES, Ports, VmSpec
from trainshed_provision.targets import vm
from trainshed_provision.targets.vm import boot, image, qemu
from trainshed_provision.targets.vm.boot import Report, Stage
from trainshed_provision.targets.vm.engine import Engine
from trainshed_provision.targets.vm.folder import Folder

SPEC = VmSpec(data_gib=1)


class FakeEngine:
    """An engine whose machines are entries of a set; `during_wait` is what happens while one boots."""

    def __init__(self) -> None:
        self.on: set[Path] = set()
        self.sizes: dict[Path, int] = {}
        self.during_wait: Callable[[], None] = lambda: None
        self.deaf = False

    def taken(self, ports: Ports) -> frozenset[str]:
        return frozenset()

    def start(self, spec: VmSpec, folder: Folder, *, system: Path) -> None:
        assert system.exists()
        assert folder.data(spec).exists()
        (folder / "serial.log").write_text("Linux version 6\n")
        self.on.add(folder.path)

    def wait(self, spec: VmSpec, folder: Folder, *, timeout: float, report: Report) -> None:
        self.during_wait()
        report(Stage(name="web", seconds=1.0))

    def running(self, folder: Folder) -> bool:
        return folder.path in self.on

    def healthy(self, spec: VmSpec) -> dict[str, bool]:
        return dict.fromkeys(SERVICES, True)

    def power_down(self, folder: Folder) -> None:
        self.on.discard(folder.path)

    def resize_data(self, folder: Folder, *, size: int) -> None:
        self.sizes[folder.path] = size

    def kill(self, folder: Folder) -> None:
        self.on.discard(folder.path)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "state", "trainshed")


@pytest.fixture(autouse=True)
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files instead of those of packages that need not be installed here."""
    for name, hardware in qemu.HARDWARE.items():
        code, variables = tmp_path / f"{name}_CODE.fd", tmp_path / f"{name}_VARS.fd"
        for file in (code, variables):
            file.write_bytes(name.encode())
        monkeypatch.setitem(qemu.HARDWARE, name, replace(hardware, code=code, variables=variables))


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    return make_image(tmp_path / "images" / "trainshed.qcow2", "64M")


def make_image(path: Path, size: str, *, architecture: str = "amd64") -> Path:
    path.parent.mkdir(exist_ok=True)
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", path, size])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = {"file": path.name, "sha256": digest}
    manifest = {"files": {"qcow2": file}, "version": "0.1.0", "architecture": architecture, "tree_digest": "0" * 64}
    path.with_suffix(".manifest.json").write_text(json.dumps(manifest))
    return path


def launch(folder: Folder, engine: Engine, qcow2: Path, spec: VmSpec = SPEC, *, dry_run: bool = False) -> list[str]:
    steps = vm.launch(
        spec,
        folder,
        engine=engine,
        image_path=qcow2,
        baked=qcow2.parent,
        timeout=1,
        dry_run=dry_run,
        tell=quiet,
        report=lambda stage: None,
    )
    return [step.do for step in steps]


def quiet(step: Step) -> None:
    """Tell nobody."""


def names(folder: Folder) -> set[str]:
    return {path.name.split("-")[0] for path in folder.path.iterdir()}


def test_an_engine_is_what_qemu_is(engine: FakeEngine) -> None:
    given: Engine = engine  # the type checker compares the two
    assert given is engine


def test_launch_makes_a_machine_and_does_not_write_to_the_image(
    folder: Folder, engine: FakeEngine, qcow2: Path
) -> None:
    before = qcow2.read_bytes()
    launch(folder, engine, qcow2)
    assert names(folder) == {
        "vm.json", "id_ed25519", "id_ed25519.pub", "seed.iso", "system", "data.raw", "serial.log",
    }  # fmt: skip
    assert (folder / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert qcow2.read_bytes() == before


def test_launch_again_does_nothing(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    assert launch(folder, engine, qcow2) == []


def test_a_dry_run_makes_nothing(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    assert launch(folder, engine, qcow2, dry_run=True)[-2:] == ["start", "wait"]
    assert not folder.path.exists()


def test_a_stopped_machine_starts_with_the_same_disks(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    inode = (folder / "data.raw").stat().st_ino
    vm.stop(folder, engine=engine, tell=quiet)
    assert not engine.running(folder)
    assert launch(folder, engine, qcow2) == ["start", "wait"]
    assert (folder / "data.raw").stat().st_ino == inode


def test_stopping_twice_is_no_error(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    assert len(vm.stop(folder, engine=engine, tell=quiet)) == 1
    assert vm.stop(folder, engine=engine, tell=quiet) == ()


def test_another_image_gets_a_new_system_disk_and_keeps_the_data(
    folder: Folder, engine: FakeEngine, qcow2: Path
) -> None:
    launch(folder, engine, qcow2)
    (before,) = folder.path.glob("system-*")
    vm.stop(folder, engine=engine, tell=quiet)
    other = make_image(qcow2.with_name("other.qcow2"), "65M")
    assert launch(folder, engine, other) == ["make system", "start", "wait"]
    (after,) = folder.path.glob("system-*")
    assert before != after
    record = folder.record()
    assert record is not None
    assert record["image"]["path"] == str(other)


def test_the_data_disk_grows_while_the_machine_runs(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    assert launch(folder, engine, qcow2, replace(SPEC, data_gib=2)) == ["grow data", "record"]
    assert engine.sizes == {folder.path: 2 * GIB}


@pytest.mark.parametrize("error", [ShedError("too slow", code=Exit.UNHEALTHY), KeyboardInterrupt()])
def test_a_first_launch_that_fails_leaves_nothing(
    folder: Folder, engine: FakeEngine, qcow2: Path, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    engine.during_wait = fail
    with pytest.raises(type(error)):
        launch(folder, engine, qcow2)
    assert not folder.path.exists()
    assert engine.on == set()


def test_a_launch_that_fails_names_the_serial_log_it_keeps(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    def fail() -> None:
        raise ShedError("too slow", code=Exit.UNHEALTHY)

    engine.during_wait = fail
    with pytest.raises(ShedError) as caught:
        launch(folder, engine, qcow2)
    assert str(folder.failed_log) in caught.value.hint
    assert folder.failed_log.read_text() == "Linux version 6\n"


def test_a_later_launch_that_fails_leaves_a_stopped_machine(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    launch(folder, engine, qcow2)
    vm.stop(folder, engine=engine, tell=quiet)
    engine.during_wait = interrupt
    with pytest.raises(KeyboardInterrupt):
        launch(folder, engine, qcow2)
    assert {"data.raw", "system", "vm.json"} <= names(folder)
    assert engine.on == set()


def test_a_half_made_machine_is_completed(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    folder.write_record(SPEC, image={"path": str(qcow2)})
    (folder / "seed.iso.part").write_text("half")
    assert launch(folder, engine, qcow2)[0] == "make key"
    assert launch(folder, engine, qcow2) == []


def test_destroy_keeps_the_data_disk_until_it_is_named(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    vm.destroy(folder, engine=engine, data=False, dry_run=False, tell=quiet)
    assert names(folder) == {"vm.json", "data.raw"}
    assert engine.on == set()
    assert launch(folder, engine, qcow2) == ["make key", "make seed", "make system", "start", "wait"]
    vm.destroy(folder, engine=engine, data=True, dry_run=False, tell=quiet)
    assert not folder.path.exists()
    assert vm.destroy(folder, engine=engine, data=True, dry_run=False, tell=quiet) == ()


def test_destroy_never_removes_a_disk_of_the_user(
    folder: Folder, engine: FakeEngine, qcow2: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "mine.raw"
    disk.write_bytes(bytes(1024**2))
    launch(folder, engine, qcow2, replace(SPEC, data_disk=str(disk)))
    vm.destroy(folder, engine=engine, data=True, dry_run=False, tell=quiet)
    assert disk.exists()
    assert not folder.path.exists()


def test_a_folder_without_our_record_is_left_alone(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    folder.path.mkdir(parents=True)
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(ShedError) as caught:
        launch(folder, engine, qcow2)
    assert caught.value.code == Exit.CONFLICT
    with pytest.raises(ShedError):
        vm.destroy(folder, engine=engine, data=True, dry_run=False, tell=quiet)
    assert names(folder) == {"thesis.txt"}


def test_two_at_once_are_one_too_many(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    with folder.locked(), pytest.raises(ShedError) as caught:
        launch(folder, engine, qcow2)
    assert caught.value.code == Exit.CONFLICT


def test_a_damaged_image_is_refused(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    qcow2.write_bytes(qcow2.read_bytes() + b"x")
    with pytest.raises(ShedError, match="its manifest says") as caught:
        launch(folder, engine, qcow2)
    assert (caught.value.code, folder.path.exists()) == (Exit.CORRUPT, False)


def test_an_image_that_is_no_qcow2_is_refused(qcow2: Path) -> None:
    qcow2.write_bytes(b"not a disk")
    found = image.find(qcow2, baked=qcow2.parent)
    with pytest.raises(ShedError, match="qemu-img check"):
        image.verify(replace(found, sha256=hashlib.sha256(b"not a disk").hexdigest()))


def test_the_newest_image_is_the_one_that_latest_names(qcow2: Path) -> None:
    with pytest.raises(ShedError, match="no image in") as caught:
        image.find(None, baked=qcow2.parent)
    assert caught.value.code == Exit.NOT_FOUND
    qcow2.with_suffix(".manifest.json").rename(qcow2.with_name("latest.json"))
    assert image.find(None, baked=qcow2.parent).path == qcow2


def test_a_manifest_that_is_none_is_refused(qcow2: Path) -> None:
    qcow2.with_suffix(".manifest.json").write_text("{")
    with pytest.raises(ShedError) as caught:
        image.find(qcow2, baked=qcow2.parent)
    assert caught.value.code == Exit.CORRUPT


def test_options_left_out_keep_their_last_values(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    before = replace(SPEC, memory_mib=1024, ports=Ports(web=18080, api=18008))
    launch(folder, engine, qcow2, before)
    asked = VmSpec(cpus=4, ports=Ports(api=28008))
    assert vm.wanted(asked, frozenset({"cpus", "api_port"}), folder) == replace(
        before, cpus=4, ports=Ports(web=18080, api=28008)
    )


def test_the_command_line_of_qemu(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "a,b", "trainshed")
    words = qemu.argv(SPEC, folder, system=folder.system("f" * 64))
    assert words[words.index("-accel") + 1] == "tcg,thread=multi"
    assert words[words.index("-cpu") + 1].startswith("qemu64,+ssse3")
    (network,) = [word for word in words if word.startswith("user,")]
    assert network == (
        "user,id=net,hostfwd=tcp:127.0.0.1:8080-:8080,hostfwd=tcp:127.0.0.1:8008-:8008,"
        "hostfwd=tcp:127.0.0.1:8081-:8081,hostfwd=tcp:127.0.0.1:2222-:22"
    )
    (data,) = [word for word in words if "id=data" in word]
    assert data == f"if=none,id=data,file={tmp_path}/a,,b/vm/trainshed/data.raw,format=raw,discard=unmap"


def test_an_image_for_arm64_gets_a_machine_of_its_kind(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2)
    vm.stop(folder, engine=engine, tell=quiet)
    other = make_image(qcow2.with_name("other.qcow2"), "65M", architecture="arm64")
    assert launch(folder, engine, other) == ["make system", "make firmware", "record", "start", "wait"]
    spec = folder.recorded_spec()
    assert spec
    assert (spec.architecture, spec.firmware) == ("arm64", "uefi")
    assert spec == SPEC.on("arm64")
    words = qemu.argv(spec, folder, system=folder.system("f" * 64))
    assert words[0] == "qemu-system-aarch64"
    assert words[words.index("-machine") + 1].startswith("virt")
    assert words[words.index("-cpu") + 1] == "cortex-a72"
    assert any(word.endswith("arm64_CODE.fd") for word in words)


def test_the_variables_of_another_firmware_are_not_kept(folder: Folder, engine: FakeEngine, qcow2: Path) -> None:
    launch(folder, engine, qcow2, replace(SPEC, firmware="uefi"))
    vm.stop(folder, engine=engine, tell=quiet)
    other = make_image(qcow2.with_name("other.qcow2"), "65M", architecture="arm64")
    assert "make firmware" in launch(folder, engine, other)


def test_a_firmware_that_is_not_installed_is_named_with_its_package(
    folder: Folder, engine: FakeEngine, qcow2: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(qemu.HARDWARE, "arm64", replace(qemu.HARDWARE["arm64"], variables=tmp_path / "no.fd"))
    with pytest.raises(ShedError) as caught:
        launch(folder, engine, make_image(qcow2.with_name("other.qcow2"), "65M", architecture="arm64"))
    assert caught.value.code == Exit.MISSING
    assert "qemu-efi-aarch64" in caught.value.hint
    assert not folder.path.exists()


def test_a_stale_process_number_is_not_taken_for_the_machine(folder: Folder) -> None:
    folder.path.mkdir(parents=True)
    (folder / "qemu.pid").write_text("1\n")
    assert qemu.pid(folder) is None


@pytest.mark.parametrize(
    ("alive", "timeout", "words"),
    [
        pytest.param(False, 5, "ended before it was healthy; its last words: panic", id="dead"),
        pytest.param(True, 0, "no answer in time from: web", id="late"),
    ],
)
def test_the_wait_ends_without_health(alive: bool, timeout: float, words: str) -> None:
    with pytest.raises(ShedError, match=words):
        watch({"web": lambda: False}, [], alive=alive, timeout=timeout)


def test_the_stages_are_reported_as_they_are_reached() -> None:
    seen: list[str] = []
    watch({"kernel": lambda: True, "web": lambda: bool(seen)}, seen, alive=True, timeout=5)
    assert seen == ["kernel", "web"]


def watch(probes: Mapping[str, Callable[[], bool]], seen: list[str], *, alive: bool, timeout: float) -> None:
    boot.watch(
        probes,
        until={"web"},
        alive=lambda: alive,
        last_words=lambda: " panic",
        timeout=timeout,
        report=lambda stage: seen.append(stage.name),
    )
