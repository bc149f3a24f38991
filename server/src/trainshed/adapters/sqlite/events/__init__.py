"""The Events port on SQLite."""
