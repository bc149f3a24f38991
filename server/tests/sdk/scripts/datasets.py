"""A data set with a child version: added to, changed, compared, copied, squashed, moved, renamed, deleted."""

import json
from pathlib import Path

from clearml import Dataset, Task

PROJECT, NAME = "Sdk/data", "birds & bees"


def files(folder: str | None) -> dict[str, str]:
    root = Path(folder or "")
    return {str(p.relative_to(root)): p.read_text() for p in sorted(root.rglob("*")) if p.is_file()} if folder else {}


source = Path("source")
for name, text in {"a.txt": "one", "sub/b.txt": "two", "sub/c.txt": "three", "table.csv": "x,y\n1,2\n3,4\n"}.items():
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text(text)

first = Dataset.create(dataset_name=NAME, dataset_project=PROJECT, dataset_tags=["raw"], description="of two kinds")
first.add_files("source")
first.set_metadata({"kinds": 2}, metadata_name="facts")
first.get_logger().report_scalar("counts", "files", value=4, iteration=0)
first.upload(show_progress=False)
first.finalize()

second = Dataset.create(dataset_name=NAME, dataset_project=PROJECT, parent_datasets=[first])
(source / "a.txt").write_text("one and more")
(source / "d.txt").write_text("four")
second.add_files("source")
second.remove_files("sub/c.txt")
second.upload(show_progress=False)
second.finalize()
second.publish()

latest = Dataset.get(dataset_project=PROJECT, dataset_name=NAME)
older = Dataset.get(dataset_project=PROJECT, dataset_name=NAME, dataset_version="1.0.0")
writable = latest.get_mutable_local_copy("writable")
changed = Path(writable, "a.txt")
before = latest.verify_dataset_hash(local_copy_path=writable)
changed.write_text("other")
after = latest.verify_dataset_hash(local_copy_path=writable)

squashed = Dataset.squash("squashed", dataset_ids=[first.id, second.id])
listed = Dataset.list_datasets(dataset_project=PROJECT, only_completed=True)
answer = {
    "ids": [first.id, second.id, squashed.id],
    "versions": [first.version, second.version],
    "latest": latest.id == second.id,
    "tags": older.tags,
    "metadata": older.get_metadata("facts"),
    "first": files(older.get_local_copy()),
    "second": files(latest.get_local_copy()),
    "added": latest.list_added_files(first.id),
    "modified": latest.list_modified_files(first.id),
    "removed": latest.list_removed_files(first.id),
    "graph": latest.get_dependency_graph() == {second.id: [first.id], first.id: []},
    "intact": [before, after],
    "squashed": files(squashed.get_local_copy()),
    "listed": sorted((d["name"], d["version"]) for d in listed),
}
Dataset.move_to_project("Sdk/moved data", dataset_project=PROJECT, dataset_name=NAME)
answer["moved"] = sorted(d["version"] for d in Dataset.list_datasets(dataset_project="Sdk/moved data"))
answer["left"] = [d["name"] for d in Dataset.list_datasets(dataset_project=PROJECT)]
answer["same"] = files(Dataset.get(dataset_id=second.id).get_local_copy()) == answer["second"]
user = Task.init(project_name=PROJECT, task_name="its user")
used = Dataset.get(dataset_project="Sdk/moved data", dataset_name=NAME, alias="birds", overridable=True)
user_id = user.id
user.close()
answer["used"] = [used.id, Task.get_task(task_id=user_id).get_parameters_as_dict()["Datasets"]]
Dataset.rename("bees", dataset_project="Sdk/moved data", dataset_name=NAME)
answer["artifacts"] = [a.url for a in Task.get_task(task_id=squashed.id).artifacts.values()]
Dataset.delete(dataset_project=PROJECT, dataset_name="squashed")
print(json.dumps(answer))
