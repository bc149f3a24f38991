"""What a port for http answers when the server speaks https."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Response

from trainshed.domain.errors import ApiError, Fault
from trainshed.services.addresses import Advertised
from trainshed.transport.envelope import failure


def redirecting(advertised: Advertised) -> Callable[..., Iterable[bytes]]:
    """The WSGI application: the same by https, for any method."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        host: str = environ.get("HTTP_HOST", "")
        base = advertised.by_https(host) if advertised.allows(host) else None
        if base is None:
            return failure(ApiError(Fault.INVALID_HEADERS, "Host is no name of this server"))(environ, start_response)
        query = environ.get("QUERY_STRING", "")
        url = (
            base
            + quote(environ["PATH_INFO"].encode("latin-1"), safe="/:@!$&'()*+,;=~")
            + ("?" + query if query else "")
        )
        reply = Response(status=308, headers={"Location": url, "Connection": "close"})
        reply.autocorrect_location_header = False
        return reply(environ, start_response)

    return answer
