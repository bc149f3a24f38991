"""Field paths as the API writes them: dotted, with special characters of keys encoded."""

import re

_ESCAPES = {"%2E": ".", "%2e": ".", "%24": "$", "%_%_": "__", "%%": "%"}
_ESCAPE = re.compile("|".join(map(re.escape, _ESCAPES)))


def parse(text: str) -> tuple[str, ...]:
    """`hyperparams.Args.lr%2E0.value` -> ("hyperparams", "Args", "lr.0", "value")"""
    return tuple(_ESCAPE.sub(lambda match: _ESCAPES[match[0]], part) for part in text.split("."))
