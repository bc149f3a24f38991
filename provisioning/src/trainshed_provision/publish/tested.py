"""What `shed check ssh --json` said of a machine that was launched from an image: no image is promoted without it."""

import json
from pathlib import Path
from typing import Any

from trainshed_provision.errors import Exit, ShedError

IDENTITY = "I11"  # the rule whose finding names the commit of the machine that was asked
HINT = "launch the image, then: shed check ssh HOST --json > report.json"


def check(report: Path, *, commit: str) -> None:
    """Raise ShedError unless every rule in the report holds, and it is of a machine of that commit."""
    results = _read(report)
    failed = [str(result.get("rule")) for result in results if not result.get("ok")]
    if failed:
        raise _unfit(f"the machine that was launched does not hold {', '.join(failed)} ({report})")
    commits = {_commit(result) for result in results if result.get("rule") == IDENTITY}
    if commits != {commit}:
        raise _unfit(f"{report} is not of a machine of commit {commit[:12]}: its commit is another")


def _read(report: Path) -> list[dict[str, Any]]:
    try:
        results = json.loads(report.read_text())
    except OSError as error:
        raise ShedError(f"cannot read {report}: {error.strerror}", hint=HINT, code=Exit.NOT_FOUND) from error
    except ValueError as error:
        raise _unfit(f"{report} is not what shed check --json prints") from error
    if not isinstance(results, list) or not results or not all(isinstance(result, dict) for result in results):
        raise _unfit(f"{report} is not what shed check --json prints")
    return results


def _commit(result: dict[str, Any]) -> str:
    try:
        return str(json.loads(result["found"])["commit"])
    except (ValueError, KeyError, TypeError):
        return ""


def _unfit(message: str) -> ShedError:
    return ShedError(message, hint=HINT, code=Exit.UNHEALTHY)
