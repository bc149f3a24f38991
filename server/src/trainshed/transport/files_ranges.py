"""The Range header: which parts of a file a reply has."""

import re

from trainshed.domain.errors import ApiError, Fault

_SPEC = re.compile(r"(\d*)-(\d*)")
# More come from nobody who wants to read; each costs a header of its own in the reply.
_MOST = 50

Span = tuple[int, int]  # first byte, and the one behind the last


def spans(header: str, size: int) -> list[Span] | None:
    """The parts that were asked for, in that order; None: the whole file, also for what is no range or costs more than that.

    Raises RANGE_NOT_SATISFIABLE when the file has none of them.
    """
    unit, _, wanted = header.partition("=")
    specs = [_SPEC.fullmatch(spec.strip()) for spec in wanted.split(",")]
    if unit.strip().lower() != "bytes" or len(specs) > _MOST:
        return None
    found: list[Span] = []
    for spec in specs:
        if spec is None or not (spec[1] or spec[2]) or (spec[1] and spec[2] and int(spec[1]) > int(spec[2])):
            return None
        start, stop = _span(spec[1], spec[2], size)
        if start < stop:
            found.append((start, stop))
    if not found:
        raise ApiError(Fault.RANGE_NOT_SATISFIABLE, f"it has {size} bytes", size=size)
    return found if len(found) == 1 or sum(stop - start for start, stop in found) < size else None


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size
