"""files.*: links to files, for pages and programs that have no more than an address. Ours; the files are the file server's."""

from trainshed.transport.call import Call
from trainshed.transport.wire import files as wire


def get_links(call: Call, request: wire.GetLinks) -> dict[str, dict[str, str]]:
    """For each key of a file a path and query, to be put behind the file server's address."""
    links = call.services.file_links
    return {
        "links": {
            file: links.link(call.identity, file, method=request.method, seconds=request.seconds)
            for file in request.files
        }
    }
