"""A pipeline of functions: a step takes what the one before returned, another fails and is passed over."""

import json
import sys

from clearml import PipelineController, Task

PROJECT, NAME = "Sdk/pipelines", "of functions"


def load(count):
    return list(range(int(count)))


def total(numbers, factor):
    from clearml import Task

    Task.current_task().get_logger().report_scalar("sum", "all", value=sum(numbers) * factor, iteration=0)
    return sum(numbers) * factor


def fail():
    import sys

    sys.exit(1)


def run() -> object:
    pipe = PipelineController(name=NAME, project=PROJECT, version="1.2.3", pool_frequency=0.01, packages=[])
    pipe.add_parameter("count", 5, description="how many numbers")
    pipe.add_function_step(
        "load", load, function_kwargs={"count": "${pipeline.count}"}, function_return=["numbers"], packages=[]
    )
    pipe.add_function_step(
        "total",
        total,
        function_kwargs={"numbers": "${load.numbers}", "factor": 3},
        function_return=["answer"],
        packages=[],
        monitor_metrics=[("sum", "all")],
    )
    pipe.add_function_step("fail", fail, parents=["load"], packages=[], continue_on_fail=True)
    pipe.start_locally(run_pipeline_steps_locally=True)
    return pipe.id


def read(pipeline: str) -> object:
    task = Task.get_task(task_id=pipeline)
    steps = {
        step.name: step
        for step in Task.get_tasks(
            task_filter={"parent": pipeline, "search_hidden": True, "_allow_extra_fields_": True}
        )
    }
    nodes = json.loads(task.get_configuration_object("Pipeline"))
    return {
        "status": task.status,
        "type": str(task.task_type),
        "parameters": task.get_parameters(),
        "nodes": {name: node["parents"] for name, node in nodes.items()},
        "steps": {name: step.status for name, step in steps.items()},
        "answer": steps["total"].get_parameter("return/answer", cast=True),
        "monitored": task.get_last_scalar_metrics()["sum"],
        "numbers": steps["load"].artifacts["numbers"].get(),
        "plots": sorted(plot["metric"] for plot in task.get_reported_plots()),
        "found": PipelineController.get(pipeline_project=PROJECT, pipeline_name=NAME, pipeline_version="1.2.3").id
        == pipeline,
    }


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
