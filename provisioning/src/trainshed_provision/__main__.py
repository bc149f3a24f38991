"""`python -m trainshed_provision` is the same as `shed`."""

from trainshed_provision.cli import main

raise SystemExit(main())
