"""Long series as short ones that look the same: of each stretch the first, the last, the lowest and the highest row."""

import numpy as np

BUCKETS = 500
"""As many stretches as there are points across a wide screen, halved: four rows of each may stay."""
GAP_NS = 300_000_000_000
"""Rows further apart have a closed market between them. Source: models 10.1."""


def kept_rows(x: np.ndarray, y: np.ndarray, buckets: int = BUCKETS) -> np.ndarray:
    """Return the places of the rows to draw, ascending, at most four a bucket.

    No extreme is lost: the lowest and the highest known `y` of every bucket are among them, and so are its ends.
    Shapes: `x` (N,) ascending, `y` (N,).   Missing: NaN in `y` is no extreme; a bucket without any `y` keeps its ends.
    """
    count = len(x)
    if count <= 4 * buckets:
        return np.arange(count)
    span = float(x[-1] - x[0])
    place = (
        np.minimum(((x - x[0]) / span * buckets).astype(np.int64), buckets - 1) if span > 0 else np.zeros(count, int)
    )
    first = np.flatnonzero(np.append(True, np.diff(place) != 0))
    last = np.append(first[1:], count) - 1
    bucket = np.repeat(np.arange(len(first)), last - first + 1)
    extremes = []
    for found in (np.fmin.reduceat(y, first), np.fmax.reduceat(y, first)):
        rows = np.flatnonzero(y == found[bucket])
        extremes.append(rows[np.append(True, np.diff(bucket[rows]) != 0)] if len(rows) else rows)
    return np.unique(np.concatenate([first, last, *extremes]))


def thinned(x: np.ndarray, y: np.ndarray, buckets: int = BUCKETS) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to draw of a series over any ascending `x`. Shapes: (N,) each, then shorter."""
    rows = kept_rows(x, y, buckets)
    return x[rows], np.asarray(y[rows], float)


def thinned_over_time(time_ns: np.ndarray, y: np.ndarray, buckets: int = BUCKETS) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to draw of a series over time, with a gap wherever the market was closed."""
    rows = kept_rows(time_ns, y, buckets)
    kept_ns, kept = time_ns[rows], np.asarray(y[rows], float)
    # A gap is one of the clock, not of the rows that were kept.
    opens = np.flatnonzero(np.diff(time_ns) > GAP_NS) + 1
    places = np.searchsorted(kept_ns, time_ns[opens])
    return np.insert(kept_ns, places, time_ns[opens - 1] + 1), np.insert(kept, places, np.nan)
