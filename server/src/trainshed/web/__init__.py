"""The built web UI, as package data."""
