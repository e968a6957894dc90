"""A study's clock: events at their own times, read off on a grid of equal steps.

Grid points are whole multiples of the step since 1970, as a minute bar is, so that two recordings of one market share
them. What has happened exactly at a grid point counts as before it.
"""

import numpy as np


def whole_steps(times_ns: np.ndarray, step_ns: int) -> np.ndarray:
    """Return the multiples of `step_ns` from the first time to the last, ends included.

    Shapes: `times_ns` (N,) ascending, N > 0; result (G,) int64.
    """
    first = -(-int(times_ns[0]) // step_ns) * step_ns
    return np.arange(first, int(times_ns[-1]) + 1, step_ns, dtype=np.int64)


def standing_at(times_ns: np.ndarray, points_ns: np.ndarray) -> np.ndarray:
    """Return the row that stands at each point: the last one not later.

    Shapes: `times_ns` (N,) ascending, `points_ns` (G,); result (G,) int64.   Missing: -1 before the first row.
    """
    return np.searchsorted(times_ns, points_ns, side="right") - 1


def sums_between(times_ns: np.ndarray, increments: np.ndarray, points_ns: np.ndarray) -> np.ndarray:
    """Return the sum of the increments in each step (point, next point], start exclusive.

    Shapes: `times_ns` (N,) ascending, `increments` (N,) or (N, L), `points_ns` (G,); result (G - 1,) or (G - 1, L).
    """
    nothing = np.zeros((1, *increments.shape[1:]))
    running = np.concatenate([nothing, np.cumsum(increments, axis=0)])
    return np.diff(running[standing_at(times_ns, points_ns) + 1], axis=0)
