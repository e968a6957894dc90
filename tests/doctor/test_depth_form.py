"""The form of depth events, found by replaying them: by hand-made cases, and against a naive book."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.schema import message
from bot.doctor.depth_form import DepthForm, form_of


def depth(*quotes: tuple[int, str, int, int], deleted: tuple[int, ...] = ()) -> Any:
    event = message("ProtoOADepthEvent")(ctidTraderAccountId=1, symbolId=1, deletedQuotes=deleted)
    for quote_id, side, price_e5, size in quotes:
        event.newQuotes.add(id=quote_id, size=size, **{side: price_e5})
    return event


def spot(**prices: int) -> Any:
    return message("ProtoOASpotEvent")(ctidTraderAccountId=1, symbolId=1, **prices)


def form(*events: Any, spots: tuple[Any, ...] = ()) -> DepthForm:
    return form_of(list(enumerate(events)), list(enumerate(spots)))


BOOK = depth((1, "bid", 100, 5), (2, "bid", 99, 5), (3, "ask", 102, 5))


def test_a_first_event_with_both_sides_and_no_stray_deletion_later_is_a_snapshot() -> None:
    whole = form(BOOK, depth((1, "bid", 100, 7)), depth(deleted=(2,)))
    assert whole.looks_like_snapshot is True
    assert (whole.first_sizes, whole.levels()) == ((2, 1), (1, 1))


def test_a_deletion_of_what_was_never_told_shows_that_it_was_not_a_snapshot() -> None:
    part = form(BOOK, depth(deleted=(77,)))
    assert (part.looks_like_snapshot, part.unknown_deletes) == (False, 1)
    assert form(depth((1, "bid", 100, 5)), depth((2, "ask", 101, 1))).looks_like_snapshot is False
    assert form(BOOK).looks_like_snapshot is None
    assert form().looks_like_snapshot is None


def test_changes_of_size_are_told_apart_by_their_form() -> None:
    same = form(BOOK, depth((1, "bid", 100, 9)))
    assert (same.same_id_resized, same.replaced_by_new_id, same.same_id_repriced) == (1, 0, 0)
    new = form(BOOK, depth((9, "bid", 100, 9), deleted=(1,)))
    assert (new.same_id_resized, new.replaced_by_new_id, new.same_id_repriced) == (0, 1, 0)
    moved = form(BOOK, depth((1, "bid", 98, 5)))
    assert (moved.same_id_resized, moved.replaced_by_new_id, moved.same_id_repriced) == (0, 0, 1)
    unrelated = form(BOOK, depth((9, "bid", 97, 9), deleted=(1,)))
    assert unrelated.replaced_by_new_id == 0


def test_an_id_in_both_lists_is_counted_and_stays() -> None:
    both = form(BOOK, depth((1, "bid", 100, 9), deleted=(1,)))
    assert both.in_both_lists == 1
    assert both.quotes[1] == (True, 100, 9)
    assert both.unknown_deletes == 0
    assert form(BOOK, depth((8, "bid", 97, 1), deleted=(8,))).unknown_deletes == 0


def test_crossed_and_one_sided_books_are_counted() -> None:
    crossed = form(BOOK, depth((9, "bid", 102, 1)), depth(deleted=(9,)), depth(deleted=(3,)))
    assert (crossed.crossed, crossed.one_sided) == (1, 1)


def test_the_best_prices_are_compared_with_the_spot_that_was_known() -> None:
    seen = form(BOOK, BOOK, BOOK, spots=(spot(bid=100), spot(ask=103), spot(bid=98)))
    assert seen.spot_gaps == [0, 0, -1, 2, -1]
    assert seen.spot_agreement() == (2 / 5, 1.0)
    assert form(BOOK).spot_agreement() is None


_QUOTES = st.tuples(st.integers(1, 6), st.sampled_from(["bid", "ask"]), st.integers(1, 9), st.integers(1, 3))
_DELETED = st.lists(st.integers(1, 6), max_size=3, unique=True)
_EVENTS = st.lists(st.tuples(st.lists(_QUOTES, max_size=4), _DELETED), max_size=12)


@given(_EVENTS)
def test_the_book_is_what_a_naive_replay_makes_of_it(events: list[Any]) -> None:
    found = form(*(depth(*quotes, deleted=tuple(deleted)) for quotes, deleted in events))
    naive: dict[int, tuple[bool, int, int]] = {}
    for quotes, deleted in events:
        naive = {i: q for i, q in naive.items() if i not in deleted}
        for quote_id, side, price, size in quotes:
            naive[quote_id] = (side == "bid", price, size)
    assert found.quotes == naive
    assert found.event_count == len(events)
    assert found.levels() == tuple(len({p for b, p, _ in naive.values() if b is side}) for side in (True, False))
