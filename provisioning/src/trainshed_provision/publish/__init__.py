"""Brings images to the clouds and looks after them there."""
