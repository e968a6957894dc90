"""What figures are called in front of people, and how their numbers are written."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from bot.research.metrics.interval import Interval
from bot.research.metrics.superior_ability import SuperiorAbility

UNKNOWN = "unknown"
TELLING = "●"
"""Stands at a difference whose interval leaves out 0."""


class Words(NamedTuple):
    """A figure's name, its unit, how often it is larger on paper than inside (100 for percent), and its decimals."""

    name: str
    unit: str
    times: float = 1.0
    decimals: int = 2


_NAMES: Mapping[str, Words] = {
    "net_return_frac": Words("net return", "%", 100.0, 3),
    "net_sharpe": Words("net Sharpe ratio", "a year"),
    "realised_volatility_frac": Words("realised volatility", "% a year", 100.0),
    "max_drawdown_frac": Words("deepest drawdown", "%", 100.0, 3),
    "shortfall_bps": Words("shortfall", "bps of notional", 1.0, 3),
    "slippage_bps": Words("slippage", "bps of notional", 1.0, 3),
    "delay_bps": Words("delay", "bps of notional", 1.0, 3),
    "own_impact_bps": Words("own impact", "bps of notional", 1.0, 3),
    "shortfall_bps_per_day": Words("shortfall", "bps of equity a day"),
    "slippage_bps_per_day": Words("slippage", "bps of equity a day"),
    "own_impact_bps_per_day": Words("own impact", "bps of equity a day"),
    "resize_cost_bps_per_day": Words("cost of resizing at base 1", "bps of equity a day"),
    "turnover_per_day": Words("turnover", "equities a day", 1.0, 1),
    "mean_leverage": Words("mean leverage", "equities"),
    "capped_frac": Words("time at a cap", "%", 100.0, 1),
    "crisis_frac": Words("time in crisis", "%", 100.0),
    "exit_cost_p50_bps": Words("exit cost, median", "bps of notional", 1.0, 3),
    "exit_cost_p95_bps": Words("exit cost, 95th percentile", "bps of notional", 1.0, 3),
    "exit_cost_p99_bps": Words("exit cost, 99th percentile", "bps of notional", 1.0, 3),
    "exit_cost_of_equity_p99_bps": Words("exit cost of everything, 99th percentile", "bps of equity"),
    "mean_drawdown_frac": Words("crisis loss (mean drawdown in crises)", "%", 100.0, 3),
    "worst_drawdown_frac": Words("worst drawdown in a crisis", "%", 100.0, 3),
    "mean_loss_frac": Words("mean loss over a crisis", "%", 100.0, 3),
    "worst_slippage_bps": Words("worst slippage in a crisis", "bps", 1.0, 2),
}
_SUFFIXES = (
    ("_bps_per_day", "bps of equity a day", 1.0),
    ("_bps", "bps", 1.0),
    ("_frac", "%", 100.0),
    ("_s", "s", 1.0),
)


def words_of(figure: str) -> Words:
    """Return how a figure is written; one that nobody has named is written as its name and the unit in it."""
    if figure in _NAMES:
        return _NAMES[figure]
    name, _, rest = figure.partition(":")
    known = _NAMES.get(name)
    if known and rest:
        return known._replace(name=f"{known.name}, {rest}")
    for suffix, unit, times in _SUFFIXES:
        if name.endswith(suffix):
            words = name.removesuffix(suffix).replace("_", " ")
            return Words(f"{words}, {rest}" if rest else words, unit, times)
    return Words(figure.replace("_", " "), "")


def difference_words(figure: str, *, is_reduction: bool) -> Words:
    """Return how a difference in a figure is written: a reduction is a share, whatever the figure's unit."""
    words = words_of(figure)
    return Words(f"{words.name}: reduction", "%", 100.0, 0) if is_reduction else words


def number(figure: float, words: Words = Words("", ""), *, signed: bool = False) -> str:  # noqa: B008  # immutable
    """Return a number as it is written, without its unit; unknown is called unknown."""
    if figure is None or math.isnan(figure):
        return UNKNOWN
    if math.isinf(figure):
        return "infinite" if figure > 0 else "−infinite"
    written = figure * words.times
    # Four figures tell enough: the decimals of a large number are noise that takes room.
    decimals = max(words.decimals - max(len(f"{abs(written):.0f}") - 2, 0), 0)
    text = f"{written:{'+' if signed else ''},.{decimals}f}"
    # A hyphen-minus breaks lines, and is narrower than a plus. Nothing is below 0 that rounds to it.
    return (text.lstrip("+-") if not text.strip("+-0.,") else text).replace("-", "−")


def span(interval: Interval, words: Words, *, signed: bool = False) -> str:
    """Return the bounds of an interval as written; that they are unknown, else."""
    if not interval.is_known:
        return f"interval {UNKNOWN}"
    return f"{number(interval.low, words, signed=signed)} to {number(interval.high, words, signed=signed)}"


def excludes_zero(interval: Interval) -> bool:
    """Tell whether an interval is known and leaves out 0."""
    return interval.is_known and (interval.low > 0 or interval.high < 0)


def superior_words(test: SuperiorAbility) -> str:
    """Return which arms a test of superior ability is over."""
    tables = f"all {test.tables} tables together" if test.tables > 1 else "the one table"
    return f"over {len(test.arms)} arms of {tables}"


def moment(time_ns: int) -> str:
    """Return a time as written: UTC, to the minute."""
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M} UTC"


def clock(time_ns: int) -> str:
    """Return the time of day of a moment: UTC, to the second."""
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%H:%M:%S}"


def slug(text: str) -> str:
    """Return a text as part of a file's name: lower case letters, digits and single hyphens."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in kept.split("-") if part)[:60] or "figure"
