"""`python -m trainshed` is the same as `trainshed`."""

from trainshed.cli import main

raise SystemExit(main())
