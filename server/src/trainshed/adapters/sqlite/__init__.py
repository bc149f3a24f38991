"""The embedded engines: one SQLite file each for documents, cache and events."""
