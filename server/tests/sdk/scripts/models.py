"""Models that report, are a package of files, stand elsewhere, are removed, and follow from each other."""

import json
from pathlib import Path

import numpy as np
from clearml import InputModel, Model, OutputModel, Task

PROJECT = "Sdk/models"

task = Task.init(project_name=PROJECT, task_name="makes models", output_uri=True)
base = InputModel.import_model(weights_url="https://elsewhere.example/base.bin", name="base", project=PROJECT)
task.connect(base, name="weights")
# The client makes the input model of the same name an output model's parent, as far as its own copy of the task knows of it. After
# a model that was just imported it does not yet; after one that was found it does.
task.reload()
Path("weights.bin").write_bytes(b"weights")
reporter = OutputModel(task=task, name="reporter")
reporter.update_weights("weights.bin", auto_delete_file=False)
for i in range(3):
    reporter.report_scalar("accuracy", "all", value=i / 2, iteration=i)
reporter.report_single_value("size", 3)
reporter.report_table("table", "rows", iteration=0, table_plot=[["a"], [1]])
reporter.report_scatter2d("scatter", "points", scatter=np.array([[0, 1], [2, 3]]), iteration=0)

folder = Path("package")
folder.mkdir()
for name in ("a.bin", "b.bin"):
    (folder / name).write_text(name)
package = OutputModel(task=task, name="package", tags=["packed"])
package.update_weights_package(weights_path="package", auto_delete_file=False, async_enable=False)
elsewhere = OutputModel(task=task, name="elsewhere")
elsewhere.update_weights(register_uri="https://elsewhere.example/x.bin")
task.flush(wait_for_uploads=True)
task_id = task.id
task.close()

unpacked = Path(InputModel(package.id).get_weights_package(return_path=True, force_download=True))
made = Task.get_task(task_id=task_id).models
answer = {
    "model": reporter.id,
    "base": base.id,
    "package": {path.name: path.read_text() for path in unpacked.iterdir()},
    "made": [model.name for model in made["output"]],
    "last": made["output"][-1].name,
    "by name": made["input"]["weights"].name,
    "removed": Model.remove(elsewhere, delete_weights_file=False),
    "removed with its file": Model.remove(Model(package.id), force=True),
    "left": sorted(model.name for model in Model.query_models(project_name=PROJECT)),
    "one": len(Model.query_models(project_name=PROJECT, max_results=1)),
    "url": package.url,
}
print(json.dumps(answer))
