"""Spread, volatility and their forecasts from best quotes alone: time of day, bipower variation, lead and lag.

Minutes are UTC minutes since 1970, days UTC days. A minute without a quote is unknown (NaN), not calm.
"""

import math
from typing import NamedTuple

import numpy as np

from bot.research.grid import standing_at, whole_steps
from bot.research.recordings import Quotes
from bot.research.regression import correlation

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
_DAY_MINUTES = 1_440
_SATURDAY = 5  # days of the week from Monday, 0


class Minutes(NamedTuple):
    """A market minute by minute, all (M,): consecutive `minute`s, ln of the time-weighted spread in bps, ln return.

    NaN where the minute has no quote; the return also where the minute before has none.
    """

    minute: np.ndarray
    log_spread: np.ndarray
    log_return: np.ndarray


def minutes_of(quotes: Quotes) -> Minutes:
    """Return the market of each minute from the first quote's to the last one's.

    The spread of a minute is that of its quotes, each for as long as it stood within the minute, the quote from before
    the minute included. A spread that is not positive on average (a locked or crossed minute) has no logarithm: NaN.
    """
    minute_of_quote = quotes.time_ns // MINUTE_NS
    minute = np.arange(minute_of_quote[0], minute_of_quote[-1] + 1)
    edges_ns = np.append(minute, minute[-1] + 1) * MINUTE_NS
    is_seen = np.bincount(minute_of_quote - minute[0], minlength=len(minute)) > 0

    spread = quotes.spread_bps
    stood_ns = np.diff(quotes.time_ns, append=quotes.time_ns[-1])
    until = np.append(0.0, np.cumsum(spread * stood_ns))
    row = np.maximum(standing_at(quotes.time_ns, edges_ns), 0)
    mean = np.diff(until[row] + spread[row] * (edges_ns - quotes.time_ns[row])) / MINUTE_NS
    log_spread = np.log(np.where(is_seen & (mean > 0), mean, np.nan))

    # A quote at the very end of a minute belongs to the next one, as `minute_of_quote` has it.
    last = np.maximum(standing_at(quotes.time_ns, edges_ns[1:] - 1), 0)
    log_mid = np.where(is_seen, np.log(quotes.mid[last]), np.nan)
    return Minutes(minute, log_spread, np.diff(log_mid, prepend=np.nan))


def is_weekday(minute: np.ndarray) -> np.ndarray:
    """Return whether each minute lies on Monday to Friday UTC, (M,) bool."""
    return np.asarray((minute // _DAY_MINUTES + 3) % 7 < _SATURDAY)  # day 0 was a Thursday


def bipower_ratio(returns: np.ndarray) -> float:
    """Return bipower variation over realised variance: 1 without jumps, less with them.

    Shapes: (N,), in order of time, all known.
    Source: Barndorff-Nielsen and Shephard (2004); models 10.3.
    """
    count = len(returns)
    bipower = math.pi / 2 * count / (count - 1) * float(np.abs(returns[1:] * returns[:-1]).sum())
    return bipower / float((returns**2).sum())


def hourly_spread_bps(quotes: Quotes) -> np.ndarray:
    """Return the time-weighted spread of each hour of the day UTC, (24,) bps; NaN where nothing is quoted."""
    hour = quotes.time_ns // (60 * MINUTE_NS) % 24
    return np.array([_time_weighted(quotes, hour == wanted) for wanted in range(24)])


def spread_in(quotes: Quotes, start_s: int, end_s: int) -> tuple[float, float]:
    """Return the time-weighted and the largest spread, in bps, between two times of day UTC, end exclusive."""
    second = quotes.time_ns // SECOND_NS % 86_400
    inside = (second >= start_s) & (second < end_s)
    return _time_weighted(quotes, inside), float(quotes.spread_bps[inside].max())


def lead_lag(one: Quotes, other: Quotes) -> tuple[float, float, float]:
    """Return the correlation of 1 s returns of two venues: at the same second, `one` a second ahead, and behind.

    A venue that does not quote keeps its last mid, so its return is 0.
    """
    both_ns = np.array([max(one.time_ns[0], other.time_ns[0]), min(one.time_ns[-1], other.time_ns[-1])])
    points_ns = whole_steps(both_ns, SECOND_NS)
    left, right = (np.diff(np.log(quotes.mid[standing_at(quotes.time_ns, points_ns)])) for quotes in (one, other))
    return correlation(left, right), correlation(left[:-1], right[1:]), correlation(left[1:], right[:-1])


def _time_weighted(quotes: Quotes, chosen: np.ndarray) -> float:
    # A quote counts for a minute at most, whatever follows: a closed market is not a market with a wide spread.
    stood_ns = np.minimum(np.diff(quotes.time_ns, append=quotes.time_ns[-1]), MINUTE_NS)[chosen]
    total = int(stood_ns.sum())
    return float((quotes.spread_bps[chosen] * stood_ns).sum()) / total if total else math.nan
