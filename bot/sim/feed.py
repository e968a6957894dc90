"""The price feed of one symbol while it is bent: what clients are shown is not what the market does.

How it works: the first bend copies the shown book; from then on changes go to the copy, and what is shown is derived
from it: standing still, without a side, crossed, or at other prices. The difference to what was shown before is the
change that clients get. When the last bend ends, the difference to the copy brings the book back to the market, with
the market's ids. Orders, triggers and profit go by what is shown: a venue that shows a price also trades on it here.
"""

from dataclasses import dataclass

from bot.sim.book import VenueBook
from bot.sim.change import Change, Quote

STILL, EMPTY_BIDS, EMPTY_ASKS, CROSSED, SHIFTED = "still", "empty bids", "empty asks", "crossed", "shifted"
_CROSSED_IDS = 10**12
"""Added to the id of a quote that is shown at another price, so that no id ever means two prices."""
_SHIFTED_IDS = 10**13
"""The same for every shift of a feed: its first adds this much, its second twice this much."""


@dataclass(frozen=True, slots=True)
class Bend:
    """One way of showing something else. `cause` tells bends of one kind apart; `until_ns` None: until it is ended;
    `bps` is how far prices are shifted."""

    kind: str
    cause: str
    until_ns: int | None = None
    bps: float = 0.0


class Feed:
    """Stands between the market and the shown book of one symbol."""

    def __init__(self, symbol_id: int, tick_e5: int, shown: VenueBook) -> None:
        self._symbol_id, self._tick_e5, self._shown = symbol_id, tick_e5, shown
        self._market = VenueBook()
        self._bends: list[Bend] = []
        self._shift_e5 = 0
        self._moved_e5: int | None = None
        self._moved_ids = 0

    @property
    def is_bent(self) -> bool:
        """Whether something else than the market is shown."""
        return bool(self._bends)

    @property
    def next_end_ns(self) -> int | None:
        """When the next bend ends by itself."""
        return min((bend.until_ns for bend in self._bends if bend.until_ns is not None), default=None)

    def take(self, change: Change) -> Change | None:
        """Take a change of the market in; return what clients see of it, None when nothing."""
        self._market.apply(change)
        return self._difference(change.time_ns)

    def bend(self, bend: Bend, now_ns: int) -> Change | None:
        """Begin to show something else (a bend of the same kind and cause is replaced); return the visible change."""
        if not self._bends:
            self._market.quotes = dict(self._shown.quotes)
            self._market.bid_e5, self._market.ask_e5 = self._shown.bid_e5, self._shown.ask_e5
            self._shift_e5 = 0
        self._bends = [held for held in self._bends if (held.kind, held.cause) != (bend.kind, bend.cause)] + [bend]
        if bend.kind == SHIFTED:
            self._moved_e5 = None
            self._moved_ids += _SHIFTED_IDS
        return self._difference(now_ns)

    def straighten(self, now_ns: int, *, cause: str | None = None) -> Change | None:
        """End the bends of a cause (None: those whose time is over); return the visible change."""
        was_bent = self.is_bent
        if cause is not None:
            self._bends = [bend for bend in self._bends if bend.cause != cause]
        else:
            self._bends = [bend for bend in self._bends if bend.until_ns is None or bend.until_ns > now_ns]
        return self._difference(now_ns) if was_bent else None

    def _difference(self, now_ns: int) -> Change | None:
        shown = self._shown
        kinds = {bend.kind for bend in self._bends}
        if STILL in kinds:
            return None
        bid_e5, ask_e5, quotes = self._market.bid_e5, self._market.ask_e5, self._market.quotes
        if CROSSED in kinds:
            ask_e5, quotes = self._crossed()
        if SHIFTED in kinds:
            bid_e5, ask_e5, quotes = self._shifted(bid_e5, ask_e5, quotes)
        if EMPTY_BIDS in kinds:
            bid_e5 = shown.bid_e5
        if EMPTY_ASKS in kinds:
            ask_e5 = shown.ask_e5
        hidden = {is_bid for kind, is_bid in ((EMPTY_BIDS, True), (EMPTY_ASKS, False)) if kind in kinds}
        if hidden:
            quotes = {quote_id: quote for quote_id, quote in quotes.items() if quote.is_bid not in hidden}
        new = tuple(quote for quote_id, quote in quotes.items() if shown.quotes.get(quote_id) != quote)
        deleted = tuple(quote_id for quote_id in shown.quotes if quote_id not in quotes)
        if bid_e5 == shown.bid_e5:
            bid_e5 = None
        if ask_e5 == shown.ask_e5:
            ask_e5 = None
        if not new and not deleted and bid_e5 is None and ask_e5 is None:
            return None
        return Change(now_ns, self._symbol_id, bid_e5, ask_e5, new, deleted)

    def _crossed(self) -> tuple[int | None, dict[int, Quote]]:
        """Return ask and quotes with the asks moved down until the best of them is under the best bid.

        The first move is twice the spread, and it only ever grows: a wider spread must not uncross the book.
        """
        market = self._market
        bids = [quote.price_e5 for quote in market.quotes.values() if quote.is_bid]
        asks = [quote.price_e5 for quote in market.quotes.values() if not quote.is_bid]
        spread = 0
        if market.bid_e5 is not None and market.ask_e5 is not None:
            spread = max(spread, market.ask_e5 - market.bid_e5)
        if bids and asks:
            spread = max(spread, min(asks) - max(bids))
        least = spread + self._tick_e5
        if self._shift_e5 < least:
            self._shift_e5 = max(2 * spread, least)
        shift = self._shift_e5
        quotes = {quote_id: quote for quote_id, quote in market.quotes.items() if quote.is_bid}
        for quote in market.quotes.values():
            if not quote.is_bid and quote.price_e5 > shift:
                moved = quote._replace(quote_id=quote.quote_id + _CROSSED_IDS, price_e5=quote.price_e5 - shift)
                quotes[moved.quote_id] = moved
        return (None if market.ask_e5 is None else max(1, market.ask_e5 - shift)), quotes

    def _shifted(
        self, bid_e5: int | None, ask_e5: int | None, quotes: dict[int, Quote]
    ) -> tuple[int | None, int | None, dict[int, Quote]]:
        """Return prices and quotes a fixed number of ticks away: so many as the shift was when prices were known."""
        if self._moved_e5 is None:
            if bid_e5 is None or ask_e5 is None:
                return bid_e5, ask_e5, quotes
            bps = sum(bend.bps for bend in self._bends if bend.kind == SHIFTED)
            self._moved_e5 = round((bid_e5 + ask_e5) / 2 * bps / 10_000 / self._tick_e5) * self._tick_e5
        moved_e5, moved_ids = self._moved_e5, self._moved_ids
        shifted = {
            quote_id + moved_ids: quote._replace(quote_id=quote_id + moved_ids, price_e5=quote.price_e5 + moved_e5)
            for quote_id, quote in quotes.items()
            if quote.price_e5 + moved_e5 > 0
        }
        return (
            None if bid_e5 is None else max(1, bid_e5 + moved_e5),
            None if ask_e5 is None else max(1, ask_e5 + moved_e5),
            shifted,
        )
