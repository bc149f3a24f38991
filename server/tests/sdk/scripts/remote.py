"""A script that sends itself to a queue: here it stops after its arguments, an agent runs all of it."""

import argparse
import json

from clearml import Task

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=0.5)
parser.add_argument("--epochs", type=int, default=2)

task = Task.init(project_name="Sdk/remote", task_name="sends itself")
options = parser.parse_args()
settings = task.connect({"size": 3}, name="settings")
print(json.dumps(task.id), flush=True)
task.execute_remotely(queue_name="remote")

for i in range(options.epochs):
    task.get_logger().report_scalar("loss", "all", value=options.rate * i * settings["size"], iteration=i)
