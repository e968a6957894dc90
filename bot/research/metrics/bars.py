"""A run as bars of five minutes: what a bootstrap draws, and what every figure of a run is summed from.

How it works: a figure is a function of bars and of the places of those that count, in their order; all of them make the
figure of the run, a resample makes one draw of it. So a figure and its interval cannot differ in their formula.
"""

from dataclasses import dataclass, replace

import numpy as np

from bot.research.metrics.arm_run import SECOND_NS, ArmRun, TradingTime
from bot.research.metrics.fill_shortfall import shortfall_of

BAR_S = 300.0
LEVELS = 4  # of a crisis, 0 to 3

BAR = np.dtype(
    [
        ("time_ns", np.int64),
        ("open_s", np.float64),
        ("return_frac", np.float64),
        ("open_return_frac", np.float64),
        ("slippage", np.float64),
        ("delay", np.float64),
        ("delay_notional", np.float64),
        ("commission", np.float64),
        ("commission_notional", np.float64),
        ("notional", np.float64),
        ("impact", np.float64),
        ("impact_notional", np.float64),
        ("turnover", np.float64),
        ("shortfall_of_equity", np.float64),
        ("slippage_of_equity", np.float64),
        ("impact_of_equity", np.float64),
        ("resize_of_equity", np.float64),
        ("leverage_s", np.float64),
        ("known_leverage_s", np.float64),
        ("capped_s", np.float64),
        ("level_s", np.float64, (LEVELS,)),
    ]
)
"""A bar: sums over its rows and fills. Units: `time_ns` of its first row; `_s` seconds of open market, or times
them; `_of_equity` fractions of the equity at the fill, that of resizes over the symbol's weight; `notional` of the
fills with a known slippage, `delay_notional`, `commission_notional` and `impact_notional` of those for which that is
known, `known_leverage_s` of the rows with a known leverage; the rest of the costs in the deposit currency.
`open_return_frac` leaves out what happened while the market was closed."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """A figure of every row, sorted. Shapes: (N,). Units: `bar` place of its bar, `open_s` its weight.

    `bar_s` is the weight of the samples of each bar, (B,).
    """

    sorted_bps: np.ndarray
    bar: np.ndarray
    open_s: np.ndarray
    bar_s: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """A run as bars. Shapes: `rows` (B,) of `BAR`; `traded_frac` (B,) their returns without what moved while a market,
    that of one symbol or of all, was closed.

    `exit_cost` holds the cost of closing each held position in bps of its notional, where known; `exit_cost_of_equity`
    that of closing all of them in bps of equity, 0 while flat, where known. Infinite where nobody stood on the side to
    close against: known, and no exit.
    """

    rows: np.ndarray
    exit_cost: Samples
    exit_cost_of_equity: Samples
    trading_time: TradingTime
    base_leverage: float
    traded_frac: np.ndarray

    @property
    def everything(self) -> np.ndarray:
        """The places of all bars, (B,): what makes the figure of the whole run."""
        return np.arange(len(self.rows))

    def without_closed_hours(self) -> "Bars":
        """Return the same bars with returns that leave out what moved while a market was closed."""
        rows = self.rows.copy()
        rows["return_frac"] = self.traded_frac
        return replace(self, rows=rows)


def bars_of(run: ArmRun, trading_time: TradingTime | None = None, bar_s: float = BAR_S) -> Bars:
    """Return a run as bars on the grid of `bar_s` since 1970; bars without a row are not there.

    A bar's return goes from the last row of the bar before it to its own last row, so that all of them make the return
    of the run.
    """
    trading_time = TradingTime() if trading_time is None else trading_time
    grid = run.time_ns // round(bar_s * SECOND_NS)
    from_row = np.flatnonzero(np.append(True, np.diff(grid) != 0))
    bar_of_row = np.cumsum(np.append(False, np.diff(grid) != 0))
    rows = np.zeros(len(from_row), BAR)
    rows["time_ns"] = run.time_ns[from_row]
    open_s = run.open_s
    rows["open_s"] = np.add.reduceat(open_s, from_row)

    growth = run.growth
    rows["return_frac"] = np.multiply.reduceat(growth, from_row) - 1
    rows["open_return_frac"] = np.multiply.reduceat(np.where(run.is_after_gap, 1.0, growth), from_row) - 1

    equity = run.traded_equity
    closes = equity[np.append(from_row[1:], len(equity)) - 1]
    before = np.append(equity[0], closes[:-1])
    traded = np.divide(closes, before, out=np.ones_like(closes), where=before != 0) - 1

    _add_fills(rows, run, bar_of_row)
    size = np.abs(run.leverage)
    gross = size.sum(axis=1)
    is_known = ~np.isnan(gross)
    rows["leverage_s"] = np.add.reduceat(np.where(is_known, gross, 0.0) * open_s, from_row)
    rows["known_leverage_s"] = np.add.reduceat(is_known * open_s, from_row)
    rows["capped_s"] = np.add.reduceat(run.is_capped.mean(axis=1) * open_s, from_row)
    for level in range(LEVELS):
        share = (run.crisis_level == level).mean(axis=1)
        rows["level_s"][:, level] = np.add.reduceat(share * open_s, from_row)

    held = (size > 0) & ~np.isnan(run.exit_cost_bps)
    row, symbol = np.nonzero(held)
    exit_cost = _samples(run.exit_cost_bps[row, symbol], bar_of_row[row], open_s[row], len(rows))
    with np.errstate(invalid="ignore"):
        total = np.where(size > 0, size * run.exit_cost_bps, 0.0).sum(axis=1)
    known = np.flatnonzero(~np.isnan(total))
    of_equity = _samples(total[known], bar_of_row[known], open_s[known], len(rows))
    return Bars(rows, exit_cost, of_equity, trading_time, run.base_leverage, traded)


def _add_fills(rows: np.ndarray, run: ArmRun, bar_of_row: np.ndarray) -> None:
    fills, costs = run.fills, shortfall_of(run.fills, run.held_units)
    bar = bar_of_row[run.row_at(fills["time_ns"])]
    weight = np.array(run.weights)[fills["symbol"]] if run.weights else 1.0
    notional, equity = fills["notional"], fills["equity"]
    is_owned = np.isfinite(equity) & (equity > 0)
    share = np.divide(1.0, equity, out=np.zeros(len(fills)), where=is_owned)
    has_commission = np.isfinite(fills["commission"]) & np.isfinite(notional) & (notional > 0)
    sums = {
        "slippage": costs.slippage,
        "delay": costs.delay,
        "delay_notional": np.where(costs.is_known & np.isfinite(fills["mid_at_fill"]), notional, 0.0),
        "commission": np.where(has_commission, costs.commission, 0.0),
        "commission_notional": np.where(has_commission, notional, 0.0),
        "notional": np.where(costs.is_known, notional, 0.0),
        "impact": costs.impact,
        "impact_notional": np.where(costs.is_impact_known, notional, 0.0),
        "turnover": np.where(np.isfinite(notional), notional, 0.0) * share,
        "shortfall_of_equity": costs.shortfall * share,
        "slippage_of_equity": costs.slippage * share,
        "impact_of_equity": costs.impact * share,
        "resize_of_equity": np.where(costs.is_resize, costs.shortfall, 0.0) * share / weight,
    }
    for name, each in sums.items():
        rows[name] = np.bincount(bar, weights=each, minlength=len(rows))


def _samples(bps: np.ndarray, bar: np.ndarray, open_s: np.ndarray, bars: int) -> Samples:
    order = np.argsort(bps, kind="stable")
    weights = np.bincount(bar, weights=open_s, minlength=bars)
    return Samples(bps[order], bar[order], open_s[order], weights)
