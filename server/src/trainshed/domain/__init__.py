"""Values and rules of experiment tracking. Standard library only: no I/O, no clock."""
