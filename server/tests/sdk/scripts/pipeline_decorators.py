"""A pipeline of decorated functions, run in this process and its subprocesses; a cached step runs once."""

import json

from clearml import PipelineDecorator, Task


@PipelineDecorator.component(return_values=["numbers"], cache=True, packages=[])
def load(count):
    print("loading", count)
    return list(range(count))


@PipelineDecorator.component(return_values=["answer"], packages=[])
def total(numbers, factor):
    return sum(numbers) * factor


@PipelineDecorator.pipeline(name="of decorators", project="Sdk/pipelines", version="0.1", pool_frequency=0.01)
def pipeline(count=4):
    answers = [total(load(count), factor) for factor in (1, 2)]
    print("the answers are", *answers)
    return [int(answer) for answer in answers]


if __name__ == "__main__":
    PipelineDecorator.run_locally()
    answers = pipeline(count=6)
    project = "Sdk/pipelines/.pipelines/of decorators"
    hidden = {"search_hidden": True, "_allow_extra_fields_": True}
    tasks = Task.get_tasks(project_name=project, task_filter=hidden)
    print(json.dumps({"answers": answers, "tasks": sorted([t.name, str(t.task_type), t.status] for t in tasks)}))
