"""What is measured in each set of recordings: the figures of `anchors.py`, by name.

Each function takes the folder of the recordings. How a figure is defined stands where it is computed, so that a figure
that moves can be traced; the choices here (grids, horizons, seeds) are those of the study.
"""

import math
from pathlib import Path

import numpy as np

from bot.research import recordings
from bot.research.grid import standing_at, whole_steps
from bot.research.imbalance import ahead_auc, edge_bps, half_spread_bps, next_move_auc, next_move_auc_by_interval
from bot.research.impact import (
    SECOND_NS,
    ladder_buckets,
    one_step_r_squared,
    quote_buckets,
    session_windows,
    traded_volume,
)
from bot.research.liquidity import bipower_ratio, hourly_spread_bps, is_weekday, lead_lag, minutes_of, spread_in
from bot.research.recordings import Quotes
from bot.research.regression import autocorrelation, correlation, half_split_r_squared, least_squares
from bot.research.seasonality import log_liquidity_ratio, mean_ahead, mean_behind

_DAY_NS = 86_400 * SECOND_NS
# 13:30 UTC, the open in October; the last half hour of the day is left out, as in the study.
_OPEN_NS, _WINDOWS = 13 * 3_600 * SECOND_NS + 1_800 * SECOND_NS, 12
_EXP3 = np.exp(-np.arange(10) / 3)  # models 5, over ten levels


def equity_figures(folder: Path, symbol: str) -> dict[str, float]:
    """Return what best quotes and trades of a stock tell, over three sessions."""
    quotes = recordings.quotes_of_sides(
        recordings.load(folder / f"l1_usequity_{symbol}_2013-10_quotes.parquet", recordings.SIDE_COLUMNS)
    )
    trades = recordings.trades_of_prints(
        recordings.load(folder / f"l1_usequity_{symbol}_2013-10_trades.parquet", recordings.PRINT_COLUMNS), quotes
    )
    windows = []
    figures = {"spread, ticks": float((quotes.ask - quotes.bid).mean()) * 100}
    day_of = quotes.time_ns // _DAY_NS
    for day in np.unique(day_of).tolist():
        of_day = quotes.chosen(day_of == day)
        windows += session_windows(of_day, trades, day * _DAY_NS + _OPEN_NS, _WINDOWS)
        october = day - 15_978  # 2013-10-01 is day 15,979
        figures[f"next-move AUC, {october} October"] = next_move_auc_by_interval(of_day, draws=100, seed=7)
    flow, traded, slope, depth = np.array(windows).T
    return figures | {
        "OFI R2 10 s, mean of 36 half hours": float(flow.mean()),
        "OFI R2 10 s, median": float(np.median(flow)),
        "OFI R2 10 s, least": float(flow.min()),
        "OFI R2 10 s, greatest": float(flow.max()),
        "trade imbalance R2 10 s, mean": float(traded.mean()),
        "ln slope on ln depth": float(least_squares(np.log(depth), np.log(slope)).slopes[0]),
        "ln slope and ln depth, correlation": correlation(np.log(depth), np.log(slope)),
    }


def crypto_figures(folder: Path, name: str) -> dict[str, float]:
    """Return what best quotes, trades and ladders of one coin market tell, on the receive clock."""
    events = recordings.load(folder / f"l2_binance_{name}_events.parquet", recordings.EVENT_COLUMNS)
    quotes, trades = recordings.quotes_of_events(events), recordings.trades_of_events(events)
    ladders = recordings.ladders_of_snapshots(
        recordings.load(folder / f"l2_binance_{name}_book20.parquet", recordings.SNAPSHOT_COLUMNS)
    )
    second = quote_buckets(quotes, whole_steps(quotes.time_ns, SECOND_NS))
    ten = quote_buckets(quotes, whole_steps(quotes.time_ns, 10 * SECOND_NS))
    volume = traded_volume(trades, second.points_ns)
    started = standing_at(quotes.time_ns, second.points_ns[:-1])
    change_bps = 1e4 * second.mid_change / quotes.mid[np.maximum(started, 0)]
    levels = ladder_buckets(ladders, SECOND_NS)
    return {
        "OFI R2 1 s": least_squares(second.flow, second.mid_change).r_squared,
        "OFI R2 10 s": least_squares(ten.flow, ten.mid_change).r_squared,
        "trade imbalance R2 1 s": least_squares(volume, second.mid_change).r_squared,
        "5 levels, adjusted R2 1 s": least_squares(levels.flow[:, :5], levels.mid_change).adjusted_r_squared,
        "10 levels, adjusted R2 1 s": least_squares(levels.flow[:, :10], levels.mid_change).adjusted_r_squared,
        "1 level, half-split R2": half_split_r_squared(levels.flow[:, 0], levels.mid_change, 0.0),
        "10 levels, ridge, half-split R2": half_split_r_squared(levels.flow[:, :10], levels.mid_change, 0.05),
        "next-move AUC, all quotes": next_move_auc(quotes),
        "OBI 1 level, AUC 1 s ahead": ahead_auc(ladders, np.ones(1), SECOND_NS),
        "OBI 20 levels, AUC 1 s ahead": ahead_auc(ladders, np.ones(20), SECOND_NS),
        "OBI edge 1 s, bps": edge_bps(ladders, _EXP3, SECOND_NS, 0.5),
        "OBI edge 10 s, bps": edge_bps(ladders, _EXP3, 10 * SECOND_NS, 0.5),
        "half-spread, bps": half_spread_bps(ladders),
        "forgotten slope, one-step R2": one_step_r_squared(second.flow, change_bps, 60, 60),
        "expanding slope, one-step R2": one_step_r_squared(second.flow, change_bps, math.inf, 60),
    }


