"""What the venue remembers of its prices, against a naive grouping."""

from hypothesis import given
from hypothesis import strategies as st

from bot.ctrader.schema import enum
from bot.sim.history import MAX_TICKS, PriceHistory

MINUTE = 60_000_000_000
PERIODS = enum("ProtoOATrendbarPeriod")


@given(st.lists(st.tuples(st.integers(0, 20 * MINUTE), st.integers(1, 1_000)), max_size=40).map(sorted))
def test_five_minute_bars_are_what_a_naive_grouping_gives(ticks: list[tuple[int, int]]) -> None:
    history = PriceHistory()
    for time_ns, bid in ticks:
        history.note(time_ns, bid, None)
    groups: dict[int, list[int]] = {}
    for time_ns, bid in ticks:
        groups.setdefault(time_ns // (5 * MINUTE) * 5, []).append(bid)
    bars = history.bars(PERIODS["M5"], 0, 10**9, None)
    assert [
        (b.utcTimestampInMinutes, b.low + b.deltaOpen, b.low + b.deltaHigh, b.low, b.low + b.deltaClose, b.volume)
        for b in bars
    ] == [(minute, g[0], max(g), min(g), g[-1], len(g)) for minute, g in groups.items()]
    if bars:
        assert history.current_bar(PERIODS["M5"]) == bars[-1]
        assert history.bars(PERIODS["M5"], 0, 10**9, 1) == bars[-1:]
        assert history.bars(PERIODS["M5"], 0, 10**9, 7) == bars[-7:]


def test_a_period_without_ticks_has_no_bar_and_bounds_are_kept() -> None:
    history = PriceHistory()
    assert history.current_bar(PERIODS["M1"]) is None
    for minute in (1, 2, 9):
        history.note(minute * MINUTE, 100 + minute, None)
    bars = history.bars(PERIODS["M1"], 2 * 60_000, 9 * 60_000, None)
    assert [bar.utcTimestampInMinutes for bar in bars] == [2, 9]


def test_ticks_come_newest_first_within_the_bounds() -> None:
    history = PriceHistory()
    assert history.first_price_e5() is None
    for time_ms, ask in ((1_000, 5), (1_250, 6), (1_260, 7), (9_000, 8)):
        history.note(time_ms * 1_000_000, None, ask)
    assert list(history.newest_first("ASK", 0, 2_000)) == [(1_260, 7), (1_250, 6), (1_000, 5)]
    assert list(history.newest_first("BID", 0, 2_000)) == []
    assert history.first_price_e5() == 5


def test_memory_is_bounded() -> None:
    history = PriceHistory()
    for time_ms in range(MAX_TICKS + 10):
        history.note(time_ms * 1_000_000, 1, None)
    ticks = list(history.newest_first("BID", 0, 10**9))
    assert (len(ticks), ticks[0][0]) == (MAX_TICKS, MAX_TICKS + 9)
