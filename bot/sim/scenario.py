"""The scenarios of synthetic markets: how far liquidity and prices are from calm, by the elapsed time alone.

calm         what the symbols' characters say
thin         three times the spread, a fifth of the depth, a quarter of the events
trending     prices rise by three deviations in half a minute, with twice the depth behind the trend as before it;
             after ten minutes they fall for ten, and so on
flash-crash  calm for 12 s; then bids are withdrawn, the spread widens to ten times, quotes come four times as often,
             and prices fall by 650 volatilities of a second within 3 s (EURUSD 1 %, BTCUSD 5 %, EURJPY what its legs
             do together); no bid at all for 2 s; then three quarters of the fall are made up over 20 s, in a thin book;
             calm again, until a new minute begins
rollover     as at 17:00 in New York, but soon over: after 12 s of calm the spread widens to eight times and the depth
             sinks to a fifth within 3 s; quotes come seldom, nothing pushes prices; 15 s after it began the market is
             calm; each 45 s anew

How it works: a scenario is a table of moments. Between two of them the factors change geometrically and the move of the
price in proportion; after the last one the table begins again. What a round leaves of its move fades over the next half
hour, so that a venue that runs for days does not run out of price. Times are the market's own: `speed` shortens them.
"""

import math
from bisect import bisect_right
from typing import NamedTuple

_FADING_S = 1_800.0


class Moment(NamedTuple):
    """How a market is at one moment. Units: seconds of the round; factors on what is calm; `move` in log price, as a
    multiple of the symbol's volatility per root second. A side of depth 0 is empty until the next moment."""

    at_s: float
    spread: float = 1.0
    bids: float = 1.0
    asks: float = 1.0
    events: float = 1.0
    move: float = 0.0


class Scenario:
    """A way for all symbols to behave. `size_deviation` and `spread_deviation` are of the log of the slow noise."""

    def __init__(self, *moments: Moment, size_deviation: float = 0.3, spread_deviation: float = 0.2) -> None:
        self.size_deviation, self.spread_deviation = size_deviation, spread_deviation
        self._moments = moments
        self._starts_s = [moment.at_s for moment in moments]
        self._period_s = moments[-1].at_s
        self._left = moments[-1].move
        self.moves_prices = any(moment.move for moment in moments)

    def at(self, elapsed_s: float) -> Moment:
        """Return how the market is after a time; its `at_s` is that of the round."""
        if len(self._moments) == 1:
            return self._moments[0]
        rounds, at_s = divmod(elapsed_s, self._period_s)
        index = bisect_right(self._starts_s, at_s)
        before, after = self._moments[index - 1], self._moments[index]
        part = (at_s - before.at_s) / (after.at_s - before.at_s)
        return Moment(
            at_s,
            _between(before.spread, after.spread, part),
            _between(before.bids, after.bids, part),
            _between(before.asks, after.asks, part),
            _between(before.events, after.events, part),
            before.move + (after.move - before.move) * part + self._left_by(rounds, at_s),
        )

    def _left_by(self, rounds: float, at_s: float) -> float:
        # A geometric series: each round that is over has left its last move, and each has faded since it ended.
        if not self._left:
            return 0.0
        ratio = math.exp(-self._period_s / _FADING_S)
        return self._left * math.exp(-at_s / _FADING_S) * (1.0 - math.pow(ratio, rounds)) / (1.0 - ratio)


def _between(before: float, after: float, part: float) -> float:
    if before == after or before == 0.0 or after == 0.0:
        return before
    return before * math.pow(after / before, part)


_SLOPE = 0.6
"""Volatilities of a second that a trend gains a second: 0.6 * 30 s / root(30 s) is 3.3 deviations."""

SCENARIOS: dict[str, Scenario] = {
    "calm": Scenario(Moment(0)),
    "thin": Scenario(
        Moment(0, spread=3.0, bids=0.2, asks=0.2, events=0.25), size_deviation=0.45, spread_deviation=0.35
    ),
    "trending": Scenario(
        Moment(0, bids=1.4, asks=0.7),
        Moment(600, bids=1.4, asks=0.7, move=_SLOPE * 600),
        Moment(600, bids=0.7, asks=1.4, move=_SLOPE * 600),
        Moment(1_200, bids=0.7, asks=1.4),
    ),
    "flash-crash": Scenario(
        Moment(0),
        Moment(12),
        Moment(12.8, spread=3, bids=0.4, asks=0.6, events=2, move=-60),
        Moment(15, spread=10, bids=0.1, asks=0.3, events=4, move=-650),
        Moment(15, spread=10, bids=0, asks=0.2, events=4, move=-650),
        Moment(17, spread=10, bids=0, asks=0.2, events=3, move=-650),
        Moment(17, spread=10, bids=0.1, asks=0.2, events=3, move=-650),
        Moment(21, spread=6, bids=0.15, asks=0.25, events=2, move=-350),
        Moment(32, spread=2.5, bids=0.3, asks=0.35, events=1.2, move=-190),
        Moment(37, move=-160),
        Moment(60, move=-160),
    ),
    "rollover": Scenario(
        Moment(0),
        Moment(12),
        Moment(15, spread=8, bids=0.2, asks=0.2, events=0.3),
        Moment(24, spread=8, bids=0.2, asks=0.2, events=0.3),
        Moment(27),
        Moment(45),
    ),
}
