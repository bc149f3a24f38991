"""Builds images: one root file system, converged by the roles, written to every target."""
