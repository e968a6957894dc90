"""What the numbers of a limit mean, in words: a share, a leverage, a span of time, each beside its limit."""

from collections.abc import Mapping
from typing import Any

from bot.dashboard import formats
from bot.dashboard.words.catalogue import Words

_LIMITS = {
    **dict.fromkeys(("daily_loss", "drawdown", "margin_use", "reject_rate"), ("percent", "at_most")),
    **dict.fromkeys(("margin_level", "stop_out_distance"), ("percent", "no_less_than")),
    **dict.fromkeys(("max_leverage", "max_symbol_leverage"), ("times", "at_most")),
    **dict.fromkeys(("clock_step", "stale_quote"), ("seconds", "at_most")),
    "slippage": ("bps_number", "at_most"),
    "order_rate": ("orders_number", "at_most"),
    "disk_full": ("megabytes", "no_less_than"),
    "crisis": ("level_number", "below"),
}
"""By code of a cause or a check: how its numbers are written, and on which side of the limit they should be.

Other codes have no unit of their own: the cost of an exit is a volume or bps, as the market has it.
"""
_DIGITS = {"orders_number": 0, "level_number": 0, "megabytes": 0}


def limit_figures(code: str, told: Mapping[str, Any], words: Words) -> str | None:
    """Return `value` and `limit` of a cause or a refusal in words; None where one is unknown or has no unit."""
    value, limit = told.get("value"), told.get("limit")
    if code not in _LIMITS or value is None or limit is None:
        return None
    kind, side = _LIMITS[code]
    return words("against", value=_number(kind, value, words), limit=words(side, limit=_number(kind, limit, words)))


def _number(kind: str, number: float, words: Words) -> str:
    if kind == "percent":
        return words(kind, number=formats.percent(number))
    if kind == "times":
        return words(kind, number=formats.leverage(number, sign=False))
    return words(kind, number=formats.fixed(number, _DIGITS.get(kind, 1)))
