"""Trainshed: an experiment server that speaks the ClearML REST API."""

import os

# numpy's linear algebra would start a thread and 30 MB for each core, and we never multiply matrices. It reads this once,
# when it is first imported, so it stands before everything else.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
