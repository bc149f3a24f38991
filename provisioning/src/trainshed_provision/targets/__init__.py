"""Where a Trainshed can run: each target executes what the commands ask for."""
