"""What rules found, as every command that asks some prints it."""

import json
from collections.abc import Callable, Sequence

from trainshed_provision.assertions import Result
from trainshed_provision.errors import Exit


def report(results: Sequence[Result], *, as_json: bool, line: Callable[[Result], str] = Result.line) -> Exit:
    """Print a line per rule and how many hold, or one JSON list; the exit code that goes with them."""
    failed = [result for result in results if not result.ok]
    if as_json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    else:
        print("\n".join(line(result) for result in results))
        print(f"{len(results) - len(failed)} of {len(results)} hold")
    return Exit.UNHEALTHY if failed else Exit.OK
