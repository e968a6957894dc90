"""Minutes of a market against a plain loop, and the spans that are made of them."""

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest

from bot.market.delta import DELTA, END_SPOT, SPOT_ASK, SPOT_BID
from bot.research.backtest.messages import Messages, messages
from bot.research.compare.minutes import DAY_NS, MINUTE_NS, Minutes, minutes_of
from bot.research.compare.spans import CALM, CRISIS, ROLLOVER, Release, spans_of
from bot.research.metrics.arm_run import Span

_SECOND_NS = 1_000_000_000


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * _SECOND_NS


def quoted(quotes: list[tuple[int, int, str, int]]) -> Messages:
    """Messages of one side each: (ns, symbol, side, price_e5)."""
    rows = np.zeros((len(quotes), 2), DELTA)
    for row, (_, symbol, side, price_e5) in zip(rows, quotes, strict=True):
        row[0] = (SPOT_BID if side == "bid" else SPOT_ASK, symbol, 0, price_e5, 0)
        row[1] = (END_SPOT, symbol, 0, 0, 0)
    times_ns = np.array([time_ns for time_ns, *_ in quotes], np.int64)
    return messages(times_ns, np.full(len(quotes), 2), rows.reshape(-1))


def test_minutes_are_those_of_a_plain_loop_in_whatever_pieces_the_messages_come() -> None:
    random = np.random.default_rng(5)
    begin_ns = ns("2014-05-05T10:00:30")
    times = begin_ns + np.sort(random.integers(0, 20 * 60 * _SECOND_NS, 300))
    times[150:] += 7 * MINUTE_NS  # a silence
    times[[40, 90]] = times[[40, 90]] // MINUTE_NS * MINUTE_NS  # as a minute begins: not before it
    times.sort()
    quotes = []
    for time_ns in times.tolist():
        side = "bid" if random.random() < 0.5 else "ask"
        price = 110_000 + int(random.integers(-6, 7)) + (5 if side == "ask" else 0)
        quotes.append((time_ns, int(random.integers(0, 2)), side, price))
    whole = quoted(quotes)
    cuts = [0, 1, 40, 41, 200, len(quotes)]
    pieces = [whole.part(a, b) for a, b in itertools.pairwise(cuts)]
    whole_found, in_pieces = minutes_of([whole], 2), minutes_of(pieces, 2)
    assert whole_found.widest_ns is not None and in_pieces.widest_ns is not None
    assert whole_found.widest_ns.tolist() == in_pieces.widest_ns.tolist()
    for found in (whole_found, in_pieces):
        assert found.first == begin_ns // MINUTE_NS
        for s in (0, 1):
            for k in range(len(found.mids)):
                edge_ns = (found.first + k) * MINUTE_NS
                bid, ask = (
                    next((p / 1e5 for t, q, d, p in reversed(quotes) if q == s and d == side and t < edge_ns), None)
                    for side in ("bid", "ask")
                )
                mid = np.nan if bid is None or ask is None else (bid + ask) / 2
                assert found.mids[k, s] == pytest.approx(mid, nan_ok=True)
                assert found.spreads_bps[k, s] == pytest.approx(spread_by_hand(quotes, s, edge_ns), nan_ok=True)


def spread_by_hand(quotes: list[tuple[int, int, str, int]], s: int, from_ns: int) -> float:
    """Return the mean spread of a minute, from change to change."""
    mine = [(t, d, p / 1e5) for t, q, d, p in quotes if q == s]
    end_ns = min(from_ns + MINUTE_NS, mine[-1][0])
    edges = sorted({from_ns, end_ns, *(t for t, *_ in mine if from_ns < t < end_ns)})
    total = lasting = 0.0
    for a, b in itertools.pairwise(edges):
        before = [each for each in mine if each[0] <= a]
        bid = next((p for _, d, p in reversed(before) if d == "bid"), None)
        ask = next((p for _, d, p in reversed(before) if d == "ask"), None)
        if bid is None or ask is None:
            continue
        if a - before[-1][0] < MINUTE_NS:  # else too old to say anything
            total += (b - a) * 1e4 * max(ask - bid, 0) / ((ask + bid) / 2)
            lasting += b - a
    return total / lasting if lasting > 0 else np.nan


def test_a_market_without_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="quote nothing"):
        minutes_of([], 1)


def two_days(spread: float = 1.0) -> Minutes:
    first = ns("2014-05-05T00:00:00") // MINUTE_NS
    spreads = np.full((2 * 1_440, 1), spread)
    spreads[21 * 60 : 22 * 60] = spreads[(24 + 21) * 60 : (24 + 22) * 60] = 5 * spread  # every day at this time
    return Minutes(first, np.ones_like(spreads), spreads)


