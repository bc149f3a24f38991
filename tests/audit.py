"""Known vulnerabilities of what the two distributions bring along: python tests/audit.py [--lock FILE] [-- OPTIONS]

pip-audit asks PyPI about each pin. Where it cannot be asked, without network or through an index that keeps files alone, one
line says so and the gate goes on: it depends on nobody. pip-audit itself would call those clean. OPTIONS go to pip-audit.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import NamedTuple

from trainshed_provision.architecture import ARCHITECTURES
from trainshed_provision.bake.wheelhouse import Locked, needed

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
DISTRIBUTIONS = ("trainshed", "trainshed-provision")
SECONDS = 10  # for each answer
_PLAIN = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", str(SECONDS))
_NOBODY = re.compile(r"requests\.exceptions\.|could not connect", re.IGNORECASE)


class Answer(NamedTuple):
    """findings: one line for each. unknown: what nothing is known of."""

    findings: list[str]
    unknown: list[str]


def ask(pins: list[Locked], options: list[str]) -> Answer | None:
    """What is known of the pins; None when nobody answers. Raises RuntimeError when pip-audit fails otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        command = [sys.executable, "-m", "pip_audit", *_PLAIN, "--requirement", str(requirements), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        if _NOBODY.search(done.stderr):
            return None
        raise RuntimeError(done.stderr)
    asked = json.loads(done.stdout)["dependencies"]
    return Answer(
        [
            f"{one['name']} {one['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'no version'}"
            for one in asked
            for found in one.get("vulns", ())
        ],
        [one["name"] for one in asked if "skip_reason" in one],
    )


def shipped(lock: str) -> list[Locked]:
    """The pins of everything that is installed with either distribution; tools of developers reach nobody."""
    pins = {
        pin.name: pin
        for distribution, architecture in product(DISTRIBUTIONS, ARCHITECTURES.values())
        for pin in needed(lock, distribution, architecture)
    }
    return [pins[name] for name in sorted(pins)]


def main(arguments: list[str]) -> int:
    """The exit code: 1 when something is found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("options", nargs="*", help="of pip-audit, after --")
    asked = parser.parse_args(arguments)
    pins = shipped(asked.lock.read_text())
    first = ask(pins[:1], asked.options)  # before all others are asked for in vain
    if first is None or first.unknown:
        print(f"pip-audit: skipped, nobody here tells what is known of {pins[0].name} {pins[0].version}")
        return 0
    answer = ask(pins, asked.options)
    if answer is None:
        print("pip-audit: skipped, there was no answer to all questions")
        return 0
    for line in answer.findings:
        print(f"pip-audit: {line}")
    if answer.unknown:
        print(f"pip-audit: nothing is known of {', '.join(answer.unknown)}")
    if not answer.findings:
        print(f"pip-audit: nothing is known against {len(pins) - len(answer.unknown)} packages")
    return 1 if answer.findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
