"""What a book shows while a shock is on: the true quotes, moved, widened, thinned, crossed or taken away.

How it works: a book is its spot prices and its quotes by id. A view is computed from the true one as a whole; what a
listener has to be told is the difference between two views: deletions first, then quotes that are new or changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.market.delta import DEPTH_BID, DEPTH_DELETE, END_DEPTH, END_SPOT, SPOT_BID
from bot.research.shocks.shock import Shock

Quote = tuple[int, int, int]
"""Side (0 bid, 1 ask), price in 1/100000, size in 0.01 unit."""
Row = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """One symbol as somebody sees it. Units: 1/100000, 0.01 unit. Missing: a spot price None before there was one."""

    spot: tuple[int | None, int | None]
    quotes: Mapping[int, Quote]

    def touch(self) -> tuple[int, int] | None:
        """Return best bid and ask: of the depth, of the spot prices where a side of it is empty; None for neither."""
        bids = [price for side, price, _ in self.quotes.values() if side == 0]
        asks = [price for side, price, _ in self.quotes.values() if side == 1]
        if bids and asks:
            return max(bids), min(asks)
        bid, ask = self.spot
        return None if bid is None or ask is None else (bid, ask)


def moved(true: Shown, bid_e5: int, ask_e5: int, least_e5: int) -> Shown:
    """Return a book with each side moved; no price goes below the least one."""
    by = (bid_e5, ask_e5)
    bid, ask = (None if p is None else max(p + d, least_e5) for p, d in zip(true.spot, by, strict=True))
    quotes = {key: (side, max(price + by[side], least_e5), size) for key, (side, price, size) in true.quotes.items()}
    return Shown((bid, ask), quotes)


def shown_in(shock: Shock, true: Shown, before: Shown, begin: Shown, offset_e5: int, tick_e5: int) -> Shown:
    """Return what a book shows within a shock.

    Args: `before` what it showed last: a stale feed still does; `begin` the true book when the shock began: the spot
        price of an empty side stands still, but for the move; `offset_e5` how far prices have moved.
    """
    book = moved(true, offset_e5, offset_e5, tick_e5)
    if shock.kind == "stale":
        return before
    if shock.kind == "depth":
        assert shock.size is not None
        thin = {
            key: (side, price, max(round(size * shock.size), 1)) for key, (side, price, size) in book.quotes.items()
        }
        return Shown(book.spot, thin)
    if shock.kind == "empty-side":
        gone = 0 if shock.side == "bid" else 1
        left = {key: quote for key, quote in book.quotes.items() if quote[0] != gone}
        (bid, ask), still = book.spot, moved(begin, offset_e5, offset_e5, tick_e5).spot[gone]
        return Shown((still, ask) if gone == 0 else (bid, still), left)
    touch = book.touch()
    if shock.kind not in ("spread", "crossed") or touch is None:
        return book
    assert shock.size is not None
    spread_ticks = max((touch[1] - touch[0]) // tick_e5, 1)
    if shock.kind == "spread":
        wider = round(spread_ticks * shock.size) * tick_e5 - (touch[1] - touch[0])
    else:
        wider = -max(round(spread_ticks * shock.size), 1) * tick_e5 - (touch[1] - touch[0])
    down = wider // 2 // tick_e5 * tick_e5
    return moved(book, -down, wider - down, tick_e5)


def difference(before: Shown, after: Shown, symbol: int) -> list[Row]:
    """Return the rows that tell `after` to who knows `before`; none when they are the same."""
    rows: list[Row] = [
        (SPOT_BID + side, symbol, 0, price, 0)
        for side, price in enumerate(after.spot)
        if price is not None and price != before.spot[side]
    ]
    if rows:
        rows.append((END_SPOT, symbol, 0, 0, 0))
    depth: list[Row] = [(DEPTH_DELETE, symbol, key, 0, 0) for key in before.quotes if key not in after.quotes]
    depth += [
        (DEPTH_BID + side, symbol, key, price, size)
        for key, (side, price, size) in after.quotes.items()
        if before.quotes.get(key) != (side, price, size)
    ]
    return [*rows, *depth, (END_DEPTH, symbol, 0, 0, 0)] if depth else rows
