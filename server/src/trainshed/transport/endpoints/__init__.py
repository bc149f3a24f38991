"""Handlers, one module a service: (Call, request struct) -> the reply's `data`."""
