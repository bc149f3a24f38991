"""One experiment, as a user would write it with the unmodified clearml client; its sizes alone say what it logs.

    python tests/experiment.py log --result FILE [sizes]            logs it, writes {"task": id}
    python tests/experiment.py read --task ID --result FILE         reads it all back, writes a Record

Each command is meant to be a process of its own with CLEARML_API_HOST, CLEARML_WEB_HOST, CLEARML_FILES_HOST,
CLEARML_API_ACCESS_KEY, CLEARML_API_SECRET_KEY and a HOME that holds no clearml.conf and no cache. Tests call
`run_log` and `run_read`, which start such a process, and compare what comes back with `expected(sizes)`.
"""

import argparse
import hashlib
import io
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image

from trainshed.testing.live import CLIENT_SETTINGS, clean_environment

Record = dict[str, Any]
"""All that one experiment holds, in plain JSON values: equal records mean equal experiments."""

PROJECT = "Trainshed/proof"
NAME = "an experiment: sizes & values #1"  # with characters that a URL must quote
CHART, IMAGES, PLOTS, CONSOLE = "curve", "samples", "figures", "console line"
ARTIFACT, MODEL, CONFIGURATION = "data set", "trained net", "schedule"
HYPERPARAMETERS: dict[str, object] = {"lr": 0.001, "batch size": 64, "optimizer/name": "adam", "note": "é ü 漢字 $x.y"}
SCHEDULE = {"warmup": 5, "steps": [10, 20, 30], "nested": {"gamma": 0.1, "name": "cosine"}}
TAGS = ["proof", "first slice"]
LABELS = {"background": 0, "train": 1, "shed": 2}
EVERY_REPORT = 1_000_000  # "all of them" where the client wants a count
MIB = 1024 * 1024
RUN_SECONDS = 600  # a client that waits longer for an emulated server hangs


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is logged: counts, and MiB for the files."""

    points: int = 5000  # over all series
    series: int = 10
    lines: int = 200
    plots: int = 2
    images: int = 3
    artifact_mib: int = 20
    weights_mib: int = 2


def expected(sizes: Sizes) -> Record:
    """What `read` finds when nothing was lost or changed."""
    scalars = {name: [list(point) for point in points] for name, points in _scalars(sizes)}
    return {
        "scalars": scalars,
        "raw scalars": scalars,
        "last values": {name: points[-1][1] for name, points in scalars.items()},
        "console": [_line(i) for i in range(sizes.lines)],
        "plots": {f"plot {i}": _figure(i) for i in range(sizes.plots)},
        "images": {f"image {i}": hashlib.sha256(_png(i)).hexdigest() for i in range(sizes.images)},
        "artifact": {"sha256": _sha256_of_blocks(sizes.artifact_mib), "said": _sha256_of_blocks(sizes.artifact_mib)},
        "model": {"name": MODEL, "sha256": _sha256_of_blocks(sizes.weights_mib), "labels": LABELS},
        "hyperparameters": {name: str(value) for name, value in HYPERPARAMETERS.items()},
        "configuration": SCHEDULE,
        "tags": sorted(TAGS),
        "project": PROJECT,
        "name": NAME,
        "status": "completed",
    }


def log(sizes: Sizes, folder: Path) -> str:
    """Log the experiment, its files made in folder; return the task's id."""
    from clearml import OutputModel, Task  # the client reads its environment and hooks the process when imported

    task: Any = Task.init(project_name=PROJECT, task_name=NAME, tags=TAGS)
    task.connect(dict(HYPERPARAMETERS))
    task.connect_configuration(SCHEDULE, name=CONFIGURATION)
    logger = task.get_logger()
    for name, points in _scalars(sizes):
        for iteration, value in points:
            logger.report_scalar(CHART, name, value=value, iteration=iteration)
    for i in range(sizes.lines):
        print(_line(i))
    for i in range(sizes.plots):
        logger.report_plotly(PLOTS, f"plot {i}", iteration=0, figure=_figure(i))
    for i in range(sizes.images):
        path = folder / f"image {i}.png"
        path.write_bytes(_png(i))
        logger.report_image(IMAGES, f"image {i}", iteration=i, local_path=str(path))
    task.upload_artifact(ARTIFACT, _write_blocks(folder / "data.bin", sizes.artifact_mib), wait_on_upload=True)
    model = OutputModel(task=task, name=MODEL, framework="PyTorch", label_enumeration=LABELS)
    weights = _write_blocks(folder / "weights.bin", sizes.weights_mib)
    # In the background, the default: without it the client registers an address that it forgot to quote.
    model.update_weights(weights, upload_uri=os.environ["CLEARML_FILES_HOST"], auto_delete_file=False)
    task.close()
    return str(task.id)


