"""The venue's book and what an order gets from it, against a naive filling one unit at a time."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.sim.book import Fill, VenueBook
from bot.sim.change import Change, Quote


def _book(*quotes: tuple[bool, int, int]) -> VenueBook:
    book = VenueBook()
    book.apply(Change(0, 1, new=tuple(Quote(index, *quote) for index, quote in enumerate(quotes))))
    return book


QUOTES = st.lists(st.tuples(st.booleans(), st.integers(100, 110), st.integers(1, 5)), max_size=8)


@given(QUOTES, st.booleans(), st.integers(1, 30), st.one_of(st.none(), st.integers(100, 110)))
def test_a_walk_takes_what_a_unit_by_unit_filling_takes(
    quotes: list[tuple[bool, int, int]], buy: bool, volume: int, limit: int | None
) -> None:
    units = sorted(price for is_bid, price, size in quotes if is_bid != buy for _ in range(size))
    if not buy:
        units.reverse()
    within = [price for price in units if limit is None or (price <= limit if buy else price >= limit)][:volume]
    fill = _book(*quotes).walk(buy=buy, volume_cents=volume, limit=None if limit is None else Decimal(limit) / 100_000)
    if not within:
        assert fill is None
        return
    assert fill is not None
    assert fill.volume_cents == len(within)
    assert abs(fill.price - Decimal(sum(within)) / len(within) / 100_000) <= Decimal("5e-9")


def test_a_fill_over_three_levels_has_their_average_price() -> None:
    book = _book((False, 110_002, 500), (False, 110_003, 300), (False, 110_003, 200), (False, 110_010, 9_000))
    assert book.walk(buy=True, volume_cents=2_000) == Fill(2_000, Decimal("1.10006250"))


def test_an_execution_does_not_consume_the_book() -> None:
    book = _book((True, 100, 5))
    assert book.walk(buy=False, volume_cents=5) == book.walk(buy=False, volume_cents=5)


def test_a_deleted_quote_leaves_the_book_and_a_known_id_is_replaced_whole() -> None:
    book = _book((True, 100, 5), (False, 102, 5))
    book.apply(Change(1, 1, new=(Quote(1, True, 99, 7),), deleted=(0, 12345)))
    assert (book.levels(is_bid=True), book.levels(is_bid=False)) == ([(99, 7)], [])


def test_quotes_at_one_price_make_one_level_and_the_best_comes_first() -> None:
    book = _book((True, 100, 5), (True, 101, 1), (True, 100, 2), (False, 103, 4), (False, 102, 3))
    assert (book.levels(is_bid=True), book.levels(is_bid=False)) == ([(101, 1), (100, 7)], [(102, 3), (103, 4)])


def test_there_is_no_mid_before_both_sides_are_known() -> None:
    book = VenueBook()
    book.apply(Change(0, 1, bid_e5=100))
    assert book.mid is None
    assert not book.has_quotes
    book.apply(Change(0, 1, ask_e5=103))
    assert book.mid == Decimal("0.001015")
