"""The venue's book of one symbol in a backtest: what the recording shows, less what our own fills have taken from it.

How it works: prices and levels are read from the compiled tables when somebody asks. Volume that we have taken at a
price is missing there, and comes back with a half-life: the resilience of the book. The recording cannot answer us, so
our own impact is in what our next orders get, and not in the quotes that the engine sees.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bot.market.book import standing_quotes
from bot.research.backtest.venue_books import VenueBooks
from bot.sim.book import VenueBook
from bot.sim.change import Change, Quote

_NEGLIGIBLE = 30  # half-lives, after which nothing is left of what was taken


class FillNote(NamedTuple):
    """The market of a fill. Units: `mid` in quote currency; `own_impact_bps` what our earlier fills have added."""

    mid: float
    own_impact_bps: float


class ReplayedBook(VenueBook):
    """Spot prices and quotes of symbol `s` of compiled tables.

    Args: `now_ns` the venue's clock; `resilience_half_life_s` 0 refills at once, so that there is no own impact;
        `note` hears of the market of every fill.
    """

    def __init__(  # it has no state of the plain book: what that keeps is read from the tables
        self,
        books: VenueBooks,
        s: int,
        now_ns: Callable[[], int],
        resilience_half_life_s: float,
        note: Callable[[FillNote], None] = lambda note: None,
    ) -> None:
        self._books, self._s, self._now_ns, self._note = books, s, now_ns, note
        self._half_life_ns = resilience_half_life_s * 1e9
        self._taken: dict[tuple[bool, int], tuple[float, int]] = {}  # (is_bid, price) -> cents missing, when

    @property
    def bid_e5(self) -> int | None:  # type: ignore[override]
        """Best spot bid, 1/100000; None before there was one."""
        return self._books.spot_e5(self._s, 0)

    @property
    def ask_e5(self) -> int | None:  # type: ignore[override]
        """Best spot ask, 1/100000; None before there was one."""
        return self._books.spot_e5(self._s, 1)

    @property
    def quotes(self) -> dict[int, Quote]:  # type: ignore[override]
        """What stands in the recording, by id."""
        standing = standing_quotes(self._books.arrays, self._s)
        return {key: Quote(key, side == 0, price_e5, size) for key, (side, price_e5, size) in standing.items()}

    def apply(self, change: Change) -> None:  # noqa: ARG002
        """Raises: TypeError: a replayed book is changed by its recording only."""
        raise TypeError("a replayed book is changed by its recording only")

    def levels(self, *, is_bid: bool) -> list[tuple[int, int]]:
        """Return (price_e5, size_cents) of a side, best first, without what we have taken and is not back yet."""
        shown = self._books.levels(self._s, 0 if is_bid else 1)
        if not self._taken:
            return shown
        left = [(price_e5, size - self._missing(is_bid, price_e5)) for price_e5, size in shown]
        return [(price_e5, size) for price_e5, size in left if size > 0]

    def taken(self, *, buy: bool, volume_cents: int) -> None:
        """Take what an order has filled from the levels that it has walked."""
        levels, mid = self.levels(is_bid=not buy), self.mid
        added_e5 = _average_e5(levels, volume_cents) - _average_e5(
            self._books.levels(self._s, 1 if buy else 0), volume_cents
        )
        mid_price = math.nan if mid is None else float(mid)
        self._note(FillNote(mid_price, (1 if buy else -1) * added_e5 / 1e5 / mid_price * 1e4))
        if self._half_life_ns <= 0:
            return
        now_ns, left = self._now_ns(), volume_cents
        for price_e5, size in levels:
            part = min(left, size)
            self._taken[not buy, price_e5] = (self._missing(not buy, price_e5) + part, now_ns)
            left -= part
            if not left:
                break
        self._taken = {
            key: (cents, at_ns)
            for key, (cents, at_ns) in self._taken.items()
            if now_ns - at_ns < _NEGLIGIBLE * self._half_life_ns
        }

    def _missing(self, is_bid: bool, price_e5: int) -> int:
        cents, at_ns = self._taken.get((is_bid, price_e5), (0.0, 0))
        return round(cents * 2.0 ** (-(self._now_ns() - at_ns) / self._half_life_ns)) if cents else 0


def _average_e5(levels: Sequence[tuple[int, int]], volume_cents: int) -> float:
    """Return the average price of taking a volume from a side, 1/100000; NaN when it has not so much."""
    left, cost = volume_cents, 0
    for price_e5, size in levels:
        part = min(left, size)
        cost, left = cost + part * price_e5, left - part
        if not left:
            return cost / volume_cents
    return math.nan
