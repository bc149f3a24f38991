"""How often the long repetitions repeat: a sample in the suites, in full by `make soak`."""

import os

_IN_FULL = "TRAINSHED_SOAK" in os.environ


def times(sample: int, *, soak: int) -> int:
    """How often a test does what is worth doing many times."""
    return soak if _IN_FULL else sample


KILLS = times(3, soak=50)
