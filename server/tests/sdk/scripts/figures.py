"""What pandas and matplotlib make: a table and an artifact of a data frame, figures shown and reported."""

import json

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import pandas as pd
from clearml import Task

FRAME = pd.DataFrame({"name": ["a", "b"], "value": [1.5, 2.5]}, index=[10, 11])

task = Task.init(project_name="Sdk/figures", task_name="of libraries")
logger = task.get_logger()

logger.report_table("table", "frame", iteration=0, table_plot=FRAME)
task.upload_artifact("frame", FRAME, wait_on_upload=True)
task.register_artifact("watched", FRAME)

plt.plot([1, 2, 3], [1, 4, 9], label="squares")
plt.title("shown by itself")
plt.show()
figure, axes = plt.subplots()
axes.bar(["a", "b"], [3, 4])
logger.report_matplotlib_figure("bars", "as a plot", figure=figure, iteration=1)
logger.report_matplotlib_figure("bars", "as a picture", figure=figure, iteration=1, report_image=True)
task.flush(wait_for_uploads=True)
task_id = task.id
task.close()

read = Task.get_task(task_id=task_id)
plots = {f"{plot['metric']}/{plot['variant']}": json.loads(plot["plot_str"]) for plot in read.get_reported_plots()}
(cells,) = [plot["data"][0]["cells"]["values"] for name, plot in plots.items() if name == "table/frame"]
answer = {
    "table": cells,
    "frame": read.artifacts["frame"].get().reset_index(drop=True).to_dict(orient="list"),
    "watched": read.artifacts["watched"].get().reset_index(drop=True)[["name", "value"]].to_dict(orient="list"),
    "preview": "1.5" in read.artifacts["frame"].preview,
    "figures": sorted(name for name in plots if name != "table/frame"),
    "picture": read.get_debug_samples("bars", "as a picture")[0]["url"].rpartition(".")[2],
}
print(json.dumps(answer))
