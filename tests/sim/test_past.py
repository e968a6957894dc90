"""The venue's ticks: from before its start, in pages, within the protocol's limits; and the days that make them."""

from itertools import pairwise

import pytest
from venue_client import EURUSD, START_NS, Desk

from bot.ctrader.tick_pages import read_page
from bot.sim.listing import default_symbols
from bot.sim.past import DAY_MS, TICK_WINDOW_MS, DayTicks, Past, synthetic_days

SPECS = {spec.name: spec for spec in default_symbols()}
START_MS = START_NS // 1_000_000
TUESDAY = START_MS // DAY_MS  # 14 November 2023


def desk(**options: object) -> Desk:
    past = Past(
        lambda spec, day, price_e5: DayTicks(
            bids=tuple((day * DAY_MS + k * 1_000, price_e5 + k) for k in range(10)),
            asks=((day * DAY_MS + 5, price_e5 + 50),),
        ),
        begin_ms=START_MS - 3 * DAY_MS,
        end_ms=START_MS,
    )
    return Desk(options={"past": past, "ticks_per_page": 4} | options)


def test_ticks_of_the_past_come_in_pages_and_follow_the_live_ones() -> None:
    client = desk().client()
    day_ms = TUESDAY * DAY_MS
    asked = {"symbolId": EURUSD, "type": 1, "fromTimestamp": day_ms, "toTimestamp": day_ms + DAY_MS}
    found: list[int] = []
    first = client.ask("ProtoOAGetTickDataReq", **asked)
    assert first.hasMore
    assert len(first.tickData) == 4
    assert (first.tickData[0].timestamp, first.tickData[0].tick) == (START_MS, 109_999), "the live one comes first"
    page = first
    while True:
        ticks = read_page(page.tickData)
        found = ticks.times_ms.tolist() + found
        if not page.hasMore:
            break
        client.desk.wait(1)
        page = client.ask("ProtoOAGetTickDataReq", **{**asked, "toTimestamp": found[0] - 1})
    assert found == [*(day_ms + k * 1_000 for k in range(10)), START_MS]


@pytest.mark.parametrize(("absolute", "second"), [(False, 9), (True, 110_008)])
def test_prices_come_as_differences_unless_told_otherwise(absolute: bool, second: int) -> None:
    client = desk(absolute_tick_prices=absolute).client()
    day_ms = TUESDAY * DAY_MS
    reply = client.ask("ProtoOAGetTickDataReq", symbolId=EURUSD, type=1, fromTimestamp=day_ms, toTimestamp=START_MS)
    assert reply.tickData[1].tick == second
    assert read_page(reply.tickData).prices_e5.tolist() == [110_006, 110_007, 110_008, 109_999]


def test_a_period_longer_than_a_week_is_refused_and_what_is_older_than_the_past_is_empty() -> None:
    client = desk().client()
    asked = {"symbolId": EURUSD, "type": 2, "toTimestamp": START_MS}
    longest = client.ask("ProtoOAGetTickDataReq", **asked, fromTimestamp=START_MS - TICK_WINDOW_MS)
    assert longest.hasMore is False
    assert len(longest.tickData) == 4, "the live one, and three days that the past goes back"
    refused = client.ask("ProtoOAGetTickDataReq", **asked, fromTimestamp=START_MS - TICK_WINDOW_MS - 1)
    assert refused.errorCode == "INCORRECT_BOUNDARIES"
    older = {"fromTimestamp": START_MS - 6 * DAY_MS, "toTimestamp": START_MS - 5 * DAY_MS}
    assert not client.ask("ProtoOAGetTickDataReq", symbolId=EURUSD, type=2, **older).tickData


def test_a_made_up_day_is_the_same_again_in_order_and_never_crossed() -> None:
    make = synthetic_days(7, 500)
    day = make(SPECS["USDJPY"], TUESDAY, 15_000_000)
    assert day == make(SPECS["USDJPY"], TUESDAY, 15_000_000)
    assert day != make(SPECS["USDJPY"], TUESDAY + 1, 15_000_000)
    last: dict[str, int] = {}
    every = sorted([(time, "bid", price) for time, price in day.bids] + [(t, "ask", p) for t, p in day.asks])
    for (time, side, price), after in pairwise([*every, (0, "", 0)]):
        last[side] = price
        assert price % SPECS["USDJPY"].tick_e5 == 0
        assert TUESDAY * DAY_MS <= time < (TUESDAY + 1) * DAY_MS
        if len(last) == 2 and after[0] != time:
            assert last["bid"] < last["ask"]
    assert len(every) > 500


def test_the_week_ends_on_friday_evening_but_for_crypto() -> None:
    make = synthetic_days(7, 300)
    counts = [len(make(SPECS["EURUSD"], TUESDAY + k, 110_000).bids) for k in range(7)]  # from a Tuesday on
    assert [count > 0 for count in counts] == [True, True, True, True, False, True, True]
    assert counts[5] < counts[6] / 4, "Sunday has two hours"
    assert make(SPECS["BTCUSD"], TUESDAY + 4, 6_000_000_000).bids


def test_few_days_are_kept() -> None:
    made: list[int] = []

    def make(spec: object, day: int, price_e5: int) -> DayTicks:
        made.append(day)
        return DayTicks(bids=((day * DAY_MS, price_e5),))

    past = Past(make, begin_ms=0, end_ms=100 * DAY_MS)
    for _ in range(2):
        assert len(list(past.newest_first(SPECS["EURUSD"], 5, "BID", 0, 3 * DAY_MS))) == 4
    assert made == [3, 2, 1, 0]
    assert len(list(past.newest_first(SPECS["EURUSD"], 5, "BID", 0, 30 * DAY_MS))) == 31
    list(past.newest_first(SPECS["EURUSD"], 5, "BID", 30 * DAY_MS, 30 * DAY_MS))
    assert made[-1] == 30, "the newest were forgotten for the oldest"
