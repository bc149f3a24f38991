"""Packer, for people who start from a base image of their own: the templates of images/, driven.

A driver of our own over `packer -machine-readable`, because the one on PyPI (python-packer) is of 2016 and cannot inspect.
"""
