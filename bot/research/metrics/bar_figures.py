"""The figures of a run that are functions of its bars, each of any choice of them.

Shapes: every function takes bars and `chosen` (N,), places of bars in the order in which they count, repeats allowed.
Missing: NaN where nothing is known, such as costs per notional without a fill.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from bot.research.metrics.bars import LEVELS, Bars, Samples

BarFigure = Callable[[Bars, np.ndarray], float]


def trading_days(bars: Bars, chosen: np.ndarray) -> float:
    """Return how many days of open market there were."""
    return float(bars.rows["open_s"][chosen].sum()) / bars.trading_time.day_s


def net_return_frac(bars: Bars, chosen: np.ndarray) -> float:
    """Return what equity gained, as a fraction of what it was."""
    return float(np.prod(1 + bars.rows["return_frac"][chosen])) - 1


def realised_volatility_frac(bars: Bars, chosen: np.ndarray) -> float:
    """Return the root of the sum of squared returns per year of open market; closed hours are in neither.

    Source: Andersen, Bollerslev, Diebold, Labys (2003), realised variance; models 10.2, bars of five minutes.
    """
    squares = float((bars.rows["open_return_frac"][chosen] ** 2).sum())
    return math.sqrt(squares / _years(bars, chosen))


def net_sharpe(bars: Bars, chosen: np.ndarray) -> float:
    """Return mean over standard deviation of the returns of bars, times the root of bars per year of open market.

    Moves while the market was closed are in it; nothing is taken off for interest.
    Missing: NaN below two bars, or where returns do not vary.
    Source: Sharpe (1994); Lo (2002) for the root of time, which takes returns for uncorrelated.
    """
    returns = bars.rows["return_frac"][chosen]
    if len(returns) < 2 or not (deviation := float(returns.std(ddof=1))) > 1e-15:
        return math.nan
    return float(returns.mean()) / deviation * math.sqrt(len(returns) / _years(bars, chosen))


def max_drawdown_frac(bars: Bars, chosen: np.ndarray) -> float:
    """Return the deepest fall from a peak at the ends of bars, as a fraction of the peak."""
    path = np.append(1.0, np.cumprod(1 + bars.rows["return_frac"][chosen]))
    peak = np.maximum.accumulate(path)
    return float((1 - path / peak).max())


def shortfall_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return slippage and commission, each in bps of the notional of the fills for which it is known.

    Source: Perold (1988), without what was never filled.
    """
    rows = bars.rows[chosen]
    commission_bps = _of_notional(rows["commission"].sum(), rows["commission_notional"].sum())
    return slippage_bps(bars, chosen) + commission_bps


def slippage_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return fill price against the mid at the decision, in bps of notional. Source: models 9.4."""
    return _of_notional(bars.rows["slippage"][chosen].sum(), bars.rows["notional"][chosen].sum())


def delay_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return the part of slippage that is the mid's move from decision to fill, in bps of notional."""
    return _of_notional(bars.rows["delay"][chosen].sum(), bars.rows["delay_notional"][chosen].sum())