def fx_figures(folder: Path, name: str) -> dict[str, float]:
    """Return the spread of one market by the time of day, UTC; 21:00 is 17:00 New York in May."""
    quotes = _ticks(folder, name)
    hourly = hourly_spread_bps(quotes)
    figures = {
        "spread 09h, bps": float(hourly[9]),
        "spread 21h, bps": float(hourly[21]),
        "spread, narrowest hour, bps": float(np.nanmin(hourly)),
        # A few minutes on both sides: on Friday the widest quotes come just before the close.
        "spread around 21:00, greatest, bps": spread_in(quotes, 75_600 - 300, 75_600 + 900)[1],
    }
    if not name.endswith("XAUUSD"):  # gold does not quote at that time
        figures["spread 21:00-21:02, bps"] = spread_in(quotes, 75_600, 75_720)[0]
    return figures


def venue_figures(folder: Path) -> dict[str, float]:
    """Return jump shares of all FX recordings, and who leads whom."""
    ratios = []
    for name in ("fxcm_EURUSD", "fxcm_NZDUSD", "oanda_EURUSD", "oanda_NZDUSD", "oanda_XAUUSD"):
        minutes = minutes_of(_ticks(folder, name))
        # Sunday evening holds indications before the open; a minute next to one without a quote has no return.
        returns = minutes.log_return[is_weekday(minutes.minute)]
        ratios.append(bipower_ratio(returns[np.isfinite(returns)]))
    together, ahead, behind = lead_lag(_ticks(folder, "fxcm_EURUSD"), _ticks(folder, "oanda_EURUSD"))
    return {
        "BV/RV 1 min, least": min(ratios),
        "BV/RV 1 min, greatest": max(ratios),
        "EURUSD, FXCM and Oanda 1 s": together,
        "EURUSD, FXCM a second ahead": ahead,
        "EURUSD, FXCM a second behind": behind,
    }


def liquidity_figures(folder: Path, name: str) -> dict[str, float]:
    """Return how long liquidity keeps away from its time of day, and what it and volatility foretell."""
    minutes = minutes_of(_ticks(folder, name))
    ratio = log_liquidity_ratio(minutes.minute, minutes.log_spread)
    excess = mean_ahead(-ratio, 5)
    squared_bps = (1e4 * minutes.log_return) ** 2
    # A minute in which mid stands still has a logarithm all the same.
    past, future = (np.log(mean + 1e-4) / 2 for mean in (mean_behind(squared_bps, 30), mean_ahead(squared_bps, 5)))
    past = np.where(np.isfinite(ratio), past, np.nan)  # both inputs on the same minutes
    return {
        **{f"ln LR, acf {lag} min": autocorrelation(ratio, lag) for lag in (1, 5, 15, 60)},
        "next 5 min excess spread, R2 on ln LR": least_squares(ratio, excess).r_squared,
        "next 5 min excess spread, R2 on ln vol": least_squares(past, excess).r_squared,
        "next 5 min vol, R2 on ln vol": least_squares(past, future).r_squared,
        "next 5 min vol, R2 on ln LR": least_squares(ratio, future).r_squared,
    }


def _ticks(folder: Path, name: str) -> Quotes:
    path = folder / f"fx_{name}_2014-05.parquet"
    return recordings.quotes_of_ticks(recordings.load(path, recordings.TICK_COLUMNS))
