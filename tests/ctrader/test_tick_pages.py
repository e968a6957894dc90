"""Pages of ticks: whatever a page holds and however the venue reads a period, the same ticks come out."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.schema import message
from bot.ctrader.tick_merge import merge_sides
from bot.ctrader.tick_pages import LEAST_SPAN_MS, TickPages, Ticks, TicksUnreadable, no_ticks, read_page
from bot.sim.past import tick_page

Tick = tuple[int, int]


def series(ticks: list[Tick]) -> Ticks:
    return Ticks(*np.array(ticks, np.int64).reshape(-1, 2).T)


def pairs(ticks: Ticks) -> list[Tick]:
    return list(zip(ticks.times_ms.tolist(), ticks.prices_e5.tolist(), strict=True))


class PageVenue:
    """Serves ticks (oldest first) in pages; refuses a period longer than `longest_ms`."""

    def __init__(self, ticks: list[Tick], most: int, *, takes_end: bool, differences: bool, longest_ms: int) -> None:
        self._ticks, self._most, self._takes_end = ticks, most, takes_end
        self._differences, self._longest_ms = differences, longest_ms
        self.asked: list[tuple[int, int]] = []

    def fill(self, pages: TickPages) -> Ticks:
        while (span := pages.next_span_ms) is not None:
            self.asked.append(span)
            assert len(self.asked) < 1_000, "it does not end"
            if span[1] - span[0] > self._longest_ms:
                assert pages.halve()
                continue
            end_ms = span[1] + 1 if self._takes_end else span[1]
            newest_first = (t for t in reversed(self._ticks) if span[0] <= t[0] < end_ms)
            data, has_more = tick_page(newest_first, self._most, differences=self._differences)
            pages.take(read_page(data), has_more=has_more)
        return pages.ticks()


TICKS = st.lists(st.tuples(st.integers(0, 60), st.integers(80_000, 100_000)), max_size=40).map(
    lambda ticks: sorted(ticks, key=lambda tick: tick[0])
)


@given(TICKS, st.integers(1, 50), st.booleans(), st.booleans(), st.sampled_from([10**9, 300_000, 100_000]))
def test_the_same_ticks_come_out_whatever_the_page_size(
    ticks: list[Tick], extra: int, takes_end: bool, differences: bool, longest_ms: int
) -> None:
    ticks = [(time * 10_000, price) for time, price in ticks]
    thickest = max(Counter(time for time, _ in ticks).values(), default=0)
    # A venue that leaves the end of a period out can only be asked for a whole millisecond within one page.
    most = thickest + extra if takes_end else 10_000
    venue = PageVenue(ticks, most, takes_end=takes_end, differences=differences, longest_ms=longest_ms)
    found = venue.fill(TickPages(100_000, 500_000))
    assert pairs(found) == [tick for tick in ticks if 100_000 <= tick[0] < 500_000]


def test_a_page_may_be_cut_within_a_millisecond_and_be_one_millisecond_alone() -> None:
    ticks = [(5, 100), (7, 101), (7, 102), (7, 103), (9, 104), (9, 105), (12, 106)]
    for most in (3, 4, 5, 6, 7, 8):
        venue = PageVenue(ticks, most, takes_end=True, differences=True, longest_ms=10**9)
        assert pairs(venue.fill(TickPages(0, 13))) == ticks, most


def test_a_venue_that_leaves_the_end_out_loses_no_tick_between_pages() -> None:
    ticks = [(time, 100 + time) for time in range(10)]
    venue = PageVenue(ticks, 3, takes_end=False, differences=False, longest_ms=10**9)
    assert pairs(venue.fill(TickPages(0, 10))) == ticks


def test_a_refused_period_is_halved_down_to_a_minute_and_what_lies_on_the_cut_comes_once() -> None:
    pages = TickPages(0, 4 * LEAST_SPAN_MS)
    assert [pages.halve(), pages.halve(), pages.halve()] == [True, True, False]
    assert pages.next_span_ms == (3 * LEAST_SPAN_MS, 4 * LEAST_SPAN_MS)
    ticks = [(k * LEAST_SPAN_MS, 100 + k) for k in range(4)]
    venue = PageVenue(ticks, 5, takes_end=True, differences=True, longest_ms=LEAST_SPAN_MS)
    assert pairs(venue.fill(TickPages(0, 4 * LEAST_SPAN_MS))) == ticks
    assert len(venue.asked) == 7


def test_the_way_down_is_told_while_pages_come() -> None:
    pages = TickPages(0, 1_000)
    assert pages.reached_ms == 1_000
    pages.take(series([(700, 5), (900, 6)]), has_more=True)
    assert (pages.reached_ms, pages.tick_count) == (700, 1)
    pages.take(series([(700, 5)]), has_more=False)
    assert (pages.reached_ms, pages.tick_count) == (0, 2)
    assert not pages.halve()
    with pytest.raises(ValueError, match="nothing was asked"):
        pages.take(no_ticks(), has_more=False)


@pytest.mark.parametrize(
    ("page", "has_more", "words"),
    [
        ([], True, "says there are more"),
        ([(10**9, 5)], False, "asked for ticks of 10 to 1000 ms and got 1000000000 to 1000000000"),
        ([(-(10**9), 5), (20, 5)], False, "got -1000000000 to 20"),
    ],
)
def test_an_answer_that_does_not_fit_the_question_is_refused(page: list[Tick], has_more: bool, words: str) -> None:
    with pytest.raises(TicksUnreadable, match=words):
        TickPages(10, 1_000).take(series(page), has_more=has_more)


def test_ticks_beside_what_was_asked_are_left_out() -> None:
    pages = TickPages(10, 1_000)
    pages.take(series([(500, 1), (1_500, 2)]), has_more=True)
    pages.take(series([(9, 5), (10, 6), (500, 1), (501, 7)]), has_more=True)
    assert pages.next_span_ms is None, "it was older than what was asked"
    assert pairs(pages.ticks()) == [(10, 6), (500, 1)]


def data(*ticks: Tick) -> list[Any]:
    return [message("ProtoOATickData")(timestamp=time, tick=price) for time, price in ticks]


def test_a_page_is_read_by_hand_in_both_forms_of_price() -> None:
    wanted = [(985, 110_002), (990, 110_003), (1_000, 110_001)]
    assert pairs(read_page(data((1_000, 110_001), (-10, 2), (-5, -1)))) == wanted
    assert pairs(read_page(data((1_000, 110_001), (-10, 110_003), (-5, 110_002)))) == wanted
    assert pairs(read_page(data((1_000, 110_001)))) == [(1_000, 110_001)]
    assert pairs(read_page([])) == []


@pytest.mark.parametrize(
    ("ticks", "words"),
    [
        ([(1_000, 100), (-5, 300), (-5, 1)], "neither absolute nor differences: 100, 300, 1"),
        ([(1_000, 100), (-5, 1), (5, 1)], "tick 2 is 5 ms after the one before"),
        ([(1_000, 0)], "has the price 0"),
    ],
)
def test_a_page_that_makes_no_sense_is_refused_with_its_numbers(ticks: list[Tick], words: str) -> None:
    with pytest.raises(TicksUnreadable, match=words):
        read_page(data(*ticks))


# -- two sides as one ------------------------------------------------------------------------------------------------


def rows(bids: list[Tick], asks: list[Tick]) -> list[tuple[int, int, int]]:
    merged = merge_sides(series(bids), series(asks))
    return list(zip(*(column.tolist() for column in merged), strict=True))


def test_quotes_are_filled_forward_and_begin_where_both_sides_are_known() -> None:
    bids = [(1, 10), (2, 11), (5, 12), (6, 12), (9, 13), (9, 14)]
    asks = [(3, 20), (5, 21), (9, 22)]
    assert rows(bids, asks) == [(3, 11, 20), (5, 12, 21), (9, 13, 22), (9, 14, 22)]
    assert rows(bids, []) == rows([], asks) == rows([], []) == []


def naive(bids: list[Tick], asks: list[Tick]) -> list[tuple[int, int, int]]:
    events: dict[tuple[int, int], dict[str, int]] = {}
    for name, ticks in (("bid", bids), ("ask", asks)):
        seen: Counter[int] = Counter()
        for time, price in ticks:
            events.setdefault((time, seen[time]), {})[name] = price
            seen[time] += 1
    last: dict[str, int] = {}
    found: list[tuple[int, int, int]] = []
    for (time, _), sides in sorted(events.items()):
        last |= sides
        if len(last) == 2 and (not found or found[-1][1:] != (last["bid"], last["ask"])):
            found.append((time, last["bid"], last["ask"]))
    return found


FEW = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 4)), max_size=15).map(
    lambda ticks: sorted(ticks, key=lambda tick: tick[0])
)


@given(FEW, FEW)
def test_two_sides_are_joined_as_a_naive_loop_joins_them(bids: list[Tick], asks: list[Tick]) -> None:
    assert rows(bids, asks) == naive(bids, asks)
