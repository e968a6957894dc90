"""A synthetic book's ladder: which prices carry quotes, and which quotes changed when the market moved."""

import random
from collections.abc import Callable

from bot.market.symbols import SymbolSpec
from bot.sim.change import Quote

LEVELS = 10


class Ladder:
    """Two sides of `LEVELS` prices each; a level is made of one to three quotes.

    How it works: the best price follows the market; the further levels stand on a fixed grid of prices, so a move of
    the best by one tick changes one or two levels and leaves the others resting, as a real book does.
    """

    def __init__(self, source: random.Random, spec: SymbolSpec) -> None:
        self._random = source
        self._tick_e5 = spec.tick_e5
        self._sides: dict[bool, dict[int, list[Quote]]] = {True: {}, False: {}}
        self._next_id = spec.symbol_id * 1_000_000_000 + 1
        self._touched: set[tuple[bool, int]] = set()

    def touch(self, is_bid: bool, index: int) -> None:
        """Have the level at `index` (0 = best) redraw its sizes at the next move."""
        self._touched.add((is_bid, index))

    def move(
        self, best_bid: int | None, best_ask: int | None, gap_ticks: int, size: Callable[[bool, int], int]
    ) -> tuple[tuple[Quote, ...], tuple[int, ...]]:
        """Place the ladder around new best prices (in ticks); return the new quotes and the deleted ids.

        Missing: a side without a best price has no quotes.
        """
        new: list[Quote] = []
        deleted: list[int] = []
        for is_bid, best in ((True, best_bid), (False, best_ask)):
            side = self._sides[is_bid]
            wanted = [] if best is None else self._prices(best, gap_ticks, is_bid)
            standing = set(wanted)
            for price in [price for price in side if price not in standing]:
                deleted += [quote.quote_id for quote in side.pop(price)]
            for index, price in enumerate(wanted):
                if price not in side:
                    side[price] = self._level(is_bid, price, size(is_bid, index), [])
                    new += side[price]
                elif (is_bid, index) in self._touched:
                    ids = [quote.quote_id for quote in side[price]]
                    # Mostly the same quotes change size; now and then one provider leaves and another comes.
                    if self._random.random() < 0.3:
                        deleted.append(ids.pop())
                    side[price] = self._level(is_bid, price, size(is_bid, index), ids)
                    new += side[price]
        self._touched.clear()
        return tuple(new), tuple(deleted)

    def _prices(self, best: int, gap_ticks: int, is_bid: bool) -> list[int]:
        step = -gap_ticks if is_bid else gap_ticks
        second = (-(-best // gap_ticks) - 1 if is_bid else best // gap_ticks + 1) * gap_ticks
        return [best, *range(second, second + step * (LEVELS - 1), step)]

    def _level(self, is_bid: bool, price: int, size_cents: int, ids: list[int]) -> list[Quote]:
        count = len(ids) or self._random.randint(1, 3)
        while len(ids) < count:
            ids.append(self._next_id)
            self._next_id += 1
        shares = [0.5 + self._random.random() for _ in ids]
        total = sum(shares)
        return [
            Quote(quote_id, is_bid, price * self._tick_e5, max(1, round(size_cents * share / total)))
            for quote_id, share in zip(ids, shares, strict=True)
        ]
