"""A model that is uploaded while its caller waits: the client keeps a link that it does not quote once more."""

import json
import os
from pathlib import Path

from clearml import InputModel, OutputModel, Task

task = Task.init(project_name="Sdk/links", task_name="a: b & c #1 (100%) ünï", output_uri=False)
Path("weights é#1.bin").write_bytes(b"weights")
model = OutputModel(task=task, name="net")
model.update_weights("weights é#1.bin", upload_uri=os.environ["CLEARML_FILES_HOST"], async_enable=False)
task.close()
found = InputModel(model_id=model.id)
copy = found.get_local_copy()
print(json.dumps({"weights": Path(copy).read_text() if copy else None, "url": found.url}))
