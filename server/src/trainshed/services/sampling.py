"""Curves for people to look at: at most so many points, by the axis they chose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainshed.ports.events import Series

DEFAULT_SAMPLES = 6_000  # points a series when the caller does not say: the contract's number


def curve(series: Series, *, axis: str, samples: int) -> dict[str, Any]:
    """{"name": variant, "x": [...], "y": [...]} of at most `samples` points (0: all), each the mean of its bucket.

    axis: `iter`, `timestamp` (ms since the epoch) or `iso_time` (text). Points are in order of the axis.
    """
    x, y = (series.iters, series.values) if axis == "iter" else _by_time(series)
    if 0 < samples < len(x):
        x, y = _bucket_means(x, y, samples)
    return {"name": series.variant, "x": _labels(x, axis), "y": y.tolist()}


def every_point(series: Series, *, axis: str) -> dict[str, Any]:
    """As curve(), all points in order of their iterations."""
    x = series.iters if axis == "iter" else series.timestamps
    return {"name": series.variant, "x": _labels(x, axis), "y": series.values.tolist()}


def _by_time(series: Series) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    order = np.argsort(series.timestamps, kind="stable")
    return series.timestamps[order], series.values[order]


def _bucket_means(
    x: NDArray[np.int64], y: NDArray[np.float64], samples: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # Buckets of equal count, so that a burst of points keeps its share of the curve. x of a bucket is its first point's.
    starts = (np.arange(samples) * len(x)) // samples
    counts = np.diff(np.append(starts, len(x)))
    return x[starts], np.add.reduceat(y, starts) / counts


def _labels(x: NDArray[np.int64], axis: str) -> list[Any]:
    if axis != "iso_time":
        return list(x.tolist())
    return [f"{moment}+00:00" for moment in np.datetime_as_string(x.astype("datetime64[ms]"))]
