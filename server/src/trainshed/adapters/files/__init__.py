"""The embedded engine for files: a folder on disk."""
