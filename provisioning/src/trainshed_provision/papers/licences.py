"""Licences as SPDX writes them, from what Debian's copyright files and Python's METADATA say.

Nothing is guessed: a name that SPDX does not know becomes a LicenseRef of its own, and no statement is no licence.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

from cyclonedx.spdx import fixup_id, is_supported_id

UNKNOWN = ""  # the package says nothing that a machine can read
REF = "LicenseRef-"
LONGEST_REF = 48

# Debian's short names, where they are not SPDX's (Debian's copyright format 1.0, section 7.1).
DEBIAN = {
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsl": "BSL-1.0",
    "expat": "MIT",
    "openldap-2.8": "OLDAP-2.8",
    "perl": "GPL-1.0-or-later OR Artistic-1.0-Perl",
    "psf-2": "PSF-2.0",
}
GNU = re.compile(r"(A?GPL|LGPL|GFDL)[-v]*(\d)(?:\.(\d))?(\.0)?(\+|-only|-or-later)?", re.IGNORECASE)

# What METADATA says, in words that have one meaning. "BSD License" has two, and "GPL" many.
PYTHON = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}


def of_copyright(text: str) -> str:
    """The SPDX expression of a Debian copyright file: all that it names, joined by AND. UNKNOWN unless it is machine-readable."""
    if not re.match(r"\s*Format(-Specification)?:", text):
        return UNKNOWN
    named = {line.strip() for line in re.findall(r"^License:[ \t]*(\S.*)$", text, flags=re.MULTILINE)}
    return _all_of(debian(name) for name in named)


def debian(synopsis: str) -> str:
    """The SPDX expression of one `License:` line, as in `GPL-2+ or Artistic`."""
    # A comma sets a lower level apart: "A or B, and C".
    groups = [
        g if i % 2 else re.split(r"\s+(and|or)\s+", g.strip())
        for i, g in enumerate(re.split(r",\s+(and|or)\s+", synopsis))
    ]
    names = [name for group in groups[::2] for name in group[::2]]
    if any(" " in name and not re.search(r" with .* exception$", name, re.IGNORECASE) for name in names):
        return _reference(synopsis)  # a sentence, not names
    said = [
        g.upper() if isinstance(g, str) else " ".join(w.upper() if i % 2 else _debian_name(w) for i, w in enumerate(g))
        for g in groups
    ]
    return " ".join(f"({part})" if " " in part and len(said) > 1 else part for part in said)


def _debian_name(name: str) -> str:
    known = DEBIAN.get(name.lower())
    if known:
        return f"({known})" if " " in known else known
    return _spdx_id(name) or _reference(name)


def of_metadata(fields: Mapping[str, str], classifiers: Iterable[str]) -> str:
    """The SPDX expression of a Python distribution: its own expression, else its License line or classifiers when clear."""
    if expression := fields.get("license-expression"):
        return expression
    said = [fields.get("license", ""), *(c.rsplit(" :: ", 1)[1] for c in classifiers if c.startswith("License :: "))]
    for words in said:
        if "\n" not in words and (found := PYTHON.get(words.strip().lower()) or _spdx_id(words.strip())):
            return found
    return UNKNOWN


def references(expressions: Iterable[str]) -> list[str]:
    """Every LicenseRef named in the expressions, once, in order."""
    return sorted({ref for e in expressions for ref in re.findall(rf"{REF}[A-Za-z0-9.-]+", e)})


def _spdx_id(name: str) -> str:
    if match := GNU.fullmatch(name):
        family, major, minor, _, later = match.groups()
        candidate = f"{family.upper()}-{major}.{minor or '0'}-{'or-later' if later in ('+', '-or-later') else 'only'}"
        return candidate if is_supported_id(candidate) else ""
    return fixup_id(name) or ""


def _reference(name: str) -> str:
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", name.replace("+", "-or-later")).strip("-.")
    if len(slug) > LONGEST_REF:
        slug = f"{slug[:LONGEST_REF]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{REF}debian-{slug}"


def _all_of(expressions: Iterable[str]) -> str:
    each = sorted({part for e in expressions for part in ([e] if " OR " in e else e.split(" AND "))})
    return " AND ".join(f"({e})" if " OR " in e and len(each) > 1 else e for e in each)
