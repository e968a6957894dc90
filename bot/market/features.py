"""The microstructure formulas of a book and of averages in plain numpy, one function a formula.

These are the definitions, readable beside the paper; `flow_formulas.py`, `volatility_formulas.py` and
`crisis_formulas.py` hold the others. The evaluator computes the same numbers in one compiled pass; its tests use these
as their oracle. Prices and sizes are floats here: price in quote currency per unit, size in base units, best level
first. Levels of one side are (L,) arrays; an empty side is an empty array. NaN means unknown.
"""

import math

import numpy as np

BPS = 1e4


def mid(bid: float, ask: float) -> float:
    """Return the mid price; NaN where either side is missing. Locked and crossed quotes are legal."""
    return (bid + ask) / 2


def spread_bps(bid: float, ask: float) -> float:
    """Return the quoted relative spread in bps of mid; negative when crossed.

    Source: models 2.1, S = 1e4 (a - b) / m.
    """
    return BPS * (ask - bid) / mid(bid, ask)


def depth_within(prices: np.ndarray, sizes: np.ndarray, mid_price: float, distance: float) -> float:
    """Return the size resting within `distance` of mid on one side, edge included.

    Units: size in base units; distance in price. The slack of 1e-9 keeps an edge that floats would lose.
    Source: models 3.1.
    """
    return float(sizes[np.abs(prices - mid_price) <= distance + 1e-9].sum())


def weighted_depth(prices: np.ndarray, sizes: np.ndarray, mid_price: float, decay: float) -> float:
    """Return distance-weighted depth, sum of q exp(-|p - m| / h), in base units. Source: models 3.2."""
    return float((sizes * np.exp(-np.abs(prices - mid_price) / decay)).sum())


def weighted_mid(bid: float, ask: float, bid_size: float, ask_size: float) -> float:
    """Return the size-weighted mid (b q_a + a q_b) / (q_a + q_b); the mid when crossed or a size is not positive.

    Source: models 4.1. Not the microprice of Stoikov (2018).
    """
    if not (bid_size > 0 and ask_size > 0) or bid > ask:
        return mid(bid, ask)
    return (bid * ask_size + ask * bid_size) / (bid_size + ask_size)


def imbalance(bid_weight: float, ask_weight: float) -> float:
    """Return (B - A) / (B + A) in [-1, 1]; positive means more to buy; NaN when both sides are empty.

    Source: models 5, with weights from `weighted_depth`.
    """
    total = bid_weight + ask_weight
    return (bid_weight - ask_weight) / total if total > 0 else math.nan


def order_flow(
    old_bid: tuple[float, float], old_ask: tuple[float, float], bid: tuple[float, float], ask: tuple[float, float]
) -> float:
    """Return the best-level order flow e of one atomic book event, in base units.

    Arguments are (price, size) of the best level before and after; an empty side is (-inf, 0) or (inf, 0).
    Source: Cont, Kukanov, Stoikov (2014), e_n; models 6.1.
    """
    flow = 0.0
    if bid[0] >= old_bid[0]:
        flow += bid[1]
    if bid[0] <= old_bid[0]:
        flow -= old_bid[1]
    if ask[0] <= old_ask[0]:
        flow -= ask[1]
    if ask[0] >= old_ask[0]:
        flow += old_ask[1]
    return flow


def walk(prices: np.ndarray, sizes: np.ndarray, units: float) -> tuple[float, float, float]:
    """Return (vwap of what fills, filled, unfilled) of a market order of `units` into one side, best level first.

    Missing: vwap is NaN when nothing fills.
    Source: models 8.1.
    """
    taken = np.minimum(sizes, np.maximum(units - (np.cumsum(sizes) - sizes), 0.0))
    filled = float(taken.sum())
    vwap = float((taken * prices).sum() / filled) if filled > 0 else math.nan
    return vwap, filled, units - filled


def book_slope(prices: np.ndarray, sizes: np.ndarray, mid_price: float) -> float:
    """Return the book's slope in base units per bps: cumulative size against distance, a line through the origin.

    Missing: NaN for an empty side or one that rests at mid.
    Source: models 3.3, sum c^2 / sum (c d).
    """
    cumulative = np.cumsum(sizes)
    away_bps = BPS * np.abs(prices - mid_price) / mid_price
    products = float((cumulative * away_bps).sum())
    return float((cumulative**2).sum()) / products if products > 0 else math.nan


def walk_cost_bps(prices: np.ndarray, sizes: np.ndarray, mid_price: float, units: float, side: int) -> float:
    """Return the cost of a market order of `units` against mid in bps; `side` is +1 to buy from asks, -1 to sell.

    What the book does not hold is priced at the last level plus remainder / slope, and is infinite without a slope.
    Source: models 8.1.
    """
    vwap, filled, unfilled = walk(prices, sizes, units)
    if unfilled <= 0:
        return slippage_bps(vwap, mid_price, side)
    slope = book_slope(prices, sizes, mid_price)
    if not slope > 0:
        return math.inf
    last_bps = slippage_bps(float(prices[-1]), mid_price, side)
    paid = filled * slippage_bps(vwap, mid_price, side)
    return (paid + unfilled * (last_bps + unfilled / slope)) / units


