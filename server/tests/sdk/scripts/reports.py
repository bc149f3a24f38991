"""Every kind of report, and what the client reads back."""

import io
import json
import logging
import sys
from pathlib import Path

import numpy as np
from clearml import Logger, StorageManager, Task
from PIL import Image

PIXELS = np.full((8, 8, 3), (250, 120, 20), dtype=np.uint8)
JPEG_LOSS = 3  # of a plain colour

task = Task.init(project_name="Sdk/reports", task_name="of every kind")
logger = task.get_logger()

for i in range(3):
    for series in ("train", "val"):
        logger.report_scalar("loss", series, value=i + (series == "val") / 2, iteration=i)
Logger.current_logger().report_scalar("100 % of $x.y/z", "a.b", value=1.5, iteration=7)
logger.report_single_value("best", 0.25)
logger.report_single_value("worst", 4)

logger.report_histogram(
    "histogram", "of two", iteration=0, values=[[1, 2], [3, 4]], xlabels=["a", "b"], labels=["l", "r"]
)
logger.report_scatter2d("scatter", "flat", scatter=np.array([[0, 1], [2, 3]]), iteration=0, mode="lines+markers")
logger.report_scatter3d("scatter", "deep", scatter=np.array([[0, 1, 2], [3, 4, 5]]), iteration=0)
logger.report_confusion_matrix(
    "matrix", "confusion", matrix=np.array([[9, 1], [2, 8]]), iteration=0, xlabels=["a", "b"]
)
logger.report_surface("surface", "hill", matrix=np.array([[0, 1], [1, 2]]), iteration=0)
logger.report_table("table", "rows", iteration=0, table_plot=[["name", "value"], ["a", 1], ["b", 2]])
logger.report_plotly("figure", "plotly", figure={"data": [{"type": "bar", "y": [1, 4, 9]}], "layout": {}}, iteration=2)

logger.report_image("images", "array", iteration=1, image=PIXELS)
logger.report_image("images", "picture", iteration=1, image=Image.fromarray(PIXELS))
logger.report_image("images", "elsewhere", iteration=1, url="https://elsewhere.example/a.png")
logger.report_media("pages", "html", iteration=0, stream=io.StringIO("<h1>hello</h1>"), file_extension=".html")
Path("sound.wav").write_bytes(b"RIFF....WAVE")
logger.report_media("sounds", "local", iteration=0, local_path="sound.wav")

print("printed: é 漢字")
sys.stderr.write("to the standard error\n")
logger.report_text("reported text", level=logging.WARNING, print_console=False)
logging.getLogger("a.module").warning("logged by a module")
logger.flush(wait=True)
task.close()

read = Task.get_task(task_id=task.id)
samples = {}
for title, series in (
    ("images", "array"),
    ("images", "picture"),
    ("images", "elsewhere"),
    ("pages", "html"),
    ("sounds", "local"),
):
    samples[series] = read.get_debug_samples(title, series)[0]["url"]


def download(series: str) -> bytes:
    return Path(StorageManager.get_local_copy(samples[series])).read_bytes()


def distance(file: bytes) -> int:
    return int(np.abs(np.array(Image.open(io.BytesIO(file))).astype(int) - PIXELS).max())


console = "\n".join(read.get_reported_console_output(number_of_reports=100))
plots = {}
for plot in read.get_reported_plots():
    figure = json.loads(plot["plot_str"])
    plots[plot["metric"] + "/" + plot["variant"]] = [
        figure["data"][0]["type"] if figure["data"] else None,
        plot["iter"],
    ]
answer = {
    "scalars": {
        title: {series: [curve["x"], curve["y"]] for series, curve in curves.items()}
        for title, curves in read.get_reported_scalars().items()
        if not title.startswith(":monitor")
    },
    "all": read.get_all_reported_scalars()["loss"]["val"]["y"],
    "by time": len(read.get_reported_scalars(x_axis="timestamp")["loss"]["train"]["x"]),
    "last": read.get_last_scalar_metrics()["loss"]["val"],
    "last iteration": read.get_last_iteration(),
    "single": read.get_reported_single_values(),
    "one single": read.get_reported_single_value("best"),
    "no single": read.get_reported_single_value("nothing"),
    "plots": plots,
    "images": [distance(download(series)) <= JPEG_LOSS for series in ("array", "picture")],
    "elsewhere": samples["elsewhere"],
    "html": download("html").decode(),
    "sound": download("local").decode(),
    "console": [
        line in console
        for line in ("printed: é 漢字", "to the standard error", "reported text", "logged by a module", "never said")
    ],
}
print(json.dumps({"task": task.id, **answer}))
