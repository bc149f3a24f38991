"""Reports go on while the server is in maintenance: a file `go` says that it is, `begun` says that this script is ready."""

import json
import time
from pathlib import Path

from clearml import Task

task = Task.init(project_name="Sdk/maintenance", task_name="through it")
logger = task.get_logger()
for i in range(100):
    logger.report_scalar("curve", "a", value=float(i), iteration=i)
Path("begun").touch()
while not Path("go").exists():
    time.sleep(0.05)
for i in range(100, 200):
    logger.report_scalar("curve", "a", value=float(i), iteration=i)
task.upload_artifact("dict", {"stored": "in maintenance"}, wait_on_upload=True)
task.close()
again = Task.get_task(task_id=task.id)
print(
    json.dumps(
        {
            "points": [int(y) for y in sorted(again.get_reported_scalars()["curve"]["a"]["y"])],
            "artifact": again.artifacts["dict"].get(),
        }
    )
)
