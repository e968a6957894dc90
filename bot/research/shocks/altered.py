"""A stream of messages with shocks in it: the true market is followed, and told as the shocks would show it.

How it works: every true message moves the true books. Outside shocks a message passes as it is, its prices moved by
what earlier shocks have moved for good. Within a shock of its symbol it is told as the difference to what was shown
last, so that quotes keep their ids, and signs that have to last (a crossed book, an empty side) do last. When a shock
begins or ends, that difference is a message of its own, at that very time and ahead of the true messages of that time.

Limits: the venue's books are made of the same stream, so during a stale feed orders trade at what was shown last.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from bot.market.book import standing_quotes
from bot.market.delta import DELTA, DEPTH_ASK, DEPTH_BID, SPOT_ASK, SPOT_BID
from bot.market.symbols import SymbolSpec
from bot.research.backtest.messages import Messages, messages
from bot.research.backtest.venue_books import VenueBooks
from bot.research.shocks.shock import Shock
from bot.research.shocks.shown_book import Row, Shown, difference, moved, shown_in

_PRICED = (SPOT_BID, SPOT_ASK, DEPTH_BID, DEPTH_ASK)


def altered(pieces: Iterator[Messages], shocks: Sequence[Shock], specs: Sequence[SymbolSpec]) -> Iterator[Messages]:
    """Yield messages with shocks in them; those after the end of the stream are left out.

    Args: `shocks` as `shock.checked` returns them; `specs` in the order of the symbols of the messages.
    Raises: ValueError, one line, for a shock that begins before its symbol has a price.
    """
    market = _ShockedMarket(specs)
    places = {spec.name: place for place, spec in enumerate(specs)}
    edges = [(shock.at_ns, True, places[shock.symbol], shock) for shock in shocks]
    edges += [(shock.end_ns, False, places[shock.symbol], shock) for shock in shocks]
    edges.sort(key=lambda edge: edge[:3])
    waiting = 0
    for piece in pieces:
        first, count = 0, len(piece.times_ns)
        while first < count:
            if waiting == len(edges):
                last = count
            else:
                last = int(np.searchsorted(piece.times_ns, edges[waiting][0], side="left"))
            if last > first:
                yield market.passed(piece.part(first, last))
                first = last
            if first < count and waiting < len(edges):
                time_ns, is_begin, place, shock = edges[waiting]
                waiting += 1
                yield market.begun(shock, place) if is_begin else market.ended(place, time_ns)


class _ShockedMarket:
    """The true books, what has moved for good, and what is shown of symbols in a shock, by their place."""

    def __init__(self, specs: Sequence[SymbolSpec]) -> None:
        self._true = VenueBooks(len(specs))
        self._tick_e5 = [max(10 ** (5 - spec.digits), 1) if spec.digits <= 5 else 1 for spec in specs]
        self._offset_e5 = np.zeros(len(specs), np.int64)
        self._on: dict[int, tuple[Shock, int, Shown]] = {}
        self._shown: dict[int, Shown] = {}

    def passed(self, part: Messages) -> Messages:
        """Return true messages as they are told."""
        if not self._on:
            self._true.take(part, 0, len(part.times_ns))
            return self._with_offsets(part)
        pieces, times_ns, counts = [], [], []
        moved_part, start = self._with_offsets(part), 0
        for i, (time_ns, end) in enumerate(zip(part.times_ns.tolist(), part.ends.tolist(), strict=True)):
            self._true.take(part, i, i + 1)
            place = int(part.rows["symbol"][end - 1])
            rows = _array(self._told(place, time_ns)) if place in self._on else moved_part.rows[start:end]
            pieces.append(rows)
            times_ns.append(time_ns)
            counts.append(len(rows))
            start = end
        return messages(np.array(times_ns, np.int64), np.array(counts, np.int64), np.concatenate(pieces))

    def begun(self, shock: Shock, place: int) -> Messages:
        """Return what the begin of a shock tells."""
        true = self._truth(place)
        touch = true.touch()
        if touch is None:
            raise ValueError(f"{shock}: {shock.symbol} has no price yet then; let it begin later")
        tick_e5, offset_e5 = self._tick_e5[place], int(self._offset_e5[place])
        self._shown[place] = moved(true, offset_e5, offset_e5, tick_e5)
        mid_e5 = sum(touch) / 2 + offset_e5
        jump_e5 = round(mid_e5 * shock.move_bps / 1e4 / tick_e5) * tick_e5
        if not shock.reverts:
            self._offset_e5[place] += jump_e5
            jump_e5 = 0
        self._on[place] = shock, jump_e5, Shown(true.spot, {})
        return _one(shock.at_ns, self._told(place, shock.at_ns))

    def ended(self, place: int, time_ns: int) -> Messages:
        """Return what the end of a shock tells: the true book."""
        del self._on[place]
        offset_e5 = int(self._offset_e5[place])
        after = moved(self._truth(place), offset_e5, offset_e5, self._tick_e5[place])
        return _one(time_ns, difference(self._shown.pop(place), after, place))

    def _told(self, place: int, time_ns: int) -> list[Row]:
        """Return what a symbol in a shock tells now."""
        (shock, fading_e5, begin), tick_e5 = self._on[place], self._tick_e5[place]
        left = (shock.end_ns - time_ns) / (shock.end_ns - shock.at_ns)
        offset_e5 = int(self._offset_e5[place]) + round(fading_e5 * left / tick_e5) * tick_e5
        before = self._shown[place]
        self._shown[place] = shown_in(shock, self._truth(place), before, begin, offset_e5, tick_e5)
        return difference(before, self._shown[place], place)

    def _truth(self, place: int) -> Shown:
        true = self._true
        return Shown((true.spot_e5(place, 0), true.spot_e5(place, 1)), standing_quotes(true.arrays, place))

    def _with_offsets(self, part: Messages) -> Messages:
        if not self._offset_e5.any():
            return part
        rows = part.rows.copy()
        priced = np.isin(rows["kind"], _PRICED)
        symbols = rows["symbol"][priced]
        least_e5 = np.array(self._tick_e5)[symbols]
        rows["price_e5"][priced] = np.maximum(rows["price_e5"][priced] + self._offset_e5[symbols], least_e5)
        rows.flags.writeable = False
        return Messages(part.times_ns, part.ends, rows)


def _array(rows: list[Row]) -> np.ndarray:
    return np.array(rows, DELTA)


def _one(time_ns: int, rows: list[Row]) -> Messages:
    return messages(np.array([time_ns]), np.array([len(rows)]), _array(rows))