def spans_in(minutes: Minutes, kind: str, **other: object) -> list[Span]:
    tuesday = ns("2014-05-06T00:00:00")
    given: dict[str, object] = {"releases": (), "more": ()} | other
    found = spans_of(minutes, given["releases"], tuesday, tuesday, tuesday + DAY_NS, given["more"])  # type: ignore[arg-type]
    return [span for span in found if span.kind == kind]


def test_a_crisis_is_a_spread_far_over_that_of_the_calibration_days_at_its_time_of_day() -> None:
    minutes = two_days()
    tuesday = 1_440
    minutes.spreads_bps[tuesday + 600 : tuesday + 603] = 3.0  # begins at 10:00
    minutes.spreads_bps[tuesday + 606] = 8.0  # the same crisis
    minutes.spreads_bps[tuesday + 700] = 1.9  # not enough
    minutes.spreads_bps[tuesday + 21 * 60 + 5] = 9.9  # usual is 5 then
    minutes.spreads_bps[tuesday + 21 * 60 + 30] = 10.0
    minutes.spreads_bps[300:310] = 20.0  # of the calibration day
    found = spans_in(minutes, CRISIS)
    at = ns("2014-05-06T00:00:00")
    assert [(s.from_ns - at) // MINUTE_NS for s in found] == [600, 21 * 60 + 30]
    assert [(s.to_ns - at) // MINUTE_NS for s in found] == [612, 21 * 60 + 36]
    assert found[0].peak_ns == at + 607 * MINUTE_NS  # of minutes alone the end is after the worst


def test_what_a_usual_spread_is_comes_from_the_calibration_days_alone() -> None:
    minutes, other = two_days(), two_days()
    minutes.spreads_bps[1_440 + 600] = 2.0
    other.spreads_bps[1_440 + 600] = 2.0
    other.spreads_bps[1_440 + 601 : 1_440 + 660] = 1.9  # the rest of the hour is as wide: no reason to think it usual
    assert spans_in(other, CRISIS) == spans_in(minutes, CRISIS) != []


def test_the_rollover_follows_new_york_and_calm_is_what_nothing_else_is() -> None:
    release = Release("payrolls", ns("2014-05-06T12:30:00"))
    shock = Span(ns("2014-05-06T15:00:00"), ns("2014-05-06T15:01:00"), "shock", ns("2014-05-06T15:00:30"))
    both = {"releases": (release,), "more": (shock,)}
    rollover = spans_in(two_days(), ROLLOVER)
    assert [(s.from_ns, s.to_ns) for s in rollover] == [(ns("2014-05-06T20:45:00"), ns("2014-05-06T22:15:00"))]
    calm = spans_in(two_days(), CALM, **both)
    edges = ["00:00", "12:25", "13:00", "15:00", "15:01", "20:45", "22:15"]
    at = [ns(f"2014-05-06T{edge}:00") for edge in edges] + [ns("2014-05-07T00:00:00")]
    assert [edge for span in calm for edge in (span.from_ns, span.to_ns)] == at
    assert spans_in(two_days(), "shock", **both) == [shock]  # who knows its peak is believed


def test_a_minute_was_widest_when_its_widest_quote_came_and_an_event_is_worst_then() -> None:
    begin_ns = ns("2014-05-05T10:00:00")
    # Spreads of 1 point; 9 from 10:01:50 to 10:01:58, told in two pieces; 5 through 10:03, after them.
    asks = [(0, 110_001), (59, 110_002), (110, 110_009), (118, 110_001), (180, 110_005), (240, 110_001), (290, 110_001)]
    quotes = [(begin_ns, 0, "bid", 110_000), *((begin_ns + s * _SECOND_NS, 0, "ask", price) for s, price in asks)]
    told = quoted(quotes)
    minutes = minutes_of([told.part(0, 4), told.part(4, 8)], 1)
    assert minutes.widest_ns is not None
    assert ((minutes.widest_ns[:, 0] - begin_ns) / _SECOND_NS).tolist() == [59, 110, 120, 180, 240]
    first, second = Release("a", begin_ns, 0, 3), Release("b", begin_ns, 0, 110 / 60)
    found = {
        span.kind: span for span in spans_of(minutes, [first, second], begin_ns, begin_ns, begin_ns + 10 * MINUTE_NS)
    }
    assert found["a"].peak_ns == begin_ns + 110 * _SECOND_NS
    assert found["b"].peak_ns == begin_ns + 110 * _SECOND_NS - 1  # its own last moment
