"""Conformance suites and fakes, shipped so that any engine can be held to the contract."""
