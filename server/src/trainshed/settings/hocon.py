"""HOCON text -> plain values, by pyhocon, which takes a third of a second to import: only for who has something to read.

A file may include others of this machine and take values from the environment; it cannot have the server fetch an address.
"""

import json
import logging
import os
import warnings
from pathlib import Path
from typing import Any, NoReturn

import pyparsing
from pyhocon import ConfigException, ConfigFactory, config_parser

Tree = dict[str, Any]

_FAILURES = (AttributeError, TypeError, ValueError, LookupError)  # pyhocon's own, on what is no HOCON


class Unreadable(Exception):
    """It is no HOCON. The message says where, and never quotes the text, which may be a secret."""


class _Local(ConfigFactory):  # type: ignore[misc]  # pyhocon has no types
    @classmethod
    def parse_file(cls, filename: str, *arguments: object, **options: object) -> Any:
        try:
            return super().parse_file(filename, *arguments, **options)
        except pyparsing.ParseBaseException as error:
            raise Unreadable(f"{filename}, which it includes: {_place(error)}") from error

    @classmethod
    def parse_URL(cls, url: str, *_: object, **__: object) -> NoReturn:  # noqa: N802 - the name is pyhocon's
        raise Unreadable(f"include {url!r}: only files of this machine can be included")


def _no_package(name: str) -> NoReturn:
    raise Unreadable(f"include of package {name!r}: only files can be included")


# pyhocon reads `7d` as a time wherever it stands. What is a time is known by the key alone; a password may look like one.
config_parser.get_period_expr = pyparsing.NoMatch
config_parser.ConfigFactory = _Local
config_parser.logger.setLevel(logging.WARNING)  # it would tell the log what an included file says
config_parser.find_package_dirs = _no_package  # it would import the package


def parse(text: str, folder: Path) -> Tree:
    """The tree that a file in the folder holds. Raises Unreadable."""
    try:
        return _object(json.loads(text))  # pyhocon does not know each escape of JSON
    except ValueError:
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls pyparsing by names that will be gone in a major version of that
            tree = config_parser.ConfigParser.parse(text, basedir=os.fspath(folder))
        return _object(tree.as_plain_ordered_dict() if hasattr(tree, "as_plain_ordered_dict") else tree)
    except pyparsing.ParseBaseException as error:
        raise Unreadable(_place(error)) from error
    except ConfigException as error:
        raise Unreadable(str(error)) from error
    except (OSError, UnicodeDecodeError, ImportError) as error:
        raise Unreadable(f"a file that it includes cannot be read: {error}") from error
    except _FAILURES as error:
        raise Unreadable("it is not HOCON") from error
    except RecursionError as error:
        raise Unreadable("it includes itself, or nests too deep") from error


def _place(error: pyparsing.ParseBaseException) -> str:
    return f"line {error.lineno}, column {error.column}: it is not HOCON from here on"


def _object(tree: Any) -> Tree:
    if not isinstance(tree, dict):
        raise Unreadable("it must be keys with values, not a list")
    return tree
