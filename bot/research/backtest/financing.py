"""Swaps: what holding a position over the end of the trading day costs, booked at 17:00 in New York.

Three nights are booked on Wednesday, as spot currency settles two days later and the weekend counts.
Units: bps of notional a night, as the user states them: no recording has a broker's rates.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot.research.backtest.conditions import Swap
from bot.sim.account import Account
from bot.sim.entities import OrderRefused

_NEW_YORK, _TURN = ZoneInfo("America/New_York"), time(17)
_WEDNESDAY = 2


def next_turn_ns(after_ns: int) -> int:
    """Return the first 17:00 in New York, Monday to Friday, after a time."""
    local = datetime.fromtimestamp(after_ns / 1e9, UTC).astimezone(_NEW_YORK)
    day = local.date()
    while True:
        turn_ns = round(datetime.combine(day, _TURN, _NEW_YORK).timestamp()) * 1_000_000_000
        if turn_ns > after_ns and day.weekday() < 5:
            return turn_ns
        day += timedelta(days=1)


def swaps_due(account: Account, swaps: Mapping[int, Swap], turn_ns: int) -> list[tuple[int, Decimal]]:
    """Return (position id, money) of what the end of a day books. Units: deposit currency, below 0 a charge.

    Args: `swaps` by symbol id. A position that nothing values at this moment is left out.
    """
    weekday = datetime.fromtimestamp(turn_ns / 1e9, UTC).astimezone(_NEW_YORK).weekday()
    nights = 3 if weekday == _WEDNESDAY else 1
    due = []
    for position in account.positions.values():
        swap = swaps.get(position.symbol_id)
        if swap is None:
            continue
        try:
            rate, _ = account.opening_rates(position.symbol_id)
        except OrderRefused:
            continue
        bps = swap.long_bps if position.is_buy else swap.short_bps
        money = position.volume_cents * rate / 100 * Decimal(str(bps)) / 10_000 * nights
        due.append((position.position_id, money))
    return due
