"""What Google would refuse for its form, by Google's own discovery documents: they ship in google-api-python-client.

A document lists every method of an API with its path, its parameters and the schema of its body. A request that names a field
which does not exist, has a value of the wrong type or outside of an enumeration, breaks a pattern or goes by a wrong method
is answered as Google answers it.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
OUTPUT_ONLY = re.compile(r"^\W*output[ -]only", re.IGNORECASE)
# JSON has no room for them, so they travel as strings; a number that fits is taken too, and Google's own clients send some.
INTEGERS = {"int64": r"-?\d+", "uint64": r"\d+"}


class Refused(Exception):
    """An answer that is an error, in Google's form."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def body(self) -> dict[str, Any]:
        """What goes over the wire."""
        one = {"message": self.message, "domain": "global", "reason": self.reason}
        return {"error": {"code": self.code, "message": self.message, "errors": [one]}}


@dataclass(frozen=True)
class Method:
    """One method of an API. id: as in `compute.images.insert`. path: with names in braces."""

    id: str
    http: str
    path: str
    parameters: Mapping[str, Any]
    request: Mapping[str, Any] | None


class Document:
    """One API, for example ("compute.v1", "/compute/v1/")."""

    def __init__(self, name: str, base: str) -> None:
        self._document = json.loads((DOCUMENTS / f"{name}.json").read_text())
        self._schemas = self._document["schemas"]
        self._common = self._document["parameters"]
        self._methods = list(self._walk(self._document, base))

    def match(self, http: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method that a request calls, with what its path names; NOT_FOUND or 405 as the front end says it."""
        elsewhere = False
        for method in self._methods:
            # Compared by length first: Compute has a thousand patterns to compile, and a test comes near ten.
            if method.path.count("/") == path.count("/") and (found := _pattern(method.path).fullmatch(path)):
                if method.http == http:
                    return method, found.groupdict()
                elsewhere = True
        if elsewhere:
            raise Refused(405, "httpMethodNotAllowed", f"Method {http} is not allowed for {path}")
        raise Refused(404, "notFound", f"The requested URL {path} was not found on this server.")

    def check(self, method: Method, arguments: Mapping[str, str], query: Mapping[str, str], body: Any) -> None:
        """Raise Refused unless every part of the request is one that the document has."""
        for name, value in {**arguments, **query}.items():
            schema = method.parameters.get(name) or self._common.get(name)
            if schema is None:
                raise invalid(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.')
            self._check_parameter(name, value, schema)
        for name, schema in method.parameters.items():
            if schema.get("required") and name not in {**arguments, **query}:
                raise Refused(400, "required", f"Required field '{name}' not specified")
        if method.request is None:
            if body is not None:
                raise invalid(f"{method.id} takes no body")
        elif body is None:
            raise Refused(400, "required", f"Required field 'resource' not specified ({method.id} takes a body)")
        else:
            self._check(body, method.request, "resource", method.id)

    def _check_parameter(self, name: str, value: str, schema: Mapping[str, Any]) -> None:
        if schema["type"] == "boolean" and value not in ("true", "false"):
            raise invalid(f"Invalid value for field '{name}': '{value}'. Must be true or false")
        if schema["type"] == "integer" and not re.fullmatch(r"-?\d+", value):
            raise invalid(f"Invalid value for field '{name}': '{value}'. Must be an integer")
        if schema["type"] == "string":
            self._check_string(value, schema, name)

    def _check(self, value: Any, schema: Mapping[str, Any], path: str, method: str) -> None:
        schema = self._schemas[schema["$ref"]] if "$ref" in schema else schema
        kind = schema.get("type", "object")
        if schema.get("format") in INTEGERS and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        expected: dict[str, Any] = {
            "object": dict,
            "array": list,
            "string": str,
            "integer": int,
            "boolean": bool,
            "number": (int, float),
        }
        if kind != "any" and (not isinstance(value, expected[kind]) or (isinstance(value, bool) and kind != "boolean")):
            raise invalid(f"Invalid value at '{path}': expected {kind}, got {json.dumps(value)[:60]}")
        if kind == "object":
            self._check_object(value, schema, path, method)
        elif kind == "array":
            for index, item in enumerate(value):
                self._check(item, schema["items"], f"{path}[{index}]", method)
        elif kind == "string":
            self._check_string(value, schema, path)

    def _check_object(self, value: dict[str, Any], schema: Mapping[str, Any], path: str, method: str) -> None:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            where = f"{path}.{name}"
            known = properties.get(name, others)
            if known is None:
                raise invalid(f"Invalid JSON payload received. Unknown name \"{name}\" at '{path}': Cannot find field.")
            if known.get("readOnly") or OUTPUT_ONLY.search(known.get("description", "")):
                # Google lets such a field pass and ignores it; whoever sends one believes that it does something.
                raise invalid(f"Invalid value for field '{where}': it is output only")
            self._check(inner, known, where, method)
        for name, known in properties.items():
            if method in known.get("annotations", {}).get("required", ()) and name not in value:
                raise Refused(400, "required", f"Required field '{path}.{name}' not specified")

    def _check_string(self, value: str, schema: Mapping[str, Any], path: str) -> None:
        if "enum" in schema and value not in schema["enum"]:
            raise invalid(f"Invalid value for field '{path}': '{value}'. Must be one of {', '.join(schema['enum'])}")
        pattern = schema.get("pattern") or INTEGERS.get(schema.get("format", ""))
        if pattern and not re.fullmatch(pattern, value):
            raise invalid(f"Invalid value for field '{path}': '{value}'. Must be a match of regex '{pattern}'")

    def _walk(self, node: Mapping[str, Any], base: str) -> Iterator[Method]:
        for one in node.get("methods", {}).values():
            paths = [base + one["path"]]
            if "mediaUpload" in one:
                paths.append(one["mediaUpload"]["protocols"]["simple"]["path"])
            for path in paths:
                yield Method(one["id"], one["httpMethod"], path, one.get("parameters", {}), one.get("request"))
        for inner in node.get("resources", {}).values():
            yield from self._walk(inner, base)


@functools.cache
def _pattern(path: str) -> re.Pattern[str]:
    """Of a path as the document writes it, `b/{bucket}/o/{object}`."""
    return re.compile(re.sub(r"\\\{(?:\\\+)?(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def invalid(message: str) -> Refused:
    """A value that Google does not take."""
    return Refused(400, "invalid", message)


@functools.cache
def compute() -> Document:
    """Compute Engine."""
    return Document("compute.v1", "/compute/v1/")


@functools.cache
def storage() -> Document:
    """Cloud Storage, its JSON API."""
    return Document("storage.v1", "/storage/v1/")
