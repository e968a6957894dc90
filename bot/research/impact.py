"""How price moves with order flow: bucketed fits, half-hour windows, slope against depth, a slope learnt on the way."""

from typing import NamedTuple

import numpy as np

from bot.market.order_flow import order_flows
from bot.research.grid import standing_at, sums_between, whole_steps
from bot.research.recordings import Ladders, Quotes, Trades
from bot.research.regression import explained, least_squares

SECOND_NS = 1_000_000_000


class Buckets(NamedTuple):
    """Equal steps of time: `points_ns` (B + 1,) their edges, `flow` (B,) or (B, L), `mid_change` (B,) in price."""

    points_ns: np.ndarray
    flow: np.ndarray
    mid_change: np.ndarray


class Window(NamedTuple):
    """One window of buckets: R2 of mid change on flow and on traded volume, slope, and mean size at the touch."""

    flow_r_squared: float
    trade_r_squared: float
    slope: float
    depth: float


def quote_buckets(quotes: Quotes, points_ns: np.ndarray) -> Buckets:
    """Return the order flow at the best prices, and the change of mid, in each step.

    A point before the first quote takes that quote's mid.
    Units: flow in the recording's size unit.   Source: models 6.1.
    """
    flow = order_flows(quotes.bid, quotes.bid_size, quotes.ask, quotes.ask_size)
    return _buckets(quotes.time_ns, flow, quotes.mid, points_ns)


def ladder_buckets(ladders: Ladders, step_ns: int) -> Buckets:
    """Return the order flow of each of the 20 levels, flow (B, 20), and the change of mid. Source: models 6.2."""
    flow = order_flows(ladders.bid, ladders.bid_size, ladders.ask, ladders.ask_size)
    return _buckets(ladders.time_ns, flow, ladders.mid, whole_steps(ladders.time_ns, step_ns))


def traded_volume(trades: Trades, points_ns: np.ndarray) -> np.ndarray:
    """Return bought less sold volume of each step, (B,)."""
    return sums_between(trades.time_ns, trades.sign * trades.size, points_ns)


def session_windows(quotes: Quotes, trades: Trades, open_ns: int, windows: int) -> list[Window]:
    """Fit each half hour of a session, 180 buckets of 10 s, from the open on.

    Source: Cont, Kukanov, Stoikov (2014), section 3: 10 s buckets within half-hour windows.
    """
    steps = 180
    points_ns = open_ns + np.arange(windows * steps + 1, dtype=np.int64) * (10 * SECOND_NS)
    buckets = quote_buckets(quotes, points_ns)
    volume = traded_volume(trades, points_ns)
    resting = (quotes.bid_size + quotes.ask_size) / 2
    ends = standing_at(quotes.time_ns, points_ns[::steps]) + 1
    fitted = []
    for index in range(windows):
        rows = slice(index * steps, (index + 1) * steps)
        of_flow = least_squares(buckets.flow[rows], buckets.mid_change[rows])
        of_trades = least_squares(volume[rows], buckets.mid_change[rows])
        depth = float(resting[ends[index] : ends[index + 1]].mean())
        fitted.append(Window(of_flow.r_squared, of_trades.r_squared, float(of_flow.slopes[0]), depth))
    return fitted


def one_step_r_squared(flow: np.ndarray, change: np.ndarray, half_life: float, warm_up: int) -> float:
    """Return how well the slope learnt so far explains the next bucket, R2 after the first `warm_up` buckets.

    It is the slope that is forecast, and not the flow: the bucket's own flow is given.

    Shapes: `flow`, `change` (B,).   Units: `half_life` in buckets; infinite: nothing is forgotten.
    Source: models 6.5, lambda = Sxy / Sxx, S = phi S + new, with no ridge term.
    """
    decay = 2.0 ** (-1.0 / half_life)
    squares = products = 0.0
    predicted = np.zeros(len(flow))
    for index, (x, y) in enumerate(zip(flow.tolist(), change.tolist(), strict=True)):
        predicted[index] = products / squares * x if squares > 0 else 0.0
        squares, products = decay * squares + x * x, decay * products + x * y
    return explained(change[warm_up:], predicted[warm_up:])


def _buckets(times_ns: np.ndarray, flow: np.ndarray, mid: np.ndarray, points_ns: np.ndarray) -> Buckets:
    at_points = mid[np.maximum(standing_at(times_ns, points_ns), 0)]
    return Buckets(points_ns, sums_between(times_ns, flow, points_ns), np.diff(at_points))
