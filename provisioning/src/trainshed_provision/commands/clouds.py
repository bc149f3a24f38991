"""The clouds of one verb: `shed VERB CLOUD ...`. A cloud's module is imported, and asked for its options, only when it is named.

Each is a module `commands.<cloud>.<verb>` with a docstring, `add_arguments(parser)` and `run(options)`.
"""

import argparse
import importlib
from collections.abc import Mapping
from typing import Any


class _Learner(argparse.ArgumentParser):
    """A parser that learns its options when it is called upon: the clouds' own clients take seconds to import."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        module = importlib.import_module(self.get_default("module"))
        self.description = module.__doc__
        module.add_arguments(self)
        self.set_defaults(run=module.run)
        return super().parse_known_args(args, namespace)


def add_clouds(parser: argparse.ArgumentParser, modules: Mapping[str, str]) -> None:
    """Let the verb take a cloud: name to module."""
    kind: Any = type("Cloud", (_Learner, type(parser)), {})  # complains as the parser it hangs on does
    clouds = parser.add_subparsers(dest="cloud", metavar="CLOUD", required=True, parser_class=kind)
    for name, module in modules.items():
        clouds.add_parser(name, help=TITLES[name], allow_abbrev=False).set_defaults(module=module)


def run(options: argparse.Namespace) -> int:
    """Carry out the verb on the cloud that was named."""
    return int(options.run(options))


TITLES = {"aws": "Amazon EC2", "gcp": "Google Compute Engine"}
