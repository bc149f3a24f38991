"""A session without a server, brought in afterwards, twice: as a task of its own and as the rest of another."""

import json
import os
import sys
from pathlib import Path

from clearml import Dataset, Task

NAME = {"project_name": "Sdk/offline", "task_name": "a session"}
HOSTS = ("CLEARML_API_HOST", "CLEARML_WEB_HOST", "CLEARML_FILES_HOST")
NOBODY = "http://127.0.0.1:9"  # an offline session asks nobody


def go_offline() -> None:
    os.environ.update(dict.fromkeys(HOSTS, NOBODY))
    Task.set_offline(offline_mode=True)


def away() -> object:
    go_offline()
    task = Task.init(**NAME, tags=["away"])
    task.connect({"lr": 0.5, "deep": {"er": [1, 2]}})
    task.connect_configuration({"depth": 3}, name="network")
    logger = task.get_logger()
    for i in range(5):
        logger.report_scalar("loss", "train", value=i * i, iteration=i)
    logger.report_single_value("best", 16)
    logger.report_table("table", "rows", iteration=0, table_plot=[["a"], [1]])
    print("printed offline")
    task.upload_artifact("numbers", {"x": [1, 2, 3]}, wait_on_upload=True)
    task.close()
    return f"{task.get_offline_mode_folder()}.zip"


def back(session: str) -> object:
    task = Task.get_task(task_id=Task.import_offline_session(session))
    earlier = Task.create(**{**NAME, "task_name": "begun before"})
    Task.import_offline_session(session, previous_task_id=earlier.id, iteration_offset=10)
    longer = Task.get_task(task_id=earlier.id)
    curve = longer.get_reported_scalars()["loss"]["train"]
    return {
        "status": task.status,
        "name": [task.get_project_name(), task.name],
        "tags": task.get_tags(),
        "parameters": task.get_parameters_as_dict(),
        "configuration": task.get_configuration_object_as_dict("network"),
        "scalars": task.get_reported_scalars()["loss"]["train"]["y"],
        "single": task.get_reported_single_value("best"),
        "plots": [plot["metric"] for plot in task.get_reported_plots()],
        "printed": "printed offline" in "".join(task.get_reported_console_output(number_of_reports=100)),
        "artifact": task.artifacts["numbers"].get(),
        "continued": [curve["x"], curve["y"]],
    }


def data_away() -> object:
    go_offline()
    Path("afar").mkdir()
    Path("afar/a.txt").write_text("from afar")
    data = Dataset.create(dataset_name="afar", dataset_project="Sdk/offline")
    data.add_files("afar")
    return f"{data.get_offline_mode_folder()}.zip"


def data_back(session: str) -> object:
    data = Dataset.get(dataset_id=Dataset.import_offline_session(session, finalize=True))
    content = Path(data.get_local_copy(), "a.txt").read_text()
    return {"name": data.name, "final": data.is_final(), "content": content}


print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
