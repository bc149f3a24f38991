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
from trainshed_provision.bake import context, manifest, vm
from trainshed_provision.bake.digest import file_digest
from trainshed_provision.bake.workdir import workdir
from trainshed_provision.cli import main
from trainshed_provision.commands import bake as command
from trainshed_provision.errors import Exit, ShedError

DEAD = 2**22 + 1  # above the largest process number Linux gives


def context_in(build: Path, work: Path) -> context.Bake:
    return context.Bake(checkout=build.parent, work=work, version="1.0", commit="c0ffee", epoch=0, inputs="same")


def write_image(bake: context.Bake, content: bytes) -> None:
    qcow2 = bake.work / "image.qcow2"
    qcow2.write_bytes(content)
    text = {"file": f"{bake.name}.qcow2", "bytes": len(content), "sha256": file_digest(qcow2)}
    manifest.publish(bake, qcow2, {**text, "debian": {"bash": "5"}, "inputs": bake.inputs, "name": bake.name})


def stages(*does: Callable[[context.Bake, vm.State], None]) -> tuple[vm.Stage, ...]:
    return tuple(vm.Stage(name=f"s{i}", title="a test", do=do) for i, do in enumerate(does))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_stages_make_the_tree_before_they_check_it_and_check_it_before_they_write() -> None:
    names = [stage.name for stage in vm.STAGES]
    assert names == ["wheels", "base", "unpack", "converge", "clean", "layer", "check", "disk", "compress", "publish"]


@pytest.mark.parametrize("error", [ShedError("no"), OSError("no"), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_a_bake_that_ends_early_leaves_the_good_image_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    build = tmp_path / "build"
    with workdir(build) as work:
        write_image(context_in(build, work), b"good")
    before = files(build)

    def half(bake: context.Bake, state: vm.State) -> None:
        (bake.work / "image.qcow2").write_bytes(b"half")
        raise error

    with pytest.raises(type(error)), workdir(build) as work:
        vm.run(context_in(build, work), tell=lambda _: None, stages=stages(half))
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
    vm.run(context_in(tmp_path / "build", tmp_path), tell=told.append, stages=stages(lambda b, s: None))
    assert told == ["s0           0.0 s  a test"]


def full_disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=free))


def test_a_disk_that_fills_up_is_named_as_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(bake: context.Bake, state: vm.State) -> None:
        raise ShedError("mke2fs failed")

    full_disk(monkeypatch, 1000)
    with pytest.raises(ShedError, match="no space left") as caught:
        vm.run(context_in(tmp_path / "build", tmp_path), tell=lambda _: None, stages=stages(fails))
    assert caught.value.code == Exit.NO_SPACE


def test_too_little_room_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(process, "need", lambda *programs: None)
    full_disk(monkeypatch, 1 << 30)
    with pytest.raises(ShedError, match="4096 MB free") as caught:
        command.preflight(tmp_path / "build")
    assert caught.value.code == Exit.NO_SPACE


def test_who_is_not_root_is_told_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ShedError) as caught:
        command.preflight(tmp_path / "build")
    assert caught.value.code == Exit.MISSING
    assert caught.value.hint.startswith("run: sudo /")


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "mcopy" else f"/usr/bin/{program}")
    with pytest.raises(ShedError, match="mcopy") as caught:
        command.preflight(tmp_path / "build")
    assert "mtools" in caught.value.hint
    assert caught.value.code == Exit.MISSING


def test_an_unknown_target_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["bake", "toaster"])
    assert caught.value.code == Exit.USAGE
    assert "'toaster'" in capsys.readouterr().err


def test_a_dry_run_prints_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bake", "vm", "--dry-run", "--json"]) == Exit.OK
    assert [row["stage"] for row in json.loads(capsys.readouterr().out)] == [stage.name for stage in vm.STAGES]


@pytest.fixture
def baked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose newest image was made from inputs called "same"."""
    with workdir(tmp_path / "build") as work:
        write_image(context_in(tmp_path / "build", work), b"good")
    monkeypatch.setattr(context, "checkout", lambda: tmp_path)
    monkeypatch.setattr(context, "input_digest", lambda root, week: "same")
    return tmp_path / "build" / "images"


def test_unchanged_inputs_are_not_baked_again(
    baked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extra: dict[str, Any] = json.loads((baked / "latest.json").read_text())
    (baked / "latest.json").write_text(json.dumps({**extra, "version": "1.0", "tree_digest": "abc"}))
    assert main(["bake", "vm"]) == Exit.OK
    assert "nothing changed" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["longer", "gone", "other bytes", "no JSON"])
def test_a_damaged_image_is_no_image(baked: Path, damage: str) -> None:
    image = baked / "trainshed-1.0-amd64.qcow2"
    assert manifest.newest(baked) is not None
    damages: dict[str, Callable[[], object]] = {
        "longer": lambda: image.write_bytes(b"good and more"),
        "gone": image.unlink,
        "other bytes": lambda: image.write_bytes(b"baad"),
        "no JSON": lambda: (baked / "latest.json").write_text("{"),
    }
    damages[damage]()
    assert manifest.newest(baked) is None


def test_the_inputs_change_with_a_role_and_with_the_week(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "INPUT_CODE", ())
    for name in context.INPUTS:
        path = tmp_path / name
        if "." in path.name:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("one")
        else:
            path.mkdir(parents=True)
    first = context.input_digest(tmp_path, week="2026-W01")
    assert context.input_digest(tmp_path, week="2026-W01") == first
    assert context.input_digest(tmp_path, week="2026-W02") != first
    (tmp_path / "roles" / "new").write_text("")
    assert context.input_digest(tmp_path, week="2026-W01") != first


def test_python_distributions_are_read_from_the_wheelhouse() -> None:
    text = "flask==3.1.3 --hash=sha256:aa\ntrainshed==0.1.0 --hash=sha256:bb\n"
    assert manifest.python_distributions(text) == {"flask": "3.1.3", "trainshed": "0.1.0"}
