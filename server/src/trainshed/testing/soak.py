"""How often the long repetitions repeat: a sample in the suite, in full by `make soak`."""

import os

KILLS = int(os.environ.get("TRAINSHED_TEST_KILLS", "3"))
