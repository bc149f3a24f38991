"""Plans for a virtual machine: the same wish and the same world give the same steps, and some worlds give a refusal."""

from dataclasses import replace

import pytest

from trainshed_provision import plan
from trainshed_provision.errors import Exit, ShedError
from trainshed_provision.plan import Observed, Part
from trainshed_provision.spec import GIB, Ports, VmSpec

SPEC = VmSpec()
PARTS: frozenset[Part] = frozenset({"key", "seed", "system", "data"})
NOTHING = Observed(free_bytes=100 * GIB)
STOPPED = replace(NOTHING, recorded=SPEC, parts=PARTS, data_bytes=8 * GIB, data_content=plan.OURS)
RUNNING = replace(STOPPED, running=True)
HEALTHY = replace(RUNNING, healthy=True)


@pytest.mark.parametrize(
    ("spec", "observed", "expected"),
    [
        pytest.param(
            SPEC, NOTHING, "make folder, make key, make seed, make system, make data, start, wait", id="from nothing"
        ),
        pytest.param(
            replace(SPEC, firmware="uefi"),
            NOTHING,
            "make folder, make key, make seed, make system, make firmware, make data, start, wait",
            id="from nothing, uefi",
        ),
        pytest.param(
            replace(SPEC, data_disk="/d"),
            NOTHING,
            "make folder, make key, make seed, make system, start, wait",
            id="own data disk",
        ),
        pytest.param(SPEC, STOPPED, "start, wait", id="stopped"),
        pytest.param(SPEC, RUNNING, "wait", id="running, not healthy"),
        pytest.param(SPEC, HEALTHY, "", id="running and healthy"),
        pytest.param(SPEC, replace(STOPPED, parts=PARTS - {"system"}), "make system, start, wait", id="another image"),
        pytest.param(
            SPEC,
            replace(STOPPED, parts=frozenset({"key"}), data_bytes=0),
            "make seed, make system, make data, start, wait",
            id="half made",
        ),
        pytest.param(replace(SPEC, cpus=4), STOPPED, "record, start, wait", id="stopped, other settings"),
        pytest.param(replace(SPEC, data_gib=9), STOPPED, "record, grow data, start, wait", id="stopped, more data"),
        pytest.param(replace(SPEC, data_gib=9), HEALTHY, "grow data, record", id="running, more data"),
    ],
)
def test_launch(spec: VmSpec, observed: Observed, expected: str) -> None:
    assert ", ".join(step.do for step in plan.launch(spec, observed)) == expected


@pytest.mark.parametrize(
    ("spec", "observed", "code", "words"),
    [
        pytest.param(SPEC, replace(NOTHING, foreign=True), Exit.CONFLICT, "did not make", id="folder of another"),
        pytest.param(SPEC, replace(NOTHING, taken=frozenset({"api"})), Exit.CONFLICT, "8008 (api)", id="port in use"),
        pytest.param(
            SPEC, replace(NOTHING, data_content="ext4 labelled 'backup'"), Exit.CONFLICT, "'backup'", id="foreign data"
        ),
        pytest.param(SPEC, replace(NOTHING, free_bytes=8 * GIB), Exit.NO_SPACE, "9.0 GiB needed", id="no space"),
        pytest.param(replace(SPEC, cpus=4), HEALTHY, Exit.CONFLICT, "(cpus)", id="running with other settings"),
        pytest.param(replace(SPEC, data_gib=4), STOPPED, Exit.CONFLICT, "never made smaller", id="less data"),
    ],
)
def test_launch_refuses(spec: VmSpec, observed: Observed, code: Exit, words: str) -> None:
    with pytest.raises(ShedError) as caught:
        plan.launch(spec, observed)
    assert (caught.value.code, words in caught.value.message, bool(caught.value.hint)) == (code, True, True)


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with pytest.raises(ShedError) as caught:
        plan.launch(SPEC, replace(NOTHING, taken=frozenset({"web", "ssh"})))
    assert caught.value.hint == "choose another: --ssh-port N --web-port N"


@pytest.mark.parametrize(
    ("observed", "data", "expected"),
    [
        pytest.param(NOTHING, True, "", id="nothing there"),
        pytest.param(HEALTHY, False, "stop, remove machine", id="running"),
        pytest.param(STOPPED, False, "remove machine", id="stopped"),
        pytest.param(STOPPED, True, "remove machine, remove data", id="with its data"),
        pytest.param(replace(STOPPED, parts=frozenset({"data"})), False, "", id="only the data left"),
        pytest.param(
            replace(STOPPED, parts=frozenset({"data"})), True, "remove data", id="only the data left, too much"
        ),
        pytest.param(replace(STOPPED, data_bytes=0), False, "remove machine, remove data", id="data elsewhere"),
    ],
)
def test_destroy(observed: Observed, data: bool, expected: str) -> None:
    assert ", ".join(step.do for step in plan.destroy(SPEC, observed, data=data)) == expected


def test_destroy_refuses_a_folder_of_another() -> None:
    with pytest.raises(ShedError, match="did not make"):
        plan.destroy(SPEC, replace(NOTHING, foreign=True), data=True)


def test_stop() -> None:
    assert [step.do for step in plan.stop(HEALTHY)] == ["stop"]
    assert plan.stop(STOPPED) == ()


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"name": "../up"}, id="name with a path"),
        pytest.param({"name": "Ünder"}, id="name that is no host name"),
        pytest.param({"ports": Ports(web=99999)}, id="no such port"),
        pytest.param({"ports": Ports(web=8008)}, id="one port twice"),
        pytest.param({"cpus": 0}, id="no processor"),
        pytest.param({"memory_mib": 100}, id="too little memory"),
    ],
)
def test_a_spec_refuses_what_no_machine_can_have(fields: dict[str, object]) -> None:
    with pytest.raises(ShedError) as caught:
        VmSpec(**fields)  # type: ignore[arg-type]  # that is the test
    assert caught.value.code == Exit.USAGE


def test_a_spec_survives_its_record() -> None:
    spec = VmSpec(name="x", ports=Ports(web=1, api=2, files=3, ssh=4), firmware="uefi", data_disk="/d")
    assert VmSpec.from_json(spec.as_json()) == spec
