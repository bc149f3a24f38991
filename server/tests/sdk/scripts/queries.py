"""Finding tasks, models and projects again."""

import json

from clearml import Model, OutputModel, Task

tasks = []
for i in range(4):
    task = Task.create(project_name=f"Sdk/queries/part {i % 2}", task_name=f"run {i}.x", task_type="testing")
    task.set_tags(["even" if i % 2 == 0 else "odd", f"n{i}"])
    task.mark_started(force=True)
    task.get_logger().report_scalar("loss", "train", value=float(i), iteration=i)
    task.get_logger().report_single_value("best", 10.0 + i)
    task.flush(wait_for_uploads=True)
    if i < 3:
        task.mark_completed(force=True)
    tasks.append(task)

model = OutputModel(task=tasks[0], name="a net", tags=["kept"])
model.set_metadata("owner", "jane", "str")
model.update_weights(register_uri="http://elsewhere.example/net.bin")
model.publish()


def names(**arguments: object) -> list[str]:
    return sorted(task.name for task in Task.get_tasks(**arguments))


answer = {
    "by exact name": names(project_name="Sdk/queries/part 1", task_name="^run 1\\.x$"),
    "by project": names(project_name="Sdk/queries/part 0"),
    "by tag": names(tags=["odd"]),
    "without tag": names(tags=["__$all", "even", "__$not", "n0"]),
    "by status": names(task_filter={"status": ["in_progress"], "project": [tasks[1].project]}),
    "newest first": [
        t.name
        for t in Task.get_tasks(
            tags=["even", "odd"], task_filter={"order_by": ["-last_update"], "status": ["completed"]}
        )
    ],
    "model": [m.name for m in Model.query_models(metadata={"owner": "jane"}, tags=["kept"])],
    "no model": [m.name for m in Model.query_models(metadata={"owner": "john"})],
    "published": Model(model_id=model.id).published,
    "single": tasks[2].get_reported_single_value("best"),
    "last": Task.get_task(task_id=tasks[3].id).get_last_scalar_metrics()["loss"]["train"]["last"],
    "project": Task.get_project_id("Sdk/queries/part 0") == tasks[0].project,
}
print(json.dumps(answer))
