"""How long the year is that figures of a run are annualised by, from when its symbols trade."""

from collections.abc import Iterable

from bot.market.calendar import rests_at_weekends
from bot.market.symbols import SymbolSpec
from bot.research.metrics.arm_run import TradingTime


def trading_time_of(specs: Iterable[SymbolSpec]) -> TradingTime:
    """Return the trading time of a run: a year of 252 days where any symbol rests at weekends, else of 365.25."""
    return TradingTime() if any(rests_at_weekends(spec) for spec in specs) else TradingTime(days_per_year=365.25)
