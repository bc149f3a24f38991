"""Writes the pages of docs/reference/ from the code; with --check, fails when one is not what the code says.

python docs/generate.py [--check]

The pages of endpoints say in words what GET /openapi.json says to programs: both are made of the same description.
"""

import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from trainshed.domain.errors import Fault
from trainshed.domain.identity import Role
from trainshed.settings.keys import ALIASES, FILES, FIXED, IGNORED, KEYS, Key
from trainshed.settings.loading import default_of
from trainshed.transport.openapi import document
from trainshed_provision.assertions.catalogue import CATALOGUE, asked
from trainshed_provision.papers.index import json_schema

REFERENCE = Path(__file__).parent / "reference"
Json = dict[str, Any]


def endpoints(api: Json) -> str:
    """What answers, service by service."""
    lines = [
        "# Endpoints",
        "",
        "`/v<version>/<endpoint>`, any HTTP method, arguments as a JSON object. A login is HTTP Basic with an access key, or a",
        "Bearer token from `auth.login`. Each service has a page with the arguments and replies of its endpoints;",
        "`GET /openapi.json` of a server says the same to programs. What a call may fail with: [errors](errors.md).",
    ]
    for service, operations in _services(api):
        lines += ["", f"## [{service}](endpoints/{service}.md)", ""]
        lines += ["| endpoint | since | login | |", "| --- | --- | --- | --- |"]
        for name, operation in operations:
            link = f"[`{name}`](endpoints/{service}.md#{_anchor(name)})"
            lines.append(f"| {link} | {operation['x-since']} | {_login(operation)} | {operation.get('summary', '')} |")
    return "\n".join(lines) + "\n"


def service_page(api: Json, service: str, operations: list[tuple[str, Json]]) -> str:
    """The endpoints of one service, with all that their arguments and replies are made of."""
    page = [f"# {service}", "", "Arguments in **bold** are needed. A reply's field is there when it has a value."]
    for name, operation in operations:
        page += ["", f"## {name}", ""]
        if said := operation.get("description"):
            page += [_wrapped(said), ""]
        page += [f"Since {operation['x-since']}. Login: {_login(operation)}.", "", *_arguments(api, operation)]
        page += ["", *_reply(operation)]
    parts = _parts(api, page)
    if parts:
        page += ["", "## Parts"]
    for part in sorted(parts, key=str.lower):
        schema = api["components"]["schemas"][part]
        page += ["", f"### {part}", ""]
        if said := schema.get("description"):
            page += [_wrapped(" ".join(said.split())), ""]
        page += _fields(schema) if "properties" in schema else [_type(schema)]
    return "\n".join(page) + "\n"


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


