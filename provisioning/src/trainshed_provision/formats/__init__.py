"""File formats of disks and containers, each from a finished disk or tree to one file; they know nothing of bakes."""
