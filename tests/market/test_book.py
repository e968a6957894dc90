"""The compiled book against a dict: every level exact, whatever the stream and however small the tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_market import NaiveBook

from bot.market import book
from bot.market.book import ASK, BID, BookArrays, apply_row, empty_books, grown, levels, remember_best
from bot.market.delta import CLEAR_BOOK, DEPTH_ASK, DEPTH_BID, DEPTH_DELETE, SPOT_BID

SLOTS = 8


def _home(quote_id: int, slots: int) -> int:
    return ((quote_id * 0x9E3779B97F4A7C15) % 2**64 >> 40) & (slots - 1)


# Ids that all want the last two slots of a table of eight, so that chains wrap around its end; and the extremes.
CROWDED = [i for i in range(1, 400) if _home(i, SLOTS) >= SLOTS - 2][:12]
IDS = st.sampled_from([*CROWDED, 0, 2**63, 2**64 - 1, 2**53, 2**53 + 1])
ROW = st.tuples(
    st.sampled_from([DEPTH_BID, DEPTH_ASK, DEPTH_BID, DEPTH_ASK, DEPTH_DELETE, DEPTH_DELETE, CLEAR_BOOK]),
    st.integers(0, 1),
    IDS,
    st.integers(110_000, 110_006),
    st.integers(1, 9),
)


def put(books: BookArrays, kind: int, s: int, quote_id: int, price_e5: int, size: int) -> BookArrays:
    while apply(books, kind, s, quote_id, price_e5, size) < 0:
        books = grown(books)
    return books


def apply(books: BookArrays, kind: int, s: int, quote_id: int, price_e5: int, size: int, now_ns: int = 5) -> int:
    return apply_row(books.quotes, books.levels, books.heads, s, kind, np.uint64(quote_id), price_e5, size, now_ns)


def listed(books: BookArrays, side: int, s: int) -> list[tuple[int, int]]:
    prices, sizes = levels(books, side, s)
    return list(zip(prices.tolist(), sizes.tolist(), strict=True))


@given(st.lists(ROW, max_size=60))
def test_levels_equal_those_of_a_dict_after_every_row(rows: list[tuple[int, int, int, int, int]]) -> None:
    books, naive = empty_books(2, quotes=SLOTS, levels=2), [NaiveBook(), NaiveBook()]
    for kind, s, quote_id, price, size in rows:
        books = put(books, kind, s, quote_id, price, size)
        naive[s].apply(kind, quote_id, price, size)
        for symbol in (0, 1):
            count = books.heads["quote_count"][symbol]
            assert count == len(naive[symbol].quotes) == books.quotes["used"][symbol].sum()
            for side in (BID, ASK):
                assert listed(books, side, symbol) == naive[symbol].levels(side)
    for s in (0, 1):
        assert books.heads["counters"][s, book.UNKNOWN_DELETES] == naive[s].counters["unknown_deletes"]
        assert books.heads["counters"][s, book.REPRICED] == naive[s].counters["repriced"]


def test_a_full_table_changes_nothing_and_says_so() -> None:
    books = empty_books(1, quotes=SLOTS, levels=16)
    for quote_id in range(4):
        assert apply(books, DEPTH_BID, 0, quote_id, 100 + quote_id, 1) == 0
    before = [array.copy() for array in books]
    assert apply(books, DEPTH_BID, 0, 9, 200, 1) == -1
    assert all(np.array_equal(a, b) for a, b in zip(before, books, strict=True))
    assert listed(grown(books), BID, 0) == listed(books, BID, 0)


def test_a_deleted_quote_leaves_the_book_and_its_level_keeps_the_others() -> None:
    books = empty_books(1)
    for row in [(DEPTH_BID, 1, 100, 5), (DEPTH_BID, 2, 100, 7), (DEPTH_DELETE, 1, 0, 0)]:
        books = put(books, row[0], 0, *row[1:])
    assert listed(books, BID, 0) == [(100, 7)]
    books = put(books, DEPTH_DELETE, 0, 2, 0, 0)
    assert listed(books, BID, 0) == []


def test_a_known_id_takes_a_new_side_price_and_size_at_once() -> None:
    books = put(empty_books(1), DEPTH_BID, 0, 1, 100, 5)
    books = put(books, DEPTH_ASK, 0, 1, 103, 8)
    assert (listed(books, BID, 0), listed(books, ASK, 0)) == ([], [(103, 8)])
    assert books.heads["counters"][0, book.REPRICED] == 1


def test_clearing_depth_keeps_spot_prices_and_clearing_the_books_forgets_them() -> None:
    books = put(put(empty_books(1), DEPTH_BID, 0, 1, 100, 5), SPOT_BID, 0, 0, 101, 0)
    books = put(books, CLEAR_BOOK, 0, 0, 0, 0)
    assert books.heads["spot_known"][0, BID]
    book.clear_books(books)
    assert not books.heads["spot_known"].any()


@pytest.mark.parametrize("side", [BID, ASK])
def test_levels_come_best_first_and_are_copies(side: int) -> None:
    books = empty_books(1)
    for quote_id, price in enumerate((102, 100, 101)):
        books = put(books, DEPTH_BID + side, 0, quote_id, price, 1)
    prices, sizes = levels(books, side, 0)
    assert prices.tolist() == ([102, 101, 100] if side == BID else [100, 101, 102])
    prices[:] = 0
    sizes[:] = 0
    assert listed(books, side, 0)[0][1] == 1


def end_message(books: BookArrays) -> None:
    for s in range(len(books.heads)):
        remember_best(books.levels, books.heads[s], s)


@given(st.lists(st.one_of(ROW, st.none()), max_size=40))
def test_a_row_tells_the_birth_of_a_quote_it_takes_from_the_best_price_that_was_told(
    rows: list[tuple[int, int, int, int, int] | None],
) -> None:
    books, naive = empty_books(2), [NaiveBook(), NaiveBook()]
    for now_ns, row in enumerate(rows, start=1):
        if row is None:  # a message ends
            end_message(books)
            naive[0].tell(), naive[1].tell()
            continue
        kind, s, quote_id, price, size = row
        born_ns = apply(books, kind, s, quote_id, price, size, now_ns)
        assert born_ns == (naive[s].apply(kind, quote_id, price, size, now_ns) or 0)


def test_a_quote_that_only_changes_its_size_keeps_its_birth_and_a_new_price_is_a_new_birth() -> None:
    books = empty_books(1)
    assert apply(books, DEPTH_BID, 0, 1, 100, 5, now_ns=10) == 0
    end_message(books)
    assert apply(books, DEPTH_BID, 0, 1, 100, 9, now_ns=20) == 0
    assert apply(books, DEPTH_BID, 0, 1, 101, 9, now_ns=30) == 10
    end_message(books)
    assert apply(books, DEPTH_DELETE, 0, 1, 0, 0, now_ns=40) == 30


def test_of_a_ladder_that_is_told_anew_only_the_best_quote_has_left_the_best_price() -> None:
    books = empty_books(1)
    for quote_id, price in enumerate((102, 101, 100), start=1):
        apply(books, DEPTH_BID, 0, quote_id, price, 5, now_ns=10)
    end_message(books)
    left = [apply(books, DEPTH_DELETE, 0, quote_id, 0, 0, now_ns=20) for quote_id in (1, 2, 3)]
    assert left == [10, 0, 0]
    assert apply(books, DEPTH_BID, 0, 4, 102, 5, now_ns=20) == 0
    end_message(books)
    assert apply(books, DEPTH_DELETE, 0, 4, 0, 0, now_ns=30) == 20
