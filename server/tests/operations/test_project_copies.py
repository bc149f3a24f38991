"""A project that goes to another server: what arrives, twice, and what is refused."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trainshed import bootstrap, cli
from trainshed.adapters.files.vault import digest_of, with_sum
from trainshed.cli.common import Exit
from trainshed.domain.identity import DEFAULT_COMPANY
from trainshed.ports.events import ImageEvent, LogEvent, PlotEvent, ScalarEvent, VectorEvent
from trainshed.settings import Settings

Run = Callable[..., dict[str, Any]]
TASK, MODEL, CHILD, OTHER, TOP, SUB = (f"{n:032x}" for n in range(1, 7))
FOLDER = f"team/vision/a task.{TASK}"
URL = f"http://localhost:8081/{FOLDER}"
MOMENT = "2026-01-01T00:00:00.000000+00:00"


def project(name: str, project_id: str, *above: str) -> dict[str, Any]:
    made = {"id": project_id, "name": name, "basename": name.rpartition("/")[2], "path": list(above)}
    return {**made, **({"parent": above[-1]} if above else {}), "company": DEFAULT_COMPANY, "last_update": MOMENT}


def document(name: str, document_id: str, home: str, **fields: Any) -> dict[str, Any]:
    shared = {"company": DEFAULT_COMPANY, "user": "u", "created": MOMENT, "last_update": MOMENT}
    return {"id": document_id, "name": name, "project": home, **shared, **fields}


def opened(data: Path) -> bootstrap.Engines:
    return bootstrap.open_engines(Settings(data_dir=data, durable=False))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    data = tmp_path / "source"
    engines = opened(data)
    parent = f"{9:032x}"
    for made in (
        project("team", parent),
        project("team/vision", TOP, parent),
        project("team/vision/old", SUB, parent, TOP),
        project("team/vision2", OTHER, parent),
    ):
        engines.documents.insert("projects", made)
    artifact = {"key": "a", "type": "custom", "uri": f"{URL}/artifacts/a/a.bin"}
    execution = {"artifacts": [artifact], "queue": "q"}
    engines.documents.insert("tasks", document("a task", TASK, TOP, status="queued", execution=execution))
    engines.documents.insert("tasks", document("a child", CHILD, SUB, status="completed", execution={}, parent=TASK))
    engines.documents.insert("tasks", document("another", OTHER, OTHER, status="created", execution={}))
    engines.documents.insert("models", document("a model", MODEL, TOP, uri=f"{URL}/models/m.bin", task=TASK))
    engines.events.add(
        [
            *(ScalarEvent(task=TASK, metric="m", variant="v", iter=i, value=i / 3, timestamp=i) for i in range(2500)),
            ScalarEvent(task=TASK, metric="m", variant="single", iter=-(2**31), value=7, timestamp=1),
            *(LogEvent(task=TASK, msg=f"line {i}", timestamp=i // 2) for i in range(2500)),
            *(PlotEvent(task=TASK, metric="p", variant="v", iter=i, plot_str="{}", timestamp=i) for i in range(50)),
            ImageEvent(task=TASK, metric="i", variant="v", url=f"{URL}/metrics/i.png", timestamp=3),
            VectorEvent(task=TASK, metric="h", variant="v", values=[1, 2], timestamp=3),
            ScalarEvent(task=MODEL, metric="m", variant="v", iter=1, value=1, timestamp=1, model_event=True),
            ScalarEvent(task=OTHER, metric="m", variant="v", iter=1, value=1, timestamp=1),
        ]
    )
    engines.blobs.put(f"{FOLDER}/artifacts/a/a.bin", [b"artifact" * 300_000])
    engines.blobs.put(f"{FOLDER}/models/m.bin", [b"weights"])
    engines.blobs.put(f"{FOLDER}/metrics/i.png", [b"image"])
    engines.blobs.put("elsewhere/secret", [b"not of the project"])
    engines.close()
    return data


@pytest.fixture
def target(tmp_path: Path) -> Path:
    opened(tmp_path / "target").close()
    return tmp_path / "target"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object, code: int = Exit.OK) -> dict[str, Any]:
        capsys.readouterr()
        assert cli.main(["project", *map(str, arguments), "--json"]) == code
        said = capsys.readouterr()
        found: dict[str, Any] = json.loads(said.out) if said.out else {"refused": said.err}
        return found

    return call


def content(data: Path) -> dict[str, Any]:
    engines = opened(data)
    events = engines.events
    found = {
        "documents": [engines.documents.find(name) for name in ("tasks", "models")],
        "projects": sorted((p["name"], p["id"]) for p in engines.documents.find("projects")),
        "curves": [
            (s.variant, s.iters.tolist(), s.timestamps.tolist(), s.values.tolist())
            for owner in (TASK, MODEL)
            for single in (False, True)
            for s in events.scalars(owner, single=single)
        ],
        "logs": [event.msg for event in events.logs(TASK, limit=10_000).events],
        "samples": [events.samples(TASK, kind) for kind in ("plot", "training_debug_image", "training_stats_vector")],
        "files": {info.key: info.size for info in engines.blobs.files()},
    }
    engines.close()
    return found


def test_everything_arrives_and_a_second_time_changes_nothing(
    source: Path, target: Path, tmp_path: Path, run: Run
) -> None:
    copy = tmp_path / "copy.tar"
    exported = run("export", "team/vision", copy, f"--data-dir={source}")
    assert exported == {"projects": 2, "files": 3, "owners of events": 2, "tasks": 2, "models": 1}
    assert copy.stat().st_mode & 0o077 == 0
    assert run("import", copy, f"--data-dir={target}") == {"projects": 2, "files": 3, "tasks": 2, "models": 1}
    there, here = content(source), content(target)
    assert [name for name, _ in here["projects"]] == ["team", "team/vision", "team/vision/old"]
    assert dict(here["projects"])["team/vision"] == TOP
    tasks, models = here["documents"]
    assert {task["id"]: task["status"] for task in tasks} == {TASK: "created", CHILD: "completed"}
    assert "queue" not in tasks[0]["execution"]
    assert models == there["documents"][1]
    assert {**here, "documents": 0, "projects": 0, "files": 0} == {**there, "documents": 0, "projects": 0, "files": 0}
    assert here["files"] == {key: size for key, size in there["files"].items() if key.startswith("team")}
    again = run("import", copy, f"--data-dir={target}")
    assert not any(again.values())
    assert content(target) == here


def test_what_changed_here_since_stays(source: Path, target: Path, tmp_path: Path, run: Run) -> None:
    copy = tmp_path / "copy.tar"
    run("export", "team/vision", copy, f"--data-dir={source}")
    run("import", copy, f"--data-dir={target}")
    engines = opened(target)
    later = "2026-02-01T00:00:00.000000+00:00"
    engines.documents.update("tasks", TASK, lambda task: task.update(name="mine", last_update=later))
    engines.documents.update("tasks", CHILD, lambda task: task.update(name="not finished"))
    engines.events.delete([CHILD])
    engines.close()
    assert run("import", copy, f"--data-dir={target}") == {"projects": 0, "files": 0, "newer here": 1, "tasks": 1}
    engines = opened(target)
    assert {task["name"] for task in engines.documents.find("tasks")} == {"mine", "a child"}
    engines.close()


def test_a_project_of_that_name_is_the_same_one(source: Path, target: Path, tmp_path: Path, run: Run) -> None:
    engines = opened(target)
    engines.documents.insert("projects", project("team", OTHER))
    engines.documents.insert("projects", project("team/vision", MODEL, OTHER))
    engines.close()
    run("export", "team/vision", tmp_path / "copy.tar", f"--data-dir={source}")
    assert run("import", tmp_path / "copy.tar", f"--data-dir={target}")["projects"] == 1
    engines = opened(target)
    assert (engines.documents.get("tasks", TASK) or {})["project"] == MODEL
    sub = engines.documents.get("projects", SUB) or {}
    assert (sub["parent"], sub["path"]) == (MODEL, [OTHER, MODEL])
    engines.close()


def test_what_is_refused(source: Path, target: Path, tmp_path: Path, run: Run) -> None:
    copy = tmp_path / "copy.tar"
    run("export", "team/visio", copy, f"--data-dir={source}", code=Exit.MISSING)
    assert not copy.exists()
    run("import", copy, f"--data-dir={target}", code=Exit.MISSING)
    run("export", "team/vision", copy, f"--data-dir={source}")
    run("export", "team/vision", copy, f"--data-dir={source}", code=Exit.CONFLICT)
    assert cli.main(["restore", str(copy), f"--data-dir={tmp_path / 'new'}"]) == Exit.CORRUPT
    assert not (tmp_path / "new").exists()
    assert cli.main(["backup", str(tmp_path / "b.tar"), f"--data-dir={source}"]) == Exit.OK
    run("import", tmp_path / "b.tar", f"--data-dir={target}", code=Exit.CORRUPT)


HEADER = {"format": 1, "project": "p", "product": "0", "moment": MOMENT}
P = {"id": TOP, "name": "p", "basename": "p", "path": []}
BAD: dict[str, list[Any]] = {
    "later": [{**HEADER, "format": 2}],
    "no header": [{"format": 1}],
    "a file above": [HEADER, ("file", "../x", b"x")],
    "an absolute file": [HEADER, ("file", "/etc/x", b"x")],
    "a reserved file": [HEADER, ("file", "health", b"x")],
    "credentials": [HEADER, ("credentials", {"id": TASK, "name": "n"})],
    "users": [HEADER, ("users", {"id": TASK, "name": "n", "role": "admin"})],
    "an id": [HEADER, ("projects", {**P, "id": "../x"})],
    "a name": [HEADER, ("projects", {**P, "name": 5})],
    "no project": [HEADER, ("tasks", document("t", TASK, OTHER, execution={}))],
    "no task": [HEADER, ("projects", P), ("tasks", document("t", TASK, TOP, execution=5))],
    "another's events": [
        HEADER,
        ("projects", P),
        ("events", TASK, [{"type": "log", "task": OTHER, "msg": "forged"}]),
        ("tasks", document("t", TASK, TOP, execution={})),
    ],
    "no line": [HEADER, 5],
}


@pytest.mark.parametrize("lines", BAD.values(), ids=BAD)
def test_copies_that_were_tampered_with(target: Path, tmp_path: Path, run: Run, lines: list[Any]) -> None:
    pieces: dict[str, bytes] = {}

    def put(content: bytes) -> str:
        pieces[digest_of(content)] = content
        return digest_of(content)

    def line(said: Any) -> Any:
        if not isinstance(said, tuple):
            return said
        if said[0] == "file":
            return {"type": "file", "key": said[1], "pieces": [put(said[2])]}
        if said[0] == "events":
            return {"type": "events", "owner": said[1], "batches": [[put(msgspec.json.encode(said[2]))]]}
        return {"type": "document", "collection": said[0], "pieces": [put(msgspec.json.encode(said[1]))]}

    text = with_sum([msgspec.json.encode(line(said)) for said in lines])
    with tarfile.open(tmp_path / "bad.tar", "w:") as tar:
        for name, held in {**{f"pieces/{d}": p for d, p in pieces.items()}, "backups/project": text}.items():
            member = tarfile.TarInfo(name)
            member.size = len(held)
            tar.addfile(member, io.BytesIO(held))
    run("import", tmp_path / "bad.tar", f"--data-dir={target}", code=Exit.CORRUPT)
    here = content(target)
    assert here["documents"] == [[], []]
    assert here["files"] == {}
    assert here["logs"] == []
    assert not (tmp_path / "x").exists()