def image_rules() -> str:
    """What each rule of an image comes to."""
    lines = [
        "# Rules of an image",
        "",
        "R: published by a marketplace. P: needed by a platform. T: in Google's own bar for releases. B: good practice. Asked",
        "of the tree by the bake, which fails; of a machine by `shed check vm` and `shed check ssh`; of a server by its address",
        "by `shed check url`; of what is published by `shed validate`. How to read it: [images](../images.md#rules).",
        "",
        "| id | | what has to hold | asked by | proved by | if not, or not whole: why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for rule_id, entry in CATALOGUE.items():
        tests = ", ".join(f"`{name.rpartition('::')[2]}`" for name in entry.tests)
        commands = ", ".join(f"`{command}`" for command in asked(rule_id))
        lines.append(f"| {rule_id} | {entry.level} | {entry.says} | {commands} | {tests} | {entry.reason} |")
    return "\n".join(lines) + "\n"


def configuration() -> str:
    """The keys of each file, the variables with names of their own, and what is known and has no effect."""
    lines = [
        "# Configuration keys",
        "",
        "Each key by the file it stands in, with what it may be and its default. How files, variables and flags work",
        "together: [configuration](../configuration.md). A *secret* is never shown, and `<key>.file` may name a file with it.",
    ]
    for file in FILES:
        keys = [key for key in KEYS if key.path.partition(".")[0] == file]
        if keys:
            lines += ["", f"## {file}.conf", "", "| key | | value | default |", "| --- | --- | --- | --- |"]
            lines += [_key(key) for key in keys]
    lines += ["", "## Variables", "", "`TRAINS_` or `CLEARML_` may stand before each; the latter wins.", ""]
    lines += ["| variable | sets |", "| --- | --- |", *(f"| `{name}` | `{path}` |" for name, path in FIXED.items())]
    lines += ["", "## Other names", "", "| also | for |", "| --- | --- |"]
    lines += [f"| `{name}` | `{path}` |" for name, path in ALIASES.items()]
    lines += ["", "## Known, without effect", "", "Keys of other servers; with each goes all that stands below it.", ""]
    lines += ["| key | why not |", "| --- | --- |", *(f"| `{one.path}` | {one.reason} |" for one in IGNORED)]
    return "\n".join(lines) + "\n"


def _key(key: Key) -> str:
    name = key.path.partition(".")[2]
    words = _cell(key.form.words) + (", *secret*" if key.secret else "")
    default = default_of(key)
    return f"| `{name}` | {_cell(key.doc)} | {words} | {'' if default is None else f'`{json.dumps(default)}`'} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _services(api: Json) -> Iterator[tuple[str, list[tuple[str, Json]]]]:
    operations = [(path[1:], item["post"]) for path, item in api["paths"].items()]
    for service, found in groupby(operations, key=lambda one: one[0].partition(".")[0]):
        yield service, list(found)


def _login(operation: Json) -> str:
    if not operation["security"]:
        return "no"
    if {} in operation["security"]:
        return "may be"
    roles = operation["x-roles"]
    readers = [role.value for role in Role if role.only_reads]
    if roles == [role.value for role in Role]:
        return "yes"
    return f"yes, but no {' or '.join(readers)}" if len(roles) + len(readers) == len(Role) else ", ".join(roles)


def _arguments(api: Json, operation: Json) -> list[str]:
    ((kind, content),) = operation["requestBody"]["content"].items()
    if "x-item-schema" in content:
        return [f"A body of lines (`{kind}`), each {_type(content['x-item-schema'])}."]
    schema = content["schema"]
    if "$ref" not in schema:
        return [f"Arguments: {_type(schema)}."]
    struct = api["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return _fields(struct, "argument") if struct["properties"] else ["No arguments."]


def _reply(operation: Json) -> list[str]:
    content = operation["responses"]["200"]["content"]
    if "application/json" not in content:
        return [f"Reply: a file, {' or '.join(f'`{kind}`' for kind in content)}."]
    data = content["application/json"]["schema"]["properties"]["data"]
    if data.get("properties"):
        return _fields(data, "in the reply")
    return ["Nothing in the reply." if "properties" in data else f"The reply: {_type(data)}."]


def _fields(schema: Json, kind: str = "field") -> list[str]:
    needed = schema.get("required", ())
    lines = [f"| {kind} | type |", "| --- | --- |"]
    for name, field in schema["properties"].items():
        lines.append(f"| {f'**{name}**' if name in needed else name} | {_type(field)} |")
    return lines


def _type(schema: Json) -> str:
    """A type in words. Null, which every optional field may be, is not worth a word."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    if schema.get("type") == "array":
        bound = f" of at most {schema['maxItems']:,}" if "maxItems" in schema else ""
        return f"list{bound} of {_type(schema.get('items', {}))}" if schema.get("items") else f"list{bound}"
    if schema.get("type") == "object":
        if schema.get("properties"):
            return "{" + ", ".join(f"{name}: {_type(inner)}" for name, inner in schema["properties"].items()) + "}"
        inside = schema.get("additionalProperties")
        return f"map of {_type(inside)}" if isinstance(inside, dict) and inside else "object"
    return str(schema.get("type", "anything"))


def _parts(api: Json, page: list[str]) -> set[str]:
    """The names of the schemas that the page refers to, and those that these do."""
    named = {_anchor(name): name for name in api["components"]["schemas"]}
    found: set[str] = set()
    new = "\n".join(page)
    while names := {named[link] for link in re.findall(r"\]\(#([^)]+)\)", new)} - found:
        found |= names
        schemas = [api["components"]["schemas"][name] for name in names]
        new = "\n".join(line for s in schemas for line in (_fields(s) if "properties" in s else [_type(s)]))
    return found


def _anchor(heading: str) -> str:
    """As GitHub links to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _wrapped(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def pages() -> dict[str, str]:
    """Path in docs/reference/ -> text."""
    api = document()
    services = {
        f"endpoints/{service}.md": service_page(api, service, operations) for service, operations in _services(api)
    }
    return {
        "configuration.md": configuration(),
        "image-rules.md": image_rules(),
        "endpoints.md": endpoints(api),
        "errors.md": errors(),
        "index.schema.json": json.dumps(json_schema(), indent=2) + "\n",
        **services,
    }


def main() -> int:
    check = "--check" in sys.argv[1:]
    wanted = pages()
    stale = [str(path) for path in REFERENCE.rglob("*.md") if str(path.relative_to(REFERENCE)) not in wanted]
    for name, page in wanted.items():
        path = REFERENCE / name
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
