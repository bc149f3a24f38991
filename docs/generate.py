"""Writes the pages of docs/reference/ from the code; with --check, fails when one is not what the code says.

python docs/generate.py [--check]
"""

import sys
from pathlib import Path

import msgspec

from trainshed.domain.errors import Fault
from trainshed.transport.table import ENDPOINTS, first_version
from trainshed.transport.version import text

REFERENCE = Path(__file__).parent / "reference"


def endpoints() -> str:
    """What answers, from the endpoint table."""
    lines = [
        "# Endpoints",
        "",
        "`/v<version>/<endpoint>`, any HTTP method, arguments as a JSON object. A login is HTTP Basic with an access key, or a",
        "Bearer token from `auth.login`. Arguments in **bold** are needed.",
        "",
        "| endpoint | since | login | arguments |",
        "| --- | --- | --- | --- |",
    ]
    for name, entry in sorted(ENDPOINTS.items()):
        fields = msgspec.structs.fields(entry.request)
        arguments = ", ".join(f"**{f.encode_name}**" if f.required else f.encode_name for f in fields)
        shown = "lines of JSON" if entry.batch else arguments
        lines.append(f"| `{name}` | {text(first_version(entry))} | {'yes' if entry.login else 'no'} | {shown} |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """The error table."""
    lines = [
        "# Errors",
        "",
        "`meta.result_code` and `meta.result_subcode` of a reply; the HTTP status equals the code.",
        "",
        "| code | subcode | name | message |",
        "| --- | --- | --- | --- |",
    ]
    for fault in sorted(Fault, key=lambda f: (f.code, f.subcode)):
        lines.append(f"| {fault.code} | {fault.subcode} | {fault.name.lower()} | {fault.value.message} |")
    return "\n".join(lines) + "\n"


PAGES = {"endpoints.md": endpoints, "errors.md": errors}


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    for name, make in PAGES.items():
        path, page = REFERENCE / name, make()
        if check and (not path.exists() or path.read_text() != page):
            stale.append(name)
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(page)
    if stale:
        print(f"stale: {', '.join(stale)}: run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