def own_impact_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return what our own fills moved the price, in bps of the notional for which it is known."""
    return _of_notional(bars.rows["impact"][chosen].sum(), bars.rows["impact_notional"][chosen].sum())


def shortfall_bps_per_day(bars: Bars, chosen: np.ndarray) -> float:
    """Return slippage and commission in bps of equity a day."""
    return _per_day(bars, chosen, "shortfall_of_equity")


def slippage_bps_per_day(bars: Bars, chosen: np.ndarray) -> float:
    """Return slippage in bps of equity a day."""
    return _per_day(bars, chosen, "slippage_of_equity")


def own_impact_bps_per_day(bars: Bars, chosen: np.ndarray) -> float:
    """Return own impact in bps of equity a day."""
    return _per_day(bars, chosen, "impact_of_equity")


def resize_cost_bps_per_day(bars: Bars, chosen: np.ndarray) -> float:
    """Return the shortfall of fills that only changed sizes, in bps of equity a day, at a base leverage of 1."""
    return _per_day(bars, chosen, "resize_of_equity") / bars.base_leverage


def turnover_per_day(bars: Bars, chosen: np.ndarray) -> float:
    """Return the notional that was traded, in equities a day."""
    return _per_day(bars, chosen, "turnover") / 1e4


def mean_leverage(bars: Bars, chosen: np.ndarray) -> float:
    """Return the mean of gross leverage, the sum of |L| over symbols, over the time in which it is known.

    Missing: NaN where it never is. It is not while a connection is away.
    """
    known_s = float(bars.rows["known_leverage_s"][chosen].sum())
    return float(bars.rows["leverage_s"][chosen].sum()) / known_s if known_s else math.nan


def capped_frac(bars: Bars, chosen: np.ndarray) -> float:
    """Return the share of time at a cap, the mean over symbols."""
    return _share_of_time(bars, chosen, bars.rows["capped_s"])


def crisis_frac(bars: Bars, chosen: np.ndarray) -> float:
    """Return the share of time at crisis level 1 and above, the mean over symbols."""
    return _share_of_time(bars, chosen, bars.rows["level_s"][:, 1:].sum(axis=1))


def time_at_level_frac(bars: Bars, chosen: np.ndarray) -> tuple[float, ...]:
    """Return the share of time at crisis levels 0 to 3, the mean over symbols."""
    return tuple(_share_of_time(bars, chosen, bars.rows["level_s"][:, level]) for level in range(LEVELS))


def exit_cost_p50_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return what closing a position cost at least half of the time, in bps of its notional."""
    return _quantile(bars.exit_cost, chosen, 0.50)


def exit_cost_p95_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return the exit cost that was not exceeded 95 % of the time, in bps of notional."""
    return _quantile(bars.exit_cost, chosen, 0.95)


def exit_cost_p99_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return the exit cost that was not exceeded 99 % of the time, in bps of notional."""
    return _quantile(bars.exit_cost, chosen, 0.99)


def exit_cost_of_equity_p99_bps(bars: Bars, chosen: np.ndarray) -> float:
    """Return the same of closing everything, in bps of equity, nothing while flat: an arm that holds less pays less."""
    return _quantile(bars.exit_cost_of_equity, chosen, 0.99)


BAR_FIGURES: Mapping[str, BarFigure] = {
    figure.__name__: figure
    for figure in (
        net_return_frac, net_sharpe, realised_volatility_frac, max_drawdown_frac,
        shortfall_bps, slippage_bps, delay_bps, own_impact_bps,
        shortfall_bps_per_day, slippage_bps_per_day, own_impact_bps_per_day, resize_cost_bps_per_day,
        turnover_per_day, mean_leverage, capped_frac, crisis_frac,
        exit_cost_p50_bps, exit_cost_p95_bps, exit_cost_p99_bps, exit_cost_of_equity_p99_bps,
    )
}  # fmt: skip
"""Every figure of bars by its name."""


def _years(bars: Bars, chosen: np.ndarray) -> float:
    return float(bars.rows["open_s"][chosen].sum()) / bars.trading_time.year_s


def _of_notional(money: float, notional: float) -> float:
    return float(1e4 * money / notional) if notional > 0 else math.nan


def _per_day(bars: Bars, chosen: np.ndarray, name: str) -> float:
    return 1e4 * float(bars.rows[name][chosen].sum()) / trading_days(bars, chosen)


def _share_of_time(bars: Bars, chosen: np.ndarray, lasting_s: np.ndarray) -> float:
    return float(lasting_s[chosen].sum() / bars.rows["open_s"][chosen].sum())


def _quantile(samples: Samples, chosen: np.ndarray, share: float) -> float:
    """Return the smallest sample that at least `share` of the time is not above: no interpolation between samples.

    Only as many of the largest samples are looked at as it takes, which is what makes a bootstrap of a tail quick.
    """
    total_s = float(samples.bar_s[chosen].sum())
    if not total_s > 0:
        return math.nan
    times = np.bincount(chosen, minlength=len(samples.bar_s))
    # A hair more, so that 1 of 100 equal weights is 1 % whatever their sum's last digit is.
    above_s = (1 - share) * total_s * (1 + 1e-9)
    count = len(samples.bar)
    looked_at = 4 * math.ceil((1 - share) * count)
    while True:
        top = slice(max(count - looked_at, 0), count)
        weight = np.cumsum((times[samples.bar[top]] * samples.open_s[top])[::-1])
        place = int(np.searchsorted(weight, above_s, side="right"))
        if place < len(weight):
            return float(samples.sorted_bps[count - 1 - place])
        looked_at *= 2
