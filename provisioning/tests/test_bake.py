"""The bake as a whole, with stages that make nothing: what it leaves, what it refuses, what it says."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainshed_provision import process
from trainshed_provision.architecture import AMD64, ARM64, Architecture
from trainshed_provision.bake import context, foreign, manifest, packages, stages
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.cli import main
from trainshed_provision.commands import bake as command
from trainshed_provision.errors import Exit, ShedError

DEAD = 2**22 + 1  # above the largest process number Linux gives


def context_in(build: Path, work: Path, architecture: Architecture = AMD64) -> context.Bake:
    return context.Bake(
        checkout=build.parent,
        work=work,
        version="1.0",
        commit="c0ffee",
        epoch=0,
        inputs="same",
        architecture=architecture,
    )


def write_image(bake: context.Bake, content: bytes, *, more: dict[str, Any] | None = None) -> None:
    qcow2 = bake.work / "image.qcow2"
    qcow2.write_bytes(content)
    described = {"qcow2": manifest.describe_file(qcow2, name=f"{bake.name}.qcow2")}
    facts = {"tree_digest": "abc", "locked": True, **(more or {})}
    text = manifest.describe(bake, facts=facts, files=described, seconds={})
    manifest.publish(bake, {"qcow2": qcow2}, {"tree.txt": ""}, text, endings=stages.FORMATS)


def steps(*does: stages.Do) -> tuple[stages.Stage, ...]:
    return tuple(stages.Stage(name=f"s{i}", title="a test", do=do) for i, do in enumerate(does))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def names(plan: tuple[stages.Stage, ...]) -> list[str]:
    return [stage.name for stage in plan]


ROOT = ["packages", "wheels", "base", "unpack", "converge", "clean", "check", "root", "list"]
DISK = ["layer", "check-disk", "disk", "prove"]


def test_every_image_is_made_from_one_root_and_disks_from_one_disk() -> None:
    plan = names(stages.plan(stages.TARGETS["all"], rooted=False))
    assert plan[: len(ROOT + DISK)] == ROOT + DISK
    assert set(plan[len(ROOT + DISK) : -1]) == set(stages.FORMATS)
    assert plan[-1] == "publish"


def test_a_container_needs_no_kernel() -> None:
    assert names(stages.plan(["oci.tar"], rooted=False)) == [*ROOT, "oci.tar", "publish"]


def test_a_root_that_is_there_is_not_made_again() -> None:
    assert names(stages.plan(["oci.tar"], rooted=True)) == ["packages", "list", "oci.tar", "publish"]
    assert names(stages.plan(["ova"], rooted=True)) == ["packages", "list", *DISK, "vmdk", "ova", "publish"]
    assert names(stages.plan(["qcow2"], rooted=True)) == ["packages", "list", *DISK, "qcow2", "publish"]


def test_every_ending_of_a_target_is_a_format_and_all_has_them_all() -> None:
    assert set(stages.TARGETS["all"]) == set(stages.FORMATS)


@pytest.mark.parametrize("error", [ShedError("no"), OSError("no"), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_a_bake_that_ends_early_leaves_the_good_image_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    build = tmp_path / "build"
    with workdir(build) as work:
        write_image(context_in(build, work), b"good")
    before = files(build)

    def half(bake: context.Bake, state: stages.State) -> None:
        (bake.work / "image.qcow2").write_bytes(b"half")
        raise error

    with pytest.raises(type(error)), workdir(build) as work:
        stages.run(context_in(build, work), steps(half), tell=lambda _: None)
    assert files(build) == before
    assert (build / "images/trainshed-1.0-amd64.qcow2").read_bytes() == b"good"


def test_the_next_bake_removes_what_a_killed_one_left_and_nothing_of_a_running_one(tmp_path: Path) -> None:
    for owner in (DEAD, os.getppid()):
        (tmp_path / f"work.{owner}" / "root").mkdir(parents=True)
    with workdir(tmp_path):
        assert files(tmp_path) == {f"work.{os.getpid()}", f"work.{os.getppid()}", f"work.{os.getppid()}/root"}


def test_progress_is_a_line_for_each_stage_with_its_seconds(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "build").mkdir()
    stages.run(context_in(tmp_path / "build", tmp_path), steps(lambda b, s: None), tell=told.append)
    assert told == ["s0            0.0 s  a test"]


def test_progress_says_what_is_left_by_an_earlier_bake(tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "build").mkdir()
    two = steps(lambda b, s: None, lambda b, s: None)
    stages.run(context_in(tmp_path / "build", tmp_path), two, tell=told.append, before={"s0": 60, "s1": 42.4})
    assert [line.partition("test")[2] for line in told] == [" (about 42 s left)", ""]


def full_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=free))


def test_a_disk_that_fills_up_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(bake: context.Bake, state: stages.State) -> None:
        raise ShedError("mke2fs failed")

    full_disk(monkeypatch, 1000)
    with pytest.raises(ShedError, match="no space left") as caught:
        stages.run(context_in(tmp_path / "build", tmp_path), steps(fails), tell=lambda _: None)
    assert caught.value.code == Exit.NO_SPACE


def test_too_little_room_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(process, "need", lambda *programs: None)
    monkeypatch.setattr(foreign, "need", lambda architecture, within: None)
    full_disk(monkeypatch, 1 << 30)
    with pytest.raises(ShedError, match="6144 MB free") as caught:
        command.preflight(tmp_path / "build", AMD64)
    assert caught.value.code == Exit.NO_SPACE


def test_who_is_not_root_is_told_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ShedError) as caught:
        command.preflight(tmp_path / "build", AMD64)
    assert caught.value.code == Exit.MISSING
    assert caught.value.hint.startswith("run: sudo /")


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "mcopy" else f"/usr/bin/{program}")
    with pytest.raises(ShedError, match="mcopy") as caught:
        command.preflight(tmp_path / "build", AMD64)
    assert "mtools" in caught.value.hint
    assert caught.value.code == Exit.MISSING


def test_an_unknown_target_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bake", "toaster"])
    assert caught.value.code == Exit.USAGE
    assert "'toaster'" in capsys.readouterr().err


def test_a_machine_without_a_bios_gets_no_description_of_a_pc() -> None:
    assert stages.endings_of("all", AMD64) == stages.TARGETS["all"]
    assert set(stages.endings_of("all", ARM64)) == set(stages.TARGETS["all"]) - {"ova"}
    assert stages.endings_of("vm", ARM64) == ("qcow2", "vmdk", "vhd")


def test_a_dry_run_prints_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bake", "vm", "--dry-run", "--json"]) == Exit.OK
    assert [row["stage"] for row in json.loads(capsys.readouterr().out)] == [
        stage.name for stage in stages.plan(stages.TARGETS["vm"], rooted=False)
    ]


@pytest.fixture
def baked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose newest image was made from inputs called "same"."""
    with workdir(tmp_path / "build") as work:
        write_image(context_in(tmp_path / "build", work), b"good")
    monkeypatch.setattr(context, "checkout", lambda: tmp_path)
    monkeypatch.setattr(context, "input_digest", lambda root, architecture: "same")
    return tmp_path / "build" / "images"


