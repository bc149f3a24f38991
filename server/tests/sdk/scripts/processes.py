"""Reports of a process's children: started by multiprocessing, each way, and as scripts of their own."""

import json
import multiprocessing
import subprocess
import sys

from clearml import Task

NAME = {"project_name": "Sdk/processes", "task_name": "with children"}
POINTS = 20


def report(series: str) -> None:
    task = Task.init(**NAME)  # a child's is its parent's
    for i in range(POINTS):
        task.get_logger().report_scalar("children", series, value=i, iteration=i)
    task.flush(wait_for_uploads=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        report(sys.argv[1])
        sys.exit()
    task = Task.init(**NAME)
    children = []
    for method in ("fork", "spawn"):
        children.append(multiprocessing.get_context(method).Process(target=report, args=(method,)))
        children[-1].start()
    script = subprocess.run([sys.executable, __file__, "script"], check=True, capture_output=True, text=True)
    for child in children:
        child.join(timeout=200)
    task.set_parameter("General/done", True)
    task.flush(wait_for_uploads=True)
    task_id = task.id
    task.close()
    curves = Task.get_task(task_id=task_id).get_reported_scalars(max_samples=POINTS)["children"]
    answer = {
        "codes": [child.exitcode for child in children],
        "children": {series: curve["y"] == list(range(POINTS)) for series, curve in sorted(curves.items())},
        "tasks": len(Task.get_tasks(**NAME)),
    }
    print(json.dumps(answer))