def slippage_bps(vwap: float, mid_price: float, side: int) -> float:
    """Return the cost of a fill against mid in bps, positive when it costs; `side` is +1 to buy, -1 to sell."""
    return BPS * side * (vwap - mid_price) / mid_price


def ewma_step(mean: float, previous: float, dt_s: float, half_life_s: float) -> float:
    """Return the time-aware average after `dt_s` during which the quantity stood at `previous`.

    A gap beyond 20 half-lives restarts at `previous`; a negative gap counts as none.
    Source: models 1.1 (previous-value weighting: quotes are piecewise constant).
    """
    if dt_s > 20 * half_life_s:
        return previous
    decay: float = 2.0 ** (-max(dt_s, 0.0) / half_life_s)
    return decay * mean + (1 - decay) * previous


def decayed_sum(total: float, increment: float, dt_s: float, half_life_s: float) -> float:
    """Return the sum form for increments such as flows: S = 2^(-dt/h) S + x. Source: models 1.1."""
    return float(2.0 ** (-max(dt_s, 0.0) / half_life_s) * total + increment)


def quantile_step(quantile: float, x: float, probability: float, step: float) -> float:
    """Return a running quantile after one more observation: q + c (p - 1{x < q}); the first one is the quantile.

    Source: models 1.3.
    """
    if math.isnan(quantile):
        return x
    return quantile + step * (probability - float(x < quantile))


def moments_step(mean: float, variance: float, x: float, alpha: float) -> tuple[float, float]:
    """Return the forgotten mean and variance after one more observation of weight `alpha`; the first is the mean.

    Source: models 1.2, m += alpha (x - m); v = (1 - alpha) (v + alpha (x - m)^2).
    """
    if math.isnan(mean):
        return x, 0.0
    away = x - mean
    return mean + alpha * away, (1 - alpha) * (variance + alpha * away**2)


def guarded_imbalance(
    quotes: list[tuple[int, float, float, float]], mid_price: float, decay: float, usual_size: float
) -> float:
    """Return the imbalance of quotes that are hard to fake, in [-1, 1].

    Args: `quotes` (side, price, size, age in seconds) with side 0 for bids; `usual_size` of a quote in the unit of the
        sizes, NaN for no cap. A quote younger than 100 ms does not count; one of more than three usual sizes counts as
        three; each weighs exp(-|p - m| / decay).
    Missing: NaN where no quote counts.
    Source: models 5, spoof guard.
    """
    cap = math.inf if math.isnan(usual_size) else 3 * usual_size
    weights = [0.0, 0.0]
    for side, price, size, age_s in quotes:
        if age_s >= 0.1:
            weights[side] += min(size, cap) * math.exp(-abs(price - mid_price) / decay)
    return imbalance(weights[0], weights[1])


def size_entropy_bits(sizes: list[float]) -> float:
    """Return the entropy of the distribution of quote sizes in bits; 0 when all are alike. Source: models 6.1 (v)."""
    _, counts = np.unique(np.asarray(sizes, float), return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def square_root_bps(daily_volatility_bps: float, units: float, daily_volume_units: float, factor: float = 1.0) -> float:
    """Return the square-root law of impact, Y sigma_D sqrt(Q / V_D). Source: Almgren et al. (2005); models 8.2."""
    return factor * daily_volatility_bps * math.sqrt(units / daily_volume_units)


def daily_volume_units(depth_units: float, refreshes_per_s: float) -> float:
    """Return what stands for the daily volume where none is published: a tenth of depth times refreshes a day.

    Source: models 8.2, turnover proxy.
    """
    return depth_units * refreshes_per_s * 86_400 * 0.1


def impact_bps(cost_bps: float, lambda_bps_per_unit: float, units: float, root_bps: float) -> float:
    """Return the impact of trading `units`: cost of one side plus half of lambda Q, at least the square-root law.

    Missing: a lambda or a square-root term that is NaN is left out; a NaN cost makes the impact NaN.
    Source: models 8.3 (C_exit / 2 + lambda Q kappa_p with kappa_p = 0.5), 8.2.
    """
    permanent = 0.0 if math.isnan(lambda_bps_per_unit) else 0.5 * lambda_bps_per_unit * units
    return cost_bps + permanent if math.isnan(root_bps) else float(np.maximum(cost_bps + permanent, root_bps))


def capacity_units(
    prices: np.ndarray, sizes: np.ndarray, mid_price: float, cap_bps: float, side: int, best_share: float = 1.0
) -> float:
    """Return the largest size that costs at most `cap_bps` against mid in half of the book, by bisection.

    Args: `side` +1 to buy from asks, -1 to sell; `best_share` of the best level that can be reached.
    Missing: 0 for an empty side; what the book does not hold is out of reach.
    Source: models 14.5, impact cap.
    """
    halved = sizes / 2
    halved[:1] *= best_share
    low, high = 0.0, float(halved.sum())
    if not high > 0 or walk_cost_bps(prices, halved, mid_price, high, side) <= cap_bps:
        return high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return low
        if walk_cost_bps(prices, halved, mid_price, middle, side) <= cap_bps:
            low = middle
        else:
            high = middle
