"""Margin the account needs for its positions: by account leverage and by the symbol's tiers, side by side.

Tiers are brackets, as of an income tax: each slice of a symbol's and side's open volume in USD has its own leverage,
and the smaller of that and the account's applies.
Source: ProtoOATrader.leverageInCents, totalMarginCalculationType; ProtoOADynamicLeverage; "Dynamic leverage", cTrader
Algo reference. Accounts of limited risk (guaranteed stops) are not modelled: margin is then unknown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bot.account.position import Position

Tiers = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class MarginRules:
    """How this account's margin is computed. Units: leverage as a plain ratio (500 for 1:500)."""

    leverage: float | None
    calculation: str  # MAX | SUM | NET
    is_limited_risk: bool = False

    def side_margin(self, notional: float, notional_usd: float, tiers: Tiers | None) -> float:
        """Return the margin of one side of one symbol.

        Args: `notional` in deposit currency; `notional_usd` the same in USD, which the tiers are stated in; `tiers`
            (upper bound of volume in USD, leverage), ascending, the last one open-ended; empty for a symbol without.
        Missing: NaN when the account's leverage, the tiers (None) or an amount that matters is unknown.
        """
        if self.leverage is None or self.leverage <= 0 or self.is_limited_risk:
            return float("nan")
        if notional == 0:
            return 0.0
        if tiers is None:
            return float("nan")
        if not tiers:
            return notional / self.leverage
        if not notional_usd > 0:
            return float("nan")
        weighted, lower = 0.0, 0.0  # sum over brackets of (share of volume) / leverage
        for i, (upper, leverage) in enumerate(tiers):
            top = notional_usd if i == len(tiers) - 1 else min(upper, notional_usd)
            if top > lower:
                weighted += (top - lower) / min(leverage, self.leverage)
                lower = top
        return notional * weighted / notional_usd

    def next_rate(self, notional_usd: float, tiers: Tiers | None) -> float:
        """Return margin / notional of what is added to an open volume, in the bracket that it reaches into.

        Missing: NaN when the account's leverage, the tiers (None) or the volume is unknown.
        """
        if self.leverage is None or self.leverage <= 0 or self.is_limited_risk or tiers is None:
            return float("nan")
        if not tiers:
            return 1.0 / self.leverage
        if not notional_usd >= 0:
            return float("nan")
        reached = next((leverage for upper, leverage in tiers if notional_usd < upper), tiers[-1][1])
        return 1.0 / min(reached, self.leverage)

    def symbol_margin(self, long_margin: float, short_margin: float) -> float:
        """Return the margin of a symbol from its two sides: the larger, their sum, or their difference."""
        if self.calculation == "SUM":
            return long_margin + short_margin
        if self.calculation == "NET":
            return abs(long_margin - short_margin)
        return max(long_margin, short_margin)


def stated_margin(rules: MarginRules, positions: Iterable[Position]) -> float:
    """Return the margin that the venue itself states for positions, in deposit currency; 0 where it states none.

    Whether a stated margin of a hedged symbol has been reduced for its other side already is not documented: the two
    sides are joined by the account's rule, which never makes too much of it.
    """
    sides: dict[int, list[float]] = {}
    for position in positions:
        if position.used_margin is not None:
            of_symbol = sides.setdefault(position.symbol_id, [0.0, 0.0])
            of_symbol[position.volume_cents < 0] += float(position.used_margin)
    return sum(rules.symbol_margin(*both) for both in sides.values())


def used_margin(
    rules: MarginRules,
    long_units: np.ndarray,
    short_units: np.ndarray,
    unit_notional: np.ndarray,
    unit_notional_usd: np.ndarray,
    tiers: Sequence[Tiers | None],
) -> float:
    """Return the margin used by all positions, in deposit currency.

    Shapes: arrays (S,), `tiers` one entry a symbol.   Units: volumes in base units, notionals a base unit.
    Missing: NaN when a symbol with exposure has no price, or the rules or its tiers (None) are unknown.
    """
    total = 0.0
    for s in np.flatnonzero((long_units > 0) | (short_units > 0)).tolist():
        sides = [
            rules.side_margin(
                float(units[s] * unit_notional[s]) if units[s] else 0.0,
                float(units[s] * unit_notional_usd[s]) if units[s] else 0.0,
                tiers[s],
            )
            for units in (long_units, short_units)
        ]
        total += rules.symbol_margin(*sides) if not np.isnan(sides).any() else float("nan")
    return total