def read(task_id: str, sizes: Sizes) -> Record:
    """Read the experiment back through the client. sizes: how many images to ask for; the rest is found."""
    from clearml import StorageManager, Task

    def image(name: str) -> str:
        (sample,) = task.get_debug_samples(IMAGES, name)
        return _sha256_of(str(StorageManager.get_local_copy(sample["url"])))

    task: Any = Task.get_task(task_id=task_id)
    artifact, model = task.artifacts[ARTIFACT], task.models["output"][0]
    reports = task.get_reported_console_output(number_of_reports=EVERY_REPORT)
    return {
        "scalars": _points(task.get_reported_scalars()),
        "raw scalars": _points(task.get_all_reported_scalars()),
        "last values": {name: value["last"] for name, value in task.get_last_scalar_metrics()[CHART].items()},
        "console": [line for report in reports for line in report.splitlines() if line.startswith(CONSOLE)],
        "plots": {p["variant"]: json.loads(p["plot_str"]) for p in task.get_reported_plots()},
        "images": {name: image(name) for name in (f"image {i}" for i in range(sizes.images))},
        "artifact": {"sha256": _sha256_of(artifact.get_local_copy()), "said": artifact.hash},
        "model": {"name": model.name, "sha256": _sha256_of(model.get_local_copy()), "labels": model.labels},
        "hyperparameters": {k.removeprefix("General/"): v for k, v in task.get_parameters().items() if "General/" in k},
        "configuration": task.get_configuration_object_as_dict(CONFIGURATION),
        "tags": sorted(task.get_tags()),
        "project": task.get_project_name(),
        "name": task.name,
        "status": task.get_status(),
    }


def run_log(sizes: Sizes, *, server: Mapping[str, str], folder: Path) -> str:
    """Log in a fresh process; return the task's id. server: the CLEARML_* variables. folder: made here, its HOME."""
    return str(_run(["log"], sizes, server=server, folder=folder)["task"])


def run_read(task_id: str, sizes: Sizes, *, server: Mapping[str, str], folder: Path) -> Record:
    """Read in a fresh process; folder as in run_log, another one, so that nothing comes from a cache."""
    return _run(["read", "--task", task_id], sizes, server=server, folder=folder)


def _run(command: list[str], sizes: Sizes, *, server: Mapping[str, str], folder: Path) -> Record:
    folder.mkdir(parents=True)
    # A copy, for the client reads every Python file of the repository that a script is in, this one's .venv included.
    script = shutil.copy(__file__, folder)
    (folder / "clearml.conf").write_text(CLIENT_SETTINGS)
    result = folder / "result.json"
    options = [f"--{name.replace('_', '-')}={value}" for name, value in asdict(sizes).items()]
    done = subprocess.run(
        [sys.executable, script, *command, f"--result={result}", *options],
        cwd=folder,
        env={**clean_environment(), **server, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0 and result.exists(), f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"
    record: Record = json.loads(result.read_text())
    return record


def _scalars(sizes: Sizes) -> Iterator[tuple[str, list[tuple[int, float]]]]:
    """Series name and its (iteration, value) points; values that need all 53 bits of a float."""
    for s in range(sizes.series):
        points = range(s, sizes.points, sizes.series)
        yield f"series {s}", [(i, math.sin(point * 0.37) / (s + 3)) for i, point in enumerate(points)]


def _points(scalars: Mapping[str, Any]) -> dict[str, list[list[float]]]:
    """The points of our chart (the client adds charts of its own), by iteration."""
    return {name: sorted([x, y] for x, y in zip(s["x"], s["y"], strict=True)) for name, s in scalars[CHART].items()}


def _line(i: int) -> str:
    return f'{CONSOLE} {i:05d}: ünïcode ✓ <b>&amp;</b> \\ "'


def _figure(i: int) -> dict[str, Any]:
    trace = {"type": "scatter", "name": f"trace {i}", "x": list(range(50)), "y": [math.cos(x + i) for x in range(50)]}
    return {"data": [trace], "layout": {"title": f"plot {i}", "xaxis": {"title": "step"}}}


def _image(i: int) -> Image.Image:
    return Image.radial_gradient("L").rotate(30 * i).resize((64, 64))


def _png(i: int) -> bytes:
    buffer = io.BytesIO()
    _image(i).save(buffer, "PNG")
    return buffer.getvalue()


def _blocks(mib: int) -> Iterator[bytes]:
    """Pseudo-random MiB blocks, a file that no compression shortens."""
    for i in range(mib):
        yield random.Random(i).randbytes(MIB)


def _write_blocks(path: Path, mib: int) -> str:
    with path.open("wb") as out:
        out.writelines(_blocks(mib))
    return str(path)


def _sha256_of_blocks(mib: int) -> str:
    digest = hashlib.sha256()
    for block in _blocks(mib):
        digest.update(block)
    return digest.hexdigest()


def _sha256_of(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    """Parse the command line and run `log` or `read`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["log", "read"])
    parser.add_argument("--task", help="id of the task to read")
    parser.add_argument("--result", type=Path, required=True, help="file to write the answer to, as JSON")
    for field in fields(Sizes):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int, default=field.default)
    options = parser.parse_args()
    sizes = Sizes(**{field.name: getattr(options, field.name) for field in fields(Sizes)})
    if options.command == "log":
        with tempfile.TemporaryDirectory() as folder:
            answer: Record = {"task": log(sizes, Path(folder))}
    else:
        answer = read(options.task, sizes)
    options.result.write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
