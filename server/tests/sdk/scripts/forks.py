"""Processes that fork and all report at once, as data loaders and distributed training do."""

import json
import os
import sys

from clearml import Task

CHILDREN, POINTS = 3, 200

task = Task.init(project_name="Sdk/forks", task_name=sys.argv[1])
children = []
for child in range(CHILDREN):
    pid = os.fork()
    if pid == 0:
        logger = Task.current_task().get_logger()
        for i in range(POINTS):
            logger.report_scalar("forked", f"child {child}", value=i * child, iteration=i)
        logger.flush(wait=True)
        sys.exit(0)
    children.append(pid)
for i in range(POINTS):
    task.get_logger().report_scalar("forked", "parent", value=i, iteration=i)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
task.flush(wait_for_uploads=True)
task_id = task.id
task.close()
curves = Task.get_task(task_id=task_id).get_reported_scalars(max_samples=POINTS)["forked"]
print(json.dumps({"codes": codes, "points": {name: len(curve["y"]) for name, curve in curves.items()}}))
