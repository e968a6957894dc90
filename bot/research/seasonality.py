"""Liquidity against its own time of day, from the past only, and what that ratio foretells.

ln LR = base - ln spread, where the base is the median, over the days before, of each day's median ln spread in the same
quarter of an hour. Nothing of the day itself is in it: a crisis does not become normal while it lasts.
"""

import numpy as np

_QUARTER_MINUTES = 15
_DAY_MINUTES = 1_440


def log_liquidity_ratio(minute: np.ndarray, log_spread: np.ndarray, least_days: int = 3) -> np.ndarray:
    """Return ln LR of each minute: positive where the spread is narrower than it used to be at this time of day.

    Shapes: all (M,), `minute` consecutive UTC minutes since 1970.
    Missing: NaN in, NaN out; NaN before a quarter has been seen on `least_days` earlier days.
    Source: models 11, where each day moves the base of a quarter once, by its median there; with UTC quarters for New
        York ones (the same ones while the clocks do not change), and the plain median of those medians for the base
        that moves by a fifth a day, which a week cannot fill.
    """
    day = minute // _DAY_MINUTES
    quarter = minute % _DAY_MINUTES // _QUARTER_MINUTES
    known = np.isfinite(log_spread)
    ratio = np.full(len(minute), np.nan)
    for wanted in np.unique(quarter):
        rows = np.flatnonzero(known & (quarter == wanted))
        medians: list[float] = []  # of the days before, in their order
        for today in np.unique(day[rows]):
            now = rows[day[rows] == today]
            if len(medians) >= least_days:
                ratio[now] = np.median(medians) - log_spread[now]
            medians.append(float(np.median(log_spread[now])))
    return ratio


def mean_ahead(series: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of the next `count` rows after each row, of those that are known, (M,); NaN if none is."""
    known = np.isfinite(series)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, series, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    ahead = np.full(len(series), np.nan)
    full = np.arange(len(series) - count)
    seen = counts[full + 1 + count] - counts[full + 1]
    ahead[full] = np.where(seen > 0, (sums[full + 1 + count] - sums[full + 1]) / np.maximum(seen, 1), np.nan)
    return ahead


def mean_behind(series: np.ndarray, count: int) -> np.ndarray:
    """Return the mean of each row and the `count - 1` before it, of those that are known, (M,); NaN if none is."""
    behind = np.full(len(series), np.nan)
    # What lies ahead of the row `count` earlier; the rows whose past begins with the series have none.
    behind[count:] = mean_ahead(series, count)[: len(series) - count]
    return behind
