"""The Documents port on SQLite."""
