"""Trainshed: an experiment server that speaks the ClearML REST API."""