def test_unchanged_inputs_are_not_baked_again(
    baked: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stages.TARGETS, "vm", ("qcow2",))
    assert main(["bake", "vm"]) == Exit.OK
    assert "nothing changed" in capsys.readouterr().out


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The files that `shed bake ...` sets out to make."""
    made: list[str] = []

    def run(bake: context.Bake, plan: tuple[stages.Stage, ...], **_: object) -> stages.State:
        made.extend(name for name in names(plan) if name in stages.FORMATS)
        raise ShedError("far enough")

    def ask(*words: str, commit: str = "c0ffee") -> list[str]:
        monkeypatch.setattr(context, "commit", lambda root: (commit, 0))
        assert main(["bake", *words]) == Exit.FAILED
        return made

    monkeypatch.setattr(stages, "run", run)
    monkeypatch.setattr(command, "preflight", lambda build, architecture: None)
    monkeypatch.setattr(context, "server_version", lambda root: "1.0")
    return ask


def test_another_target_of_the_same_inputs_is_baked_beside_it(baked: Path, asked: Callable[..., list[str]]) -> None:
    missing = set(stages.TARGETS["all"]) - {"qcow2"}
    assert set(asked("all")) == missing


def test_of_another_commit_every_file_is_made_anew(baked: Path, asked: Callable[..., list[str]]) -> None:
    assert set(asked("all", commit="beef")) == set(stages.TARGETS["all"])


def test_the_image_of_another_architecture_is_another_image(
    tmp_path: Path, baked: Path, asked: Callable[..., list[str]]
) -> None:
    assert asked("docker", "--architecture", "arm64") == ["oci.tar"]
    with workdir(tmp_path / "build") as work:
        write_image(context_in(tmp_path / "build", work, ARM64), b"also good")
    newest = {each: manifest.newest(baked, each) or {} for each in (AMD64, ARM64)}
    assert [newest[each]["architecture"] for each in newest] == ["amd64", "arm64"]
    assert [newest[each]["files"]["qcow2"]["file"] for each in newest] == [
        "trainshed-1.0-amd64.qcow2",
        "trainshed-1.0-arm64.qcow2",
    ]


def test_force_makes_all_that_is_asked_for_anew(baked: Path, asked: Callable[..., list[str]]) -> None:
    assert set(asked("vm", "--force")) == set(stages.TARGETS["vm"])


def test_locked_is_not_content_with_an_image_of_other_packages(
    tmp_path: Path, baked: Path, asked: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with workdir(tmp_path / "build") as work:
        write_image(context_in(tmp_path / "build", work), b"good", more={"locked": False})
    monkeypatch.setitem(stages.TARGETS, "vm", ("qcow2",))
    assert main(["bake", "vm"]) == Exit.OK
    assert asked("vm", "--locked", commit="beef")


def test_files_of_another_bake_do_not_stay_beside_the_image(tmp_path: Path, baked: Path) -> None:
    stale, other = baked / "trainshed-1.0-amd64.raw", baked / "trainshed-0.9-amd64.raw"
    for path in (stale, other):
        path.write_bytes(b"of an older commit")
    with workdir(tmp_path / "build") as work:
        write_image(context_in(tmp_path / "build", work), b"newer")
    assert not stale.exists()
    assert other.exists()


@pytest.mark.parametrize("damage", ["longer", "gone", "other bytes", "no JSON"])
def test_a_damaged_image_is_no_image(baked: Path, damage: str) -> None:
    image = baked / "trainshed-1.0-amd64.qcow2"
    assert (manifest.newest(baked) or {})["files"].keys() == {"qcow2"}
    damages: dict[str, Callable[[], object]] = {
        "longer": lambda: image.write_bytes(b"good and more"),
        "gone": image.unlink,
        "other bytes": lambda: image.write_bytes(b"baad"),
        "no JSON": lambda: (baked / "latest.json").write_text("{"),
    }
    damages[damage]()
    assert not (manifest.newest(baked) or {"files": {}})["files"]


def test_the_inputs_change_with_a_role_and_with_the_lock_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "INPUT_CODE", ())
    for name in context.INPUTS:
        path = tmp_path / name
        if "." in path.name:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("one")
        else:
            path.mkdir(parents=True)
    seen = {context.input_digest(tmp_path, AMD64), context.input_digest(tmp_path, AMD64)}
    assert len(seen) == 1
    for path in (tmp_path / "roles" / "new", tmp_path / packages.lock_of(AMD64)):
        path.write_text("")
        seen.add(context.input_digest(tmp_path, AMD64))
    assert len(seen) == 3
    (tmp_path / packages.lock_of(ARM64)).write_text("of others")
    assert context.input_digest(tmp_path, AMD64) in seen
    assert context.input_digest(tmp_path, ARM64) not in seen


def test_source_date_epoch_sets_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    commit, _ = context.commit(context.checkout())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    assert context.commit(context.checkout()) == (commit, 12345)


def test_python_distributions_are_those_in_the_tree() -> None:
    site = "opt/trainshed/releases/1/lib/python3.13/site-packages"
    listing = f"100644 0:0 aa\t{site}/Flask-3.1.3.dist-info/METADATA\n100644 0:0 bb\t{site}/flask/app.py\n"
    assert manifest.python_distributions(listing) == {"flask": "3.1.3"}


def test_debian_packages_are_those_installed() -> None:
    status = (
        "Package: bash\nEssential: yes\nStatus: install ok installed\nVersion: 5.2-1\nDescription: a shell\n more\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Package: zstd\nStatus: install ok installed\nVersion: 1.5.7+dfsg-1\n"
    )
    assert manifest.debian_packages(status) == {"bash": "5.2-1", "zstd": "1.5.7+dfsg-1"}
