"""What fills cost against the mid that was decided on, and which of them only changed the size of a position."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_NOTHING = 1e-9  # of the largest position: what sums of floats leave of none


@dataclass(frozen=True, slots=True, eq=False)
class FillShortfall:
    """Costs of fills, each (F,).

    Units: deposit currency, positive against us; `is_known` false where price, mid or notional is not. What is unknown
        is 0 there, so that sums are over what is known. `impact` has a mask of its own.
    Source: Perold (1988): shortfall = slippage + commission; slippage = delay + what was paid from the mid at the fill.
    """

    is_known: np.ndarray
    slippage_bps: np.ndarray
    slippage: np.ndarray
    delay: np.ndarray
    commission: np.ndarray
    impact: np.ndarray
    is_impact_known: np.ndarray
    is_resize: np.ndarray

    @property
    def shortfall(self) -> np.ndarray:
        """Slippage and commission, (F,)."""
        return np.asarray(self.slippage + self.commission)


def shortfall_of(fills: np.ndarray, held_units: Sequence[float] = ()) -> FillShortfall:
    """Return the costs of fills, (F,) of `ARM_FILL`. Slippage is that of models 9.4, against the decision mid.

    Args: `held_units` as of `resizes`.
    """
    side = np.sign(fills["units"])
    decided, notional = fills["mid_at_decision"], fills["notional"]
    slippage_bps = 1e4 * side * (fills["price"] - decided) / decided
    delay_bps = 1e4 * side * (fills["mid_at_fill"] - decided) / decided
    has_notional = np.isfinite(notional) & (notional > 0)
    is_known = np.isfinite(slippage_bps) & has_notional
    is_impact_known = np.isfinite(fills["own_impact_bps"]) & has_notional
    return FillShortfall(
        is_known,
        np.where(is_known, slippage_bps, np.nan),
        _money(slippage_bps, notional, is_known),
        _money(delay_bps, notional, is_known & np.isfinite(delay_bps)),
        np.where(np.isfinite(fills["commission"]), fills["commission"], 0.0),
        _money(fills["own_impact_bps"], notional, is_impact_known),
        is_impact_known,
        resizes(fills["symbol"], fills["units"], held_units),
    )


def resizes(symbol: np.ndarray, units: np.ndarray, held_units: Sequence[float] = ()) -> np.ndarray:
    """Return which fills changed how much is held, not which side, (F,) bool.

    The first build-up, a turn to the other side, and what closes and is followed by the other side or by nothing belong
    to the signal. What closes and comes back on the same side is a resize: sizing cannot be told from a signal that
    went away and came back, so it is charged to sizing.
    Args: `held_units` of each symbol before the first fill; none given: flat.
    Shapes: `symbol`, `units` (F,), in the order of time. Units: bought positive.
    """
    found = np.zeros(len(units), np.bool_)
    for one in np.unique(symbol):
        places = np.flatnonzero(symbol == one)
        begin = held_units[int(one)] if len(held_units) else 0.0
        held = begin + np.cumsum(np.append(0.0, np.where(np.isfinite(units[places]), units[places], 0.0)))
        held[np.abs(held) <= _NOTHING * np.abs(held).max()] = 0.0
        side, before = np.sign(held[1:]), np.sign(held[:-1])
        # The side last held, and the side held next, look through the times without a position.
        last, following = _last_side(before), _last_side(side[::-1])[::-1]
        found[places] = (last != 0) & (last == following)
    return found


def _last_side(side: np.ndarray) -> np.ndarray:
    place = np.maximum.accumulate(np.where(side != 0, np.arange(len(side)), -1))
    return np.asarray(np.where(place >= 0, side[np.maximum(place, 0)], 0.0))


def _money(bps: np.ndarray, notional: np.ndarray, is_known: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(is_known, bps * notional / 1e4, 0.0))
