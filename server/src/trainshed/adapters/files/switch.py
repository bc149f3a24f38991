"""A switch that is a file: an operator sets it on the host, and every process sees it at its next request."""

import os
from pathlib import Path

_LONGEST = 500  # bytes of the word that is shown


class Switch:
    """On while the file is there; what is in it is the operator's word to whoever is turned away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def word(self) -> str | None:
        """None while it is off."""
        if not os.access(self._path, os.F_OK):  # as for every request, and without an exception
            return None
        try:
            handle = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError:  # somebody put it there whom we may not read
            return ""
        try:
            return " ".join(os.read(handle, _LONGEST).decode(errors="replace").split())
        except OSError:
            return ""
        finally:
            os.close(handle)

    def on(self, word: str = "") -> None:
        """Raises OSError."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        draft.write_text(word)
        draft.replace(self._path)

    def off(self) -> None:
        """Raises OSError."""
        self._path.unlink(missing_ok=True)
