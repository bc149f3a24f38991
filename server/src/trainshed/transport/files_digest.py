"""What an upload says its content is: Repr-Digest (RFC 9530), or Digest (RFC 3230)."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Request

from trainshed.domain.errors import ApiError, Fault

_ALGORITHMS = {"sha-512": hashlib.sha512, "sha-256": hashlib.sha256}  # the first one that is sent is looked at
_ITEM = re.compile(r"\s*([A-Za-z0-9-]+)=:?([A-Za-z0-9+/]+={0,2}):?\s*")


@dataclass(frozen=True, slots=True)
class Digest:
    """algorithm: as the header calls it, in lower case."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value.hex()}"

    def checking(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """The content; raises BAD_REQUEST at its end when it is another."""
        digest = _ALGORITHMS[self.algorithm]()
        for piece in content:
            digest.update(piece)
            yield piece
        if not hmac.compare_digest(digest.digest(), self.value):
            raise ApiError(Fault.BAD_REQUEST, f"the content is not what its {self.algorithm} says: nothing was stored")

    def check(self, content: Iterable[bytes]) -> None:
        """Raise BAD_REQUEST when the content is another."""
        for _ in self.checking(content):
            pass


def digest_of(request: Request) -> Digest | None:
    """What the request says of the whole file. Raises BAD_REQUEST when it says nothing that can be checked."""
    header = request.headers.get("Repr-Digest") or request.headers.get("Digest")
    if header is None:
        return None
    items = [_ITEM.fullmatch(item) for item in header.split(",")]
    said = {item[1].lower(): item[2] for item in items if item}
    for algorithm in _ALGORITHMS:
        if algorithm in said:
            try:
                return Digest(algorithm, base64.b64decode(said[algorithm], validate=True))
            except binascii.Error:
                break
    raise ApiError(Fault.BAD_REQUEST, f"a digest is one of {', '.join(_ALGORITHMS)}, in base64")
