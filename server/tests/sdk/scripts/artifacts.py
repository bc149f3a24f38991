"""Artifacts, models and hyperparameters of every kind; then the task is cloned, and deleted with its files."""

import argparse
import json
from pathlib import Path

import numpy as np
from clearml import InputModel, Model, OutputModel, Task

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--rate", type=float, default=0.1)
parser.add_argument("--layers", nargs="+", type=int, default=[8, 16])
parser.add_argument("--fast", action="store_true")

task = Task.init(project_name="Sdk/artifacts", task_name="with files", output_uri=True)
options = parser.parse_args(["--epochs", "7", "--fast"])


class Settings:
    def __init__(self) -> None:
        self.depth = 3
        self.names = ("a", "b")
        self.ratio = 0.5


nested = task.connect({"a": {"b": 1, "c": [1, 2]}, "none": None, "text": "é"}, name="nested")
settings = task.connect(Settings(), name="settings")
network = task.connect_configuration({"layers": [{"size": 3}, {"size": 4}]}, name="network")
Path("config.yaml").write_text("rate: 0.1\n# a comment\n")
config = Path(task.connect_configuration("config.yaml", name="as a file")).read_text()
task.set_parameter("extra/one", 1)
task.set_parameters_as_dict({"more": {"two": 2}})
task.set_user_properties(place="here", count=3)
task.set_model_label_enumeration({"cat": 1, "dog": 2})
task.set_comment("a comment: é")
task.add_tags(["kept", "for now"])
task.set_base_docker("an/image:1", docker_arguments="--ipc=host")

folder = Path("folder")
folder.mkdir()
(folder / "a.txt").write_text("a")
(folder / "b.txt").write_text("b")
array = np.arange(6).reshape(2, 3)
task.upload_artifact("dict", {"x": [1, 2, {"y": None}]}, metadata={"kind": "of dict"}, wait_on_upload=True)
task.upload_artifact("text", "some words, é", wait_on_upload=True)
task.upload_artifact("array", array, wait_on_upload=True)
task.upload_artifact("file", "config.yaml", wait_on_upload=True)
task.upload_artifact("folder", "folder", wait_on_upload=True)
task.upload_artifact("pickled", {1, 2, 3}, auto_pickle=True, wait_on_upload=True)
task.upload_artifact("extra", {"to be": "deleted"}, wait_on_upload=True)

Path("weights.bin").write_bytes(b"weights")
output = OutputModel(task=task, name="net", framework="PyTorch", tags=["trained"])
output.update_labels({"cat": 1})
output.set_metadata("score", "0.9", "float")
output.update_weights("weights.bin", auto_delete_file=False)
output.report_single_value("size", 3)
output.publish()
base = InputModel.import_model(weights_url="https://elsewhere.example/base.bin", name="base", framework="Keras")
task.connect(base, name="base")
task.flush(wait_for_uploads=True)
task_id = task.id
task.close()

read = Task.get_task(task_id=task_id)
read.delete_artifacts(["extra"])
artifacts = read.artifacts
(model,) = read.models["output"]
found = Model.query_models(
    project_name="Sdk/artifacts", model_name="net", tags=["trained"], only_published=True, metadata={"score": "0.9"}
)
unpacked = Path(artifacts["folder"].get())
answer = {
    "read back": [nested["a"]["c"], settings.depth, settings.names, network["layers"][1], config],
    "parsed": [options.epochs, options.rate, options.layers, options.fast],
    "parameters": read.get_parameters(),
    "typed": read.get_parameters(cast=True),
    "configuration": [read.get_configuration_object_as_dict("network"), read.get_configuration_object("as a file")],
    "user properties": read.get_user_properties(value_only=True),
    "labels": read.get_labels_enumeration(),
    "comment": read.comment,
    "tags": sorted(read.get_tags()),  # the client sends a set: in any order
    "docker": read.get_base_docker(),
    "dict": artifacts["dict"].get(),
    "metadata": artifacts["dict"].metadata,
    "text": artifacts["text"].get(),
    "array": artifacts["array"].get().tolist(),
    "file": Path(artifacts["file"].get()).read_text(),
    "folder": {path.name: path.read_text() for path in unpacked.iterdir()},
    "pickled": sorted(artifacts["pickled"].get()),
    "sizes": [artifacts["file"].size, artifacts["dict"].type],
    "keys": sorted(artifacts),
    "model": [model.name, model.framework, sorted(model.tags), model.published, model.labels],
    "model metadata": [model.get_metadata("score"), model.get_all_metadata()["score"]["type"]],
    "weights": Path(model.get_local_copy()).read_text(),
    "found": [found[0].id == model.id, len(found), found[0].task == task_id],
    "input": [(m.name, m.url, m.framework) for m in read.models["input"]],
}

clone = Task.clone(source_task=read, name="a clone", comment="of it")
clone.set_parameters({**clone.get_parameters(), "Args/epochs": 9})
clone.move_to_project(new_project_name="Sdk/artifacts/moved")
copied = Task.get_task(task_id=clone.id)
answer["clone"] = [
    copied.name,
    copied.comment,
    copied.status,
    copied.parent == task_id,
    copied.get_project_name(),
    copied.get_parameter("Args/epochs"),
    copied.get_parameter("Args/rate"),
    sorted(copied.artifacts),
    [m.name for m in copied.models["output"]],
    [m.name for m in copied.models["input"]],
]
answer["ids"] = {"task": task_id, "model": model.id, "clone": clone.id}
answer["urls"] = [artifact.url for artifact in artifacts.values()]
answer["weights url"] = model.url
answer["deleted"] = bool(read.delete(delete_artifacts_and_models=True, skip_models_used_by_other_tasks=True))
print(json.dumps(answer))
