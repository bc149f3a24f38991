"""A pipeline of tasks, and a search over a task's parameters: both clone a template, and a queue's agents run the clones."""

import json
import sys
from pathlib import Path

from clearml import PipelineController, Task
from clearml.automation import DiscreteParameterRange, GridSearch, HyperParameterOptimizer, UniformIntegerParameterRange

QUEUE = "templates"
PROGRAM = """\
from clearml import Task

task = Task.init()
x, y = (int(task.get_parameter(f"Args/{name}")) for name in "xy")
task.get_logger().report_scalar("loss", "all", value=(x - 2) ** 2 + y, iteration=1)
task.upload_artifact("sum", {"sum": x + y}, wait_on_upload=True)
"""


def template(name: str) -> Task:
    Path("template.py").write_text(PROGRAM)
    task = Task.create(project_name="Sdk/templates", task_name=name, script="template.py", packages=[])
    task.set_parameters({"Args/x": 1, "Args/y": 1})
    return task


def pipeline() -> object:
    template("a step")
    pipe = PipelineController(name="of tasks", project="Sdk/pipelines", version="1.0", pool_frequency=0.01)
    pipe.set_default_execution_queue(QUEUE)
    pipe.add_parameter("x", 5)
    pipe.add_step(
        name="one",
        base_task_project="Sdk/templates",
        base_task_name="a step",
        parameter_override={"Args/x": "${pipeline.x}"},
    )
    pipe.add_step(
        name="two",
        parents=["one"],
        base_task_project="Sdk/templates",
        base_task_name="a step",
        parameter_override={"Args/y": "${one.parameters.Args/x}"},
        monitor_metrics=[(("loss", "all"), ("of two", "loss"))],
    )
    pipe.start_locally()
    hidden = {"parent": pipe.id, "search_hidden": True, "_allow_extra_fields_": True}
    steps = {step.name: step for step in Task.get_tasks(task_filter=hidden)}
    return {
        "status": Task.get_task(task_id=pipe.id).status,
        "states": {name: node.status for name, node in pipe.get_pipeline_dag().items()},
        "parameters": {name: step.get_parameters() for name, step in steps.items()},
        "sums": {name: step.artifacts["sum"].get() for name, step in steps.items()},
        "monitored": pipe.task.get_last_scalar_metrics()["of two"]["loss"]["last"],
    }


def search() -> object:
    Task.init(project_name="Sdk/search", task_name="a grid", task_type=Task.TaskTypes.optimizer)
    optimizer = HyperParameterOptimizer(
        base_task_id=template("a trial").id,
        hyper_parameters=[
            UniformIntegerParameterRange("Args/x", min_value=1, max_value=3),
            DiscreteParameterRange("Args/y", values=[4]),
        ],
        objective_metric_title="loss",
        objective_metric_series="all",
        objective_metric_sign="min",
        max_number_of_concurrent_tasks=3,
        optimizer_class=GridSearch,
        execution_queue=QUEUE,
        pool_period_min=0.01,
    )
    ended = []
    optimizer.set_report_period(0.02)
    optimizer.start(job_complete_callback=lambda job, value, *_: ended.append(value))
    optimizer.wait(timeout=4)
    best = optimizer.get_top_experiments(top_k=2)
    details = optimizer.get_top_experiments_details(top_k=5)
    optimizer.stop()
    return {
        "ended": sorted(ended),
        "best": best[0].get_parameters(),
        "values": [detail["metrics"]["loss/all"]["value"] for detail in details],
        "children": len({task.parent for task in best}) == 1 and best[0].parent == Task.current_task().id,
    }


print(json.dumps(globals()[sys.argv[1]]()))
