"""`python -m trainshed` is the same as `trainshed`, and what containers run."""

import os
import signal
import sys

# From process 1, a container's, the kernel keeps each signal that it has no handler for; importing the rest takes half a second.
if os.getpid() == 1:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

from trainshed.cli import main

raise SystemExit(main())
