"""Engines that live in one process and end with it: for tests, and the measure of the others."""
