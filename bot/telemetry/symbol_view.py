"""One symbol as a page shows it: prices, ladder, microstructure, and the leverage with what it is made of."""

from typing import Any

import numpy as np

from bot.engine.engine import Engine
from bot.engine.explained import Explanation
from bot.engine.what_if import SpreadDoubled
from bot.market.book import ASK, BID, BookArrays
from bot.market.symbols import E5, SymbolSpec
from bot.sizing.bound import Bound
from bot.telemetry.plain import known

LEVELS_SHOWN = 20
_FEATURES = (
    *("bid", "ask", "mid", "spread_bps", "usual_spread_bps", "bid_depth_units", "ask_depth_units"),
    *("obi", "obi_fast", "obi_slow", "ofi", "liquidity_ratio", "buy_impact_bps", "sell_impact_bps", "usual_impact_bps"),
    *("volatility_bps", "usual_volatility_bps", "round_trip_bps", "usual_round_trip_bps", "fill_frac", "crisis_score"),
)


def symbol_view(
    engine: Engine,
    s: int,
    spec: SymbolSpec,
    explained: Explanation | None,
    doubled: SpreadDoubled | None,
    *,
    with_ladder: bool,
) -> dict[str, Any]:
    """Return one loaded symbol as plain JSON. Args: `s` its index; `explained` None while nothing is decided;
        `doubled` what would be if its spread doubled, None where nobody can tell.

    Units: as the names say; a ladder is [[price, base units], …], best first, `LEVELS_SHOWN` levels at most.
    Missing: None.
    """
    table, books = engine.table, engine.books
    row = table[s] if table is not None else None
    held = engine.valuation.leverage
    return {
        "symbol": spec.name,
        "digits": spec.digits,
        "pip": 10.0**-spec.pip_position,
        "lot_units": spec.lot_size_cents / 100,
        "base_asset": spec.base_asset,
        "quote_asset": spec.quote_asset,
        **{name: None if row is None else known(row[name]) for name in _FEATURES},
        "crisis_level": 0 if row is None else int(row["crisis_level"]),
        "is_spot_only": row is not None and bool(row["is_spot_only"] > 0),
        "bids": ladder(books, BID, s) if books is not None and with_ladder else [],
        "asks": ladder(books, ASK, s) if books is not None and with_ladder else [],
        "leverage_now": known(held[s]) if s < len(held) else None,
        **_leverage(explained),
        "if_spread_doubles": doubled_view(doubled),
    }


def ladder(books: BookArrays, side: int, s: int) -> list[list[float]]:
    """Return the levels of one side of a book, best first: [[price, base units], …]."""
    best = int(books.heads[s]["level_count"][side])
    levels = books.levels[side, s, max(best - LEVELS_SHOWN, 0) : best][::-1]
    prices = np.abs(levels["key"]) / E5
    return np.column_stack([prices, levels["size"] / 100.0]).tolist()  # type: ignore[no-any-return]


def _leverage(each: Explanation | None) -> dict[str, Any]:
    if each is None:
        return {
            **dict.fromkeys(("leverage_base", "leverage_wanted", "leverage_goal", "leverage_target")),
            **dict.fromkeys(("bound", "cap", "cap_bound", "half_band", "text")),
            "caps": {},
            "factors": {},
        }
    return {
        "leverage_base": known(each.leverage_base),
        "leverage_wanted": known(each.leverage_wanted),
        "leverage_goal": known(each.leverage_goal),
        "leverage_target": known(each.leverage_target),
        "bound": _name(each.bound),
        "cap": known(each.cap),
        "cap_bound": _name(each.cap_bound),
        "half_band": known(each.half_band),
        "text": each.text,
        "caps": {name: known(cap) for name, cap in each.caps.items()},
        "factors": {name: known(factor) for name, factor in each.factors.items()},
    }


def doubled_view(doubled: SpreadDoubled | None) -> dict[str, Any] | None:
    """Return what would be if the spread doubled as plain JSON; None where nobody can tell."""
    if doubled is None:
        return None
    then = doubled.then
    return {
        "spread_bps": known(doubled.spread_bps),
        "leverage_wanted": known(then.leverage_wanted),
        "leverage_goal": known(then.leverage_goal),
        "leverage_target": known(then.leverage_target),
        "bound": _name(then.bound),
        "cap": known(then.cap),
        "cap_bound": _name(then.cap_bound),
        "crisis_level": then.crisis_level,
        "text": then.text,
        "factors": {name: known(factor) for name, factor in then.factors.items()},
    }


def _name(bound: Bound) -> str | None:
    return None if bound is Bound.NONE else bound.name.lower()
