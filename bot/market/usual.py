"""What is usual: running medians of the logs of spread, depth, cost, impact and more, on a clock of a second. Compiled.

How it works: two running medians a quantity and symbol, of this quarter of an hour and of all that was seen. What is
kept by time of day, and which of the two is in use, is `seasonality.py`'s. In a crisis, or when a feed has stopped,
nothing is learnt: a crisis must never become usual (models 11).
"""

import math

from numba import njit

from bot.market.delta import Record
from bot.market.smoothing import quantile_step
from bot.market.state import U_SPREAD

_STEP = 0.05
_LEAST_OVERALL_STEP = 0.002
_DEVIATION = 1.4826  # of a normal: standard deviation over median absolute deviation
LEAST_DEVIATION = 0.35
"""Of the log spread. Many a spread hardly ever moves: with its own deviation its doubling would be six of them. With
this one three deviations are a spread three times the usual one, and six are eight times."""


@njit(cache=True)
def learn(st: Record, which: int, x: float) -> None:
    """Take one observation of a quantity, in logs."""
    if not math.isfinite(x):
        return
    n = st.overall_n[which]
    # At first every observation moves the median far, so that it is soon in place; later it takes its time.
    st.overall[which] = quantile_step(st.overall[which], x, 0.5, max(_LEAST_OVERALL_STEP, 1.0 / (1.0 + n)))
    st.overall_n[which] = n + 1.0
    st.median[which] = quantile_step(st.median[which], x, 0.5, _STEP)
    if which == U_SPREAD:
        away = abs(x - st.median[which])
        if math.isnan(st.spread_deviation):
            st.spread_deviation = LEAST_DEVIATION / _DEVIATION
        st.spread_deviation = max(quantile_step(st.spread_deviation, away, 0.5, _STEP * 0.2), 0.0)
    if st.usual_days == 0.0 or not math.isfinite(st.usual[which]):
        # No day is known of this quarter of an hour: all that was seen has to serve.
        st.usual[which] = st.overall[which]
    if which == U_SPREAD and st.usual_days == 0.0:
        st.usual_deviation = max(_DEVIATION * st.spread_deviation, LEAST_DEVIATION)
