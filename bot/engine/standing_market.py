"""The market as it stands, as plain JSON and back: what a recording's later file begins with, to be read without the
first.

A quote keeps its id, so that the depth events which follow can change and delete it. What is derived (features, what is
usual) is not in it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bot.account.conversion import ConversionStep
from bot.engine.events import SymbolsLoaded
from bot.market.book import ASK, BID, BookArrays
from bot.market.delta import DEPTH_ASK, DEPTH_BID, END_DEPTH, END_SPOT, SPOT_ASK, SPOT_BID, delta_rows
from bot.market.standing import standing_depth, standing_spot
from bot.market.symbols import Holiday, SymbolSpec


@dataclass(frozen=True, slots=True, eq=False)
class StandingMarket:
    """What `standing_market` has written. `is_ready` says that the session stood.

    `loaded` and `rows` are to be received in this order: the symbols, then the delta rows that fill empty books. Both
    are None, or empty, when the symbols were not known yet.
    """

    is_ready: bool
    loaded: SymbolsLoaded | None
    rows: np.ndarray


def standing_market(loaded: SymbolsLoaded | None, books: BookArrays | None, *, is_ready: bool) -> dict[str, Any]:
    """Return the symbols, how money is converted, and each symbol's spot prices and quotes, as plain JSON.

    Units: prices in 1/100000, sizes in 0.01 base unit; a quote is [id, price, size], bids and asks in no order.
    Missing: a spot price that is not known is None; without `loaded` only `ready` is there.
    """
    if loaded is None or books is None:
        return {"ready": is_ready}
    standing = []
    for s, spec in enumerate(loaded.symbols):
        bid_e5, ask_e5 = standing_spot(books, s)
        standing.append(
            {
                "symbol_id": spec.symbol_id,
                "bid_e5": bid_e5,
                "ask_e5": ask_e5,
                "bids": standing_depth(books, BID, s),
                "asks": standing_depth(books, ASK, s),
            }
        )
    return {
        "ready": is_ready,
        "traded_count": loaded.traded_count,
        "symbols": [asdict(spec) for spec in loaded.symbols],
        "conversions": _plain_chains(loaded.conversions),
        "usd_conversions": _plain_chains(loaded.usd_conversions),
        "standing": standing,
    }


def read_standing(content: Mapping[str, Any], ns: int) -> StandingMarket:
    """Return the market that `standing_market` has written. Units: `ns` when it stood so, UTC nanoseconds.

    Raises: ValueError, one line, for content of another form.
    """
    try:
        if "symbols" not in content:
            return StandingMarket(bool(content["ready"]), None, delta_rows([]))
        loaded = SymbolsLoaded(
            ns,
            tuple(_spec(each) for each in content["symbols"]),
            content["traded_count"],
            _chains(content["conversions"]),
            _chains(content["usd_conversions"]),
        )
        rows: list[tuple[int, int, int, int, int]] = []
        for s, each in enumerate(content["standing"]):
            spot = ((SPOT_BID, each["bid_e5"]), (SPOT_ASK, each["ask_e5"]))
            known = [(kind, s, 0, price_e5, 0) for kind, price_e5 in spot if price_e5 is not None]
            depth = [
                (kind, s, quote_id, price_e5, size_cents)
                for kind, quotes in ((DEPTH_BID, each["bids"]), (DEPTH_ASK, each["asks"]))
                for quote_id, price_e5, size_cents in quotes
            ]
            rows += [*known, (END_SPOT, s, 0, 0, 0)] if known else []
            rows += [*depth, (END_DEPTH, s, 0, 0, 0)] if depth else []
        return StandingMarket(bool(content["ready"]), loaded, delta_rows(rows))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"this is no standing market: {error!r}") from None


def _plain_chains(chains: Mapping[str, tuple[ConversionStep, ...]]) -> dict[str, list[list[int]]]:
    return {asset: [[step.symbol_index, int(step.invert)] for step in chain] for asset, chain in chains.items()}


def _chains(plain: Mapping[str, list[list[int]]]) -> dict[str, tuple[ConversionStep, ...]]:
    return {asset: tuple(ConversionStep(i, bool(invert)) for i, invert in chain) for asset, chain in plain.items()}


def _spec(plain: Mapping[str, Any]) -> SymbolSpec:
    schedule = tuple((start_s, end_s) for start_s, end_s in plain["schedule"])
    holidays = tuple(Holiday(**each) for each in plain["holidays"])
    return SymbolSpec(**{**plain, "schedule": schedule, "holidays": holidays})
