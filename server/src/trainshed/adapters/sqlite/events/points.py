"""Points as bytes: quickly packed tails for what just came, compressed columns for what stays."""

import threading
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

_INT, _FLOAT = np.dtype("<i8"), np.dtype("<f8")
_POINT_BYTES = 24  # in a tail
_WIDE = 64  # points of a series in a tail: below it all series at once are cheaper than one by one
_FEW = 4096  # points: below it fewer calls count more than fewer bytes


class Points(NamedTuple):
    """Points of one series, in order of arrival or of iteration. int64[n], int64[n] (ms since the epoch), float64[n]."""

    iters: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]


class Codec(threading.local):
    """zstd for the thread: its contexts are costly to make and not to be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd = Codec()


def pack_columns(iters: list[int], timestamps: list[int], values: list[float]) -> bytes:
    """The second half of a tail: the points of its series, one series after the other. Raises OverflowError."""
    return array("q", iters).tobytes() + array("q", timestamps).tobytes() + array("d", values).tobytes()


def pack_tail(series: Sequence[int], counts: Sequence[int], columns: bytes) -> bytes:
    """A tail: the number of series, their ids, the number of points of each, and the columns. All of it in 8-byte words."""
    return array("q", [len(series), *series, *counts]).tobytes() + columns


def unpack_tails(bodies: Iterable[bytes], wanted: Collection[int] | None = None) -> dict[int, Points]:
    """The points of each series in these tails, or of the series that are wanted, in order of arrival."""
    if wanted is None:
        bodies = list(bodies)
        if sum(map(_width, bodies)) * _WIDE * _POINT_BYTES > sum(map(len, bodies)):
            return _unpack_wide(bodies)
    parts: dict[int, list[Points]] = {}
    for body in bodies:
        for series, points in _slices(body, wanted):
            parts.setdefault(series, []).append(points)
    return {series: join(its_parts) for series, its_parts in parts.items()}


def _slices(body: bytes, wanted: Collection[int] | None) -> Iterator[tuple[int, Points]]:
    words, width, start = np.frombuffer(body, _INT), _width(body), 0
    columns = words[1 + 2 * width :].reshape(3, -1)
    for series, count in zip(words[1 : 1 + width].tolist(), words[1 + width : 1 + 2 * width].tolist(), strict=True):
        if wanted is None or series in wanted:
            part = columns[:, start : start + count]
            iters, timestamps, values = part if wanted is None else part.copy()  # which lets the body go
            yield series, Points(iters, timestamps, values.view(_FLOAT))
        start += count


def _width(body: bytes) -> int:
    """How many series it has."""
    return int.from_bytes(body[:8], "little")


def _unpack_wide(bodies: Iterable[bytes]) -> dict[int, Points]:
    """As unpack_tails(), all points at once: cheaper when a series has only few points in each tail."""
    parts = [_unpack_tail(body) for body in bodies]
    series = np.concatenate([ids for ids, _ in parts])
    order = np.argsort(series, kind="stable")
    series, points = series[order], take(join([points for _, points in parts]), order)
    starts = np.flatnonzero(np.diff(series, prepend=series[0] - 1))
    ends = np.append(starts[1:], len(series))
    return {
        int(series[start]): take(points, slice(start, end))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    }


def _unpack_tail(body: bytes) -> tuple[NDArray[np.int64], Points]:
    """The series id of each point, and the points."""
    words, width = np.frombuffer(body, _INT), _width(body)
    ids, counts, columns = words[1 : 1 + width], words[1 + width : 1 + 2 * width], words[1 + 2 * width :]
    iters, timestamps, values = columns.reshape(3, -1)
    return np.repeat(ids, counts), Points(iters, timestamps, values.view(_FLOAT))


def join(parts: Sequence[Points]) -> Points:
    """All points, part after part."""
    return Points(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def take(points: Points, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Points:
    """The points at the index."""
    return Points(points.iters[index], points.timestamps[index], points.values[index])


def latest(points: Points) -> Points:
    """By iteration, of several at one iteration only the last one."""
    if (points.iters[1:] > points.iters[:-1]).all():
        return points
    points = take(points, np.argsort(points.iters, kind="stable"))
    return take(points, np.append(points.iters[1:] != points.iters[:-1], True))


def encode(points: Points) -> bytes:
    """Compress points in order of iteration.

    Differences of steady counters are nearly all zero bytes, and so are the upper bytes of similar floats; put side by
    side they compress to about 10 bytes a point, most of it the noise in the values.
    """
    columns = (np.diff(points.iters, prepend=0), np.diff(points.timestamps, prepend=0), points.values)
    return _zstd.compress(b"".join(_shuffled(column) for column in columns))


def decode(body: bytes, count: int) -> Points:
    """The inverse of encode. Differences may have overflowed, their sums come back round."""
    iters, timestamps, values = np.frombuffer(_zstd.decompress(body), np.uint8).reshape(3, 8, count)
    return Points(_summed(iters), _summed(timestamps), _unshuffled(values).view(_FLOAT))


def _shuffled(column: NDArray[np.int64] | NDArray[np.float64]) -> bytes:
    """First the lowest byte of every number, then the next of every number, and so on."""
    return np.ascontiguousarray(column).view(np.uint8).reshape(-1, 8).T.tobytes()


def _unshuffled(planes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The inverse of _shuffled. Many in three rounds of doubling: several times faster than transposing bytes."""
    if planes.shape[1] < _FEW:
        return np.ascontiguousarray(planes.T).ravel().view(np.uint64)
    words: NDArray[Any] = planes
    for kind in (np.uint16, np.uint32, np.uint64):
        upper: NDArray[Any] = words[1::2].astype(kind)
        upper <<= 8 * words.itemsize
        upper |= words[0::2]
        words = upper
    numbers: NDArray[np.uint64] = words[0]
    return numbers


def _summed(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The running sum of shuffled differences. All but the first are small, as a rule: their upper planes are nothing."""
    if planes.shape[1] < _FEW:
        return np.cumsum(_unshuffled(planes).view(_INT))
    used = next((plane for plane in range(8, 1, -1) if planes[plane - 1, 1:].any()), 1)
    column = planes[used - 1].astype(np.uint64)
    for plane in planes[: used - 1][::-1]:
        column <<= np.uint64(8)
        column |= plane
    column[:1] = _unshuffled(planes[:, :1])
    return np.cumsum(column).view(_INT)
