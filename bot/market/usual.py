"""What is usual: running medians of the logs of spread, depth, cost, impact and more, on a clock of a second. Compiled.

How it works: two running medians a quantity and symbol, of this quarter of an hour and of all that was seen. What is
kept by time of day, and which of the two is in use, is `seasonality.py`'s. In a crisis, or when a feed has stopped,
nothing is learnt: a crisis must never become usual (models 11).
"""

import math

from numba import njit

from bot.market.delta import Record
from bot.market.smoothing import quantile_step
from bot.market.state import U_DEPTH, U_GAP, U_SPREAD

_STEP = 0.05
_LEAST_OVERALL_STEP = 0.002
_FIRST = 5.0  # observations that are averaged before the median runs
NORMAL = 1.4826
"""Standard deviation over median absolute deviation, of a normal."""
LONG_GAP = 0.99
"""Of gaps between messages not the median is kept but a long one: quotes come in bursts, and the silences between them
are a hundred times the median gap on a normal day."""
LEAST_DEVIATION = 0.35
"""Of the logs of spread and depth. Many a spread hardly ever moves: with its own deviation its doubling would be six of
them. With this one three deviations are a spread three times the usual one, and six are eight times."""


@njit(cache=True, error_model="numpy")
def _follow_deviation(deviation: float, away: float) -> float:
    """Return the running median of distances after one more; it starts at the least that counts."""
    if math.isnan(deviation):
        deviation = LEAST_DEVIATION / NORMAL
    return max(quantile_step(deviation, away, 0.5, _STEP * 0.2), 0.0)


@njit(cache=True, error_model="numpy")
def learn(st: Record, which: int, x: float) -> None:
    """Take one observation of a quantity, in logs."""
    if not math.isfinite(x):
        return
    probability = LONG_GAP if which == U_GAP else 0.5
    n = st.overall_n[which]
    if n < _FIRST and not math.isnan(st.overall[which]):
        # A median that starts at one odd quote is far off for long, and a crisis in its eyes would keep it there.
        st.overall[which] += (x - st.overall[which]) / (1.0 + n)
    else:
        # At first every observation moves the median far, so that it is soon in place; later it takes its time.
        least_step = _STEP if which == U_GAP else _LEAST_OVERALL_STEP
        st.overall[which] = quantile_step(st.overall[which], x, probability, max(least_step, 1.0 / (1.0 + n)))
    st.overall_n[which] = n + 1.0
    st.median[which] = quantile_step(st.median[which], x, probability, _STEP)
    if st.usual_days == 0.0 or not math.isfinite(st.usual[which]):
        # No day is known of this quarter of an hour: all that was seen has to serve.
        st.usual[which] = st.overall[which]
    if which == U_DEPTH:
        st.depth_deviation = _follow_deviation(st.depth_deviation, abs(x - st.usual[which]))
    if which == U_SPREAD:
        # From what a crisis is measured from: a median that runs along with the spread is never far from it.
        st.spread_deviation = _follow_deviation(st.spread_deviation, abs(x - st.usual[which]))
        if st.usual_days == 0.0:
            st.usual_deviation = max(NORMAL * st.spread_deviation, LEAST_DEVIATION)
