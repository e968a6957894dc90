"""What form a venue's depth events have, found by replaying them: snapshot, ids, sizes, levels, agreement with spot.

Source: ProtoOADepthEvent.newQuotes (id, size, bid or ask), deletedQuotes (ids). How the two lists act together is
documented nowhere; here deletions are taken out first, as the bot does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(slots=True)
class DepthForm:
    """Counts over one subscription's events of one symbol. Units: prices 1/100000, sizes 0.01 base unit.

    `quotes` is the book as it stands: id -> (is bid, price, size). `spot_gaps` holds the distance of the best depth
    price from the last spot price, for each side and event at which both were known.
    """

    quotes: dict[int, tuple[bool, int, int]] = field(default_factory=dict)
    event_count: int = 0
    first_sizes: tuple[int, int] = (0, 0)
    first_deletes: int = 0
    unknown_deletes: int = 0
    same_id_resized: int = 0
    same_id_repriced: int = 0
    replaced_by_new_id: int = 0
    in_both_lists: int = 0
    crossed: int = 0
    one_sided: int = 0
    most_levels: int = 0
    spot_gaps: list[int] = field(default_factory=list)
    ids: set[int] = field(default_factory=set)

    def take(self, event: Any, bid_e5: int | None = None, ask_e5: int | None = None) -> None:
        """Take one event in; `bid_e5` and `ask_e5` are the spot prices known when it came."""
        new = {q.id: (q.HasField("bid"), q.bid if q.HasField("bid") else q.ask, q.size) for q in event.newQuotes}
        self.ids |= set(new)
        deleted = list(event.deletedQuotes)
        if self.event_count == 0:
            bids = sum(1 for is_bid, _, _ in new.values() if is_bid)
            self.first_sizes, self.first_deletes = (bids, len(new) - bids), len(deleted)
        self.event_count += 1
        self.in_both_lists += len(new.keys() & set(deleted))
        gone = {}
        for quote_id in deleted:
            known = self.quotes.pop(quote_id, None)
            if known is not None:
                gone[known[:2]] = quote_id
            elif quote_id not in new:
                self.unknown_deletes += 1
        for quote_id, quote in new.items():
            before = self.quotes.get(quote_id)
            if before is None:
                self.replaced_by_new_id += gone.get(quote[:2], quote_id) != quote_id
            elif before[:2] != quote[:2]:
                self.same_id_repriced += 1
            elif before[2] != quote[2]:
                self.same_id_resized += 1
            self.quotes[quote_id] = quote
        self._look(bid_e5, ask_e5)

    def levels(self) -> tuple[int, int]:
        """Return how many prices each side has, (bid, ask)."""
        bids, asks = self._prices()
        return len(bids), len(asks)

    @property
    def looks_like_snapshot(self) -> bool | None:
        """Whether the first event was the whole book: both sides, nothing deleted, and nothing deleted later that had
        never been told. None when nothing came after it, or nothing came at all."""
        if self.event_count < 2:
            return None
        return min(self.first_sizes) > 0 and self.first_deletes == 0 and self.unknown_deletes == 0

    def spot_agreement(self) -> tuple[float, float] | None:
        """Return (share of moments with equal prices, median distance in 1/100000); None without a moment."""
        if not self.spot_gaps:
            return None
        equal = sum(1 for gap in self.spot_gaps if gap == 0)
        return equal / len(self.spot_gaps), float(median(abs(gap) for gap in self.spot_gaps))

    def _prices(self) -> tuple[set[int], set[int]]:
        bids = {price for is_bid, price, _ in self.quotes.values() if is_bid}
        return bids, {price for is_bid, price, _ in self.quotes.values() if not is_bid}

    def _look(self, bid_e5: int | None, ask_e5: int | None) -> None:
        bids, asks = self._prices()
        self.most_levels = max(self.most_levels, len(bids), len(asks))
        if not bids or not asks:
            self.one_sided += 1
            return
        self.crossed += max(bids) >= min(asks)
        if bid_e5 is not None:
            self.spot_gaps.append(max(bids) - bid_e5)
        if ask_e5 is not None:
            self.spot_gaps.append(min(asks) - ask_e5)


def form_of(events: Iterable[tuple[int, Any]], spots: Iterable[tuple[int, Any]] = ()) -> DepthForm:
    """Return the form of depth events, each seen beside the spot prices that had come before it.

    Args: both as (receive time, event), in order; of one batch, spots count as earlier.
    """
    form = DepthForm()
    waiting = list(spots)
    place, bid_e5, ask_e5 = 0, None, None
    for recv_ns, event in events:
        while place < len(waiting) and waiting[place][0] <= recv_ns:
            spot = waiting[place][1]
            bid_e5 = spot.bid if spot.HasField("bid") else bid_e5
            ask_e5 = spot.ask if spot.HasField("ask") else ask_e5
            place += 1
        form.take(event, bid_e5, ask_e5)
    return form
