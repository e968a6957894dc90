"""Margin the account needs for its positions: by account leverage and by the symbol's tiers, side by side.

Tiers are brackets, as of an income tax: each slice of a symbol's and side's open volume in USD has its own leverage,
and the smaller of that and the account's applies.
Source: ProtoOATrader.leverageInCents, totalMarginCalculationType; ProtoOADynamicLeverage; "Dynamic leverage", cTrader
Algo reference. Accounts of limited risk (guaranteed stops) are not modelled: margin is then unknown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from bot.account.position import Position

Tiers = Sequence[tuple[float, float]]

_MAX, _SUM, _NET = range(3)
_CALCULATIONS = {"MAX": _MAX, "SUM": _SUM, "NET": _NET}


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

    def next_rate(self, notional_usd: float, tiers: Tiers | None, leverage_cap: float = math.inf) -> float:
        """Return margin / notional of what is added to an open volume, in the bracket that it reaches into.

        Args: `leverage_cap` lowers the account's leverage.
        Missing: NaN when the account's leverage, the tiers (None) or the volume is unknown.
        """
        if self.leverage is None or self.leverage <= 0 or self.is_limited_risk or tiers is None:
            return float("nan")
        most = min(self.leverage, leverage_cap)
        if not tiers:
            return 1.0 / most
        if not notional_usd >= 0:
            return float("nan")
        reached = next((leverage for upper, leverage in tiers if notional_usd < upper), tiers[-1][1])
        return 1.0 / min(reached, most)

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


@lru_cache(maxsize=8)
def packed_tiers(tiers: tuple[Tiers | None, ...]) -> np.ndarray:
    """Return the tiers of all symbols for compiled code: how many a symbol has (-1 unknown), then each of them.

    Shapes: result (S, 1 + K, 2), the count in [s, 0, 0], (upper bound in USD, leverage) behind it.
    """
    packed = np.zeros((len(tiers), 1 + max([len(t) for t in tiers if t is not None], default=0), 2))
    for row, of_symbol in zip(packed, tiers, strict=True):
        row[0, 0] = -1 if of_symbol is None else len(of_symbol)
        if of_symbol:
            row[1 : 1 + len(of_symbol)] = of_symbol
    packed.flags.writeable = False
    return packed


@njit(cache=True, error_model="numpy")
def _side_margin(notional: float, notional_usd: float, tiers: np.ndarray, s: int, leverage: float) -> float:
    """Do what `MarginRules.side_margin` does. Args: `leverage` the account's, NaN where margin is unknown."""
    if math.isnan(leverage):
        return math.nan
    if notional == 0:
        return 0.0
    count = int(tiers[s, 0, 0])
    if count < 0:
        return math.nan
    if count == 0:
        return notional / leverage
    if not notional_usd > 0:
        return math.nan
    weighted, lower = 0.0, 0.0
    for i in range(1, count + 1):
        top = notional_usd if i == count else min(tiers[s, i, 0], notional_usd)
        if top > lower:
            weighted += (top - lower) / min(tiers[s, i, 1], leverage)
            lower = top
    return notional * weighted / notional_usd


@njit(cache=True, error_model="numpy")
def _trade(long_units: np.ndarray, short_units: np.ndarray, s: int, change: float, netted: bool, reduces: bool) -> None:
    if netted:
        net = long_units[s] - short_units[s] + change
        long_units[s], short_units[s] = max(net, 0.0), max(-net, 0.0)
    elif reduces:
        shrinking = short_units if change > 0 else long_units
        shrinking[s] = max(shrinking[s] - abs(change), 0.0)
    else:
        growing = long_units if change > 0 else short_units
        growing[s] += abs(change)


@njit(cache=True, error_model="numpy")
def _used_margin(
    long_units: np.ndarray,
    short_units: np.ndarray,
    unit_notional: np.ndarray,
    unit_notional_usd: np.ndarray,
    pending: np.ndarray,
    tiers: np.ndarray,
    leverage: float,
    caps: np.ndarray,
    calculation: int,
    symbol_index: int,
    change: float,
    netted: bool,
    reduces: bool,
) -> float:
    if change != 0:
        long_units, short_units = long_units.copy(), short_units.copy()
        for s in range(len(pending)):
            if pending[s] != 0:
                _trade(long_units, short_units, s, pending[s], netted, False)
        _trade(long_units, short_units, symbol_index, change, netted, reduces)
    total = 0.0
    for s in range(len(long_units)):
        if long_units[s] > 0 or short_units[s] > 0:
            buys, sells = long_units[s], short_units[s]
            most = caps[s] if caps[s] < leverage else leverage  # unknown stays unknown
            usd = buys * unit_notional_usd[s] if buys != 0 else 0.0
            long_margin = _side_margin(buys * unit_notional[s] if buys != 0 else 0.0, usd, tiers, s, most)
            usd = sells * unit_notional_usd[s] if sells != 0 else 0.0
            short_margin = _side_margin(sells * unit_notional[s] if sells != 0 else 0.0, usd, tiers, s, most)
            if math.isnan(long_margin) or math.isnan(short_margin):
                return math.nan
            if calculation == _SUM:
                total += long_margin + short_margin
            elif calculation == _NET:
                total += abs(long_margin - short_margin)
            else:
                total += max(long_margin, short_margin)
    return total


@lru_cache(maxsize=16)
def _none_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nothing on its way, and no caps, for so many symbols; they are only read."""
    return np.zeros(count), np.full(count, math.inf)


def used_margin(
    rules: MarginRules,
    long_units: np.ndarray,
    short_units: np.ndarray,
    unit_notional: np.ndarray,
    unit_notional_usd: np.ndarray,
    tiers: np.ndarray | Sequence[Tiers | None],
    *,
    pending_units: np.ndarray | None = None,
    leverage_caps: np.ndarray | None = None,
    symbol_index: int = 0,
    change_units: float = 0.0,
    netted: bool = False,
    reduces: bool = False,
) -> float:
    """Return the margin used by all positions, in deposit currency; after a change, when one is given.

    Args: `change_units` signed change of a position in one symbol, before which everything in `pending_units`, (S,)
        signed, is taken as filled; `reduces` says that it closes what is held, otherwise it adds to its own side;
        `netted` that a symbol's two sides are one; `leverage_caps` (S,) lowers the account's leverage in each symbol.
    Shapes: arrays (S,), `tiers` one entry a symbol, or packed.   Units: volumes in base units, notionals a base unit.
    Missing: NaN when a symbol with exposure has no price, or the rules or its tiers (None) are unknown.
    """
    is_known = rules.leverage is not None and not rules.leverage <= 0 and not rules.is_limited_risk
    nothing, no_caps = _none_of(len(long_units))
    pending = nothing if pending_units is None else pending_units
    caps = no_caps if leverage_caps is None else leverage_caps
    return float(
        _used_margin(
            np.ascontiguousarray(long_units),  # one kind of array, so that it is compiled once
            np.ascontiguousarray(short_units),
            np.ascontiguousarray(unit_notional),
            np.ascontiguousarray(unit_notional_usd),
            np.ascontiguousarray(pending),
            tiers if isinstance(tiers, np.ndarray) else packed_tiers(tuple(tiers)),
            float(rules.leverage or 0.0) if is_known else math.nan,
            np.ascontiguousarray(caps),
            _CALCULATIONS.get(rules.calculation, _MAX),
            symbol_index,
            float(change_units),
            netted,
            reduces,
        )
    )
