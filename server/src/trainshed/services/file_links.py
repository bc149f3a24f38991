"""Links that give one file to whoever has them, for a while: for browsers, and for programs without an account.

A link names who made it, and allows what that user may do at the moment of its use: it ends with the user.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from trainshed.domain.errors import ApiError, Fault
from trainshed.domain.identity import Identity
from trainshed.ports.clock import Clock

METHODS = ("GET", "PUT", "POST", "DELETE")
LONGEST = 7 * 86_400  # seconds
SIGNATURE = "signature"  # the parameter that tells a link from an address


class FileLinks:
    """Makes and checks them. secret: of this server. identity: id of a user -> who that is; raises ApiError."""

    def __init__(self, *, secret: bytes, clock: Clock, identity: Callable[[str], Identity]) -> None:
        # Of its own, so that no signature of a link is one of anything else.
        self._key = hmac.digest(secret, b"links to files", "sha256")
        self._clock = clock
        self._identity = identity

    def link(self, identity: Identity, path: str, *, method: str = "GET", seconds: int = 3600) -> str:
        """A path with its query, to be put behind the file server's address. path: the file's key; a GET allows HEAD too.

        Raises VALIDATION_ERROR.
        """
        if method not in METHODS:
            raise ApiError(Fault.VALIDATION_ERROR, f"a link is for one of {', '.join(METHODS)}")
        if not 0 < seconds <= LONGEST:
            raise ApiError(Fault.VALIDATION_ERROR, f"a link lives for 1 to {LONGEST} seconds")
        path = path.lstrip("/")
        if path in ("", "health") and method != "POST":
            raise ApiError(Fault.VALIDATION_ERROR, "that is no file")
        expires = str(int(self._clock.now().timestamp()) + seconds)
        query = {"user": identity.user, "method": method, "expires": expires}
        query[SIGNATURE] = self._signature(path, query)
        return f"/{quote(path)}?{urlencode(query)}"

    def identify(self, method: str, path: str, query: Mapping[str, str]) -> Identity:
        """Who made the link by which this request comes. path: unquoted. Raises INVALID_TOKEN for any other request."""
        signature = self._signature(path.lstrip("/"), query)
        if not hmac.compare_digest(signature.encode(), query.get(SIGNATURE, "").encode()):
            raise ApiError(Fault.INVALID_TOKEN, "the link is not one of this server, or was changed")
        if int(query["expires"]) < self._clock.now().timestamp():
            raise ApiError(Fault.INVALID_TOKEN, "the link has expired")
        if method != query["method"] and (method, query["method"]) != ("HEAD", "GET"):
            raise ApiError(Fault.INVALID_TOKEN, f"the link is for {query['method']}")
        try:
            return self._identity(query["user"])
        except ApiError as error:
            raise ApiError(Fault.INVALID_TOKEN, "nobody may use the links of that user any more") from error

    def _signature(self, path: str, query: Mapping[str, str]) -> str:
        # The path last: it alone may have line breaks.
        signed = "\n".join([*(query.get(name, "") for name in ("user", "method", "expires")), path])
        return hmac.new(self._key, signed.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
