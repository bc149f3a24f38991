"""What the standards' own tools find wrong with an SBOM."""

import warnings
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its RDF and parser libraries
    from spdx_tools.spdx.parser.parse_anything import parse_file
    from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def spdx_complaints(path: Path) -> list[str]:
    """By spdx-tools, of a *.spdx.json."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        messages = validate_full_spdx_document(parse_file(str(path)), "SPDX-2.3")
    return [message.validation_message for message in messages]


def cyclonedx_complaints(text: str) -> list[str]:
    """By the JSON Schema of CycloneDX 1.6, nothing besides allowed."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return [str(error)] if error else []
