"""Scenarios of synthetic markets, measured on the stream: what each promises happens, to every symbol, and passes."""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import pytest
from venue_client import EURJPY, EURUSD, SECOND, START_NS, USDJPY

from bot.sim.book import VenueBook
from bot.sim.change import Change
from bot.sim.listing import default_symbols, extra_symbols
from bot.sim.market import open_market
from bot.sim.scenario import SCENARIOS
from bot.sim.synthetic import CHARACTERS, mid_paths, quote_stream

NAMES = {spec.symbol_id: spec.name for spec in (*default_symbols(), *extra_symbols())}
STEP_S = 0.1


class Look(NamedTuple):
    """What is shown at one moment: prices in 1/100000, depth of all levels."""

    at_s: float
    bid: int
    ask: int
    bids: int
    asks: int
    events: int

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> float:
        return self.ask - self.bid


@cache
def stream(scenario: str, seconds: int, *, seed: int = 1, speed: float = 1.0) -> tuple[Change, ...]:
    """Every change of all ten symbols."""
    extra = [spec.name for spec in extra_symbols()]
    market = open_market(f"synthetic:{scenario}", seed=seed, start_ns=START_NS, speed=speed, symbols=extra)
    return tuple(market.advance(START_NS + seconds * SECOND))


@cache
def looks(scenario: str, seconds: int, symbol_id: int) -> tuple[Look, ...]:
    """One symbol, looked at ten times a second."""
    book, found = VenueBook(), []
    changes = [change for change in stream(scenario, seconds) if change.symbol_id == symbol_id]
    due = 0.0
    for events, change in enumerate(changes):
        at_s = (change.time_ns - START_NS) / SECOND
        while due < at_s:
            found.append(look(due, book, events))
            due += STEP_S
        book.apply(change)
    return tuple(found)


def look(at_s: float, book: VenueBook, events: int) -> Look:
    assert book.bid_e5 is not None and book.ask_e5 is not None
    bids, asks = (sum(size for _, size in book.levels(is_bid=side)) for side in (True, False))
    return Look(at_s, book.bid_e5, book.ask_e5, bids, asks, events)


def mean(seen: Sequence[Look], field: Callable[[Look], float], start_s: float, end_s: float) -> float:
    return statistics.mean(field(one) for one in seen if start_s <= one.at_s < end_s)


def ratio(
    scenario: str, field: Callable[[Look], float], now: tuple[float, float], before: tuple[float, float]
) -> float:
    """How a field's mean over a time compares with that over another: the geometric mean over all symbols."""
    logs = []
    for symbol_id in NAMES:
        seen = looks(scenario, 130, symbol_id)
        logs.append(math.log(mean(seen, field, *now) / mean(seen, field, *before)))
    return math.exp(statistics.mean(logs))


def moved(scenario: str, symbol_id: int, start_s: float, end_s: float) -> float:
    """The log move of the mid between two times."""
    seen = looks(scenario, 130, symbol_id)
    return math.log(seen[round(end_s / STEP_S)].mid / seen[round(start_s / STEP_S)].mid)


def volatility(symbol_id: int) -> float:
    return CHARACTERS[NAMES[symbol_id]].volatility


# -- every scenario --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_is_the_same_for_the_same_seed_and_another_for_another(scenario: str) -> None:
    first = stream(scenario, 20)
    stream.cache_clear()
    assert stream(scenario, 20) == first
    assert stream(scenario, 20, seed=2) != first


@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=() if name == "calm" else pytest.mark.slow) for name in SCENARIOS]
)
def test_ids_are_never_reused_deletions_are_known_and_bids_stand_below_asks(scenario: str) -> None:
    books = {symbol_id: VenueBook() for symbol_id in NAMES}
    gone: set[int] = set()
    for change in stream(scenario, 130):
        book = books[change.symbol_id]
        assert set(change.deleted) <= book.quotes.keys()
        gone.update(change.deleted)
        assert not gone & {quote.quote_id for quote in change.new}
        assert all(quote.size_cents > 0 and quote.price_e5 > 0 for quote in change.new)
        for quote in change.new:
            known = book.quotes.get(quote.quote_id)
            assert known is None or (known.is_bid, known.price_e5) == (quote.is_bid, quote.price_e5)
        book.apply(change)
        assert book.bid_e5 is not None and book.ask_e5 is not None and book.bid_e5 < book.ask_e5
        bids, asks = book.levels(is_bid=True), book.levels(is_bid=False)
        if bids:
            assert bids[0][0] == book.bid_e5
        if asks:
            assert asks[0][0] == book.ask_e5
    ids = [quote_id for book in books.values() for quote_id in book.quotes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scenario", ["flash-crash", "rollover"])
def test_what_comes_later_is_not_seen_before(scenario: str) -> None:
    until_ns = START_NS + 12 * SECOND
    before = [change for change in stream(scenario, 130) if change.time_ns < until_ns]
    assert before == [change for change in stream("calm", 130) if change.time_ns < until_ns]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["flash-crash", "rollover"])
def test_speed_shortens_a_scenario(scenario: str) -> None:
    fast = stream(scenario, 65, speed=2.0)
    slow = stream(scenario, 130)
    assert [(c.symbol_id, c.new, c.deleted) for c in fast] == [(c.symbol_id, c.new, c.deleted) for c in slow]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_triangle_of_euro_dollar_and_yen_holds_in_every_scenario(scenario: str) -> None:
    for at_s in (5, 45, 100):
        euro, yen, cross = (looks(scenario, 130, i)[round(at_s / STEP_S)].mid for i in (EURUSD, USDJPY, EURJPY))
        assert cross == pytest.approx(euro * yen / 100_000, rel=5e-4)


@pytest.mark.parametrize("name", SCENARIOS)
def test_prices_stay_near_where_they_began_however_long_it_runs(name: str) -> None:
    scenario = SCENARIOS[name]
    moves = [scenario.at(seconds * 7.3).move for seconds in range(0, 100_000, 11)]
    assert -5_500 < min(moves) <= max(moves) < 500


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_new_round_begins_where_the_last_one_ended(name: str) -> None:
    scenario = SCENARIOS[name]
    for rounds in (1, 2, 50):
        for period_s in (45, 60, 1_200):
            before, after = (scenario.at(rounds * period_s + late_s).move for late_s in (-1e-6, 1e-6))
            assert before == pytest.approx(after, abs=1e-2)


# -- trending --------------------------------------------------------------------------------------------------------


def test_a_trend_moves_every_price_by_some_deviations_with_more_size_behind_it() -> None:
    for symbol_id in NAMES.keys() - {EURJPY}:
        drift = moved("trending", symbol_id, 0.1, 60) - moved("calm", symbol_id, 0.1, 60)
        assert 3 < drift / (volatility(symbol_id) * math.sqrt(60)) < 7, NAMES[symbol_id]
    assert moved("trending", EURJPY, 0.1, 60) > moved("calm", EURJPY, 0.1, 60)
    sides = [mean(looks("trending", 130, i), lambda one: one.bids / one.asks, 0, 130) for i in NAMES]
    usual = [mean(looks("calm", 130, i), lambda one: one.bids / one.asks, 0, 130) for i in NAMES]
    assert 1.5 < statistics.geometric_mean(sides) / statistics.geometric_mean(usual) < 2.6
    wide, calm = ([mean(looks(s, 130, i), lambda one: one.spread, 0, 130) for i in NAMES] for s in ("trending", "calm"))
    assert 0.85 < statistics.geometric_mean(wide) / statistics.geometric_mean(calm) < 1.15, "otherwise calm"


def test_a_trend_turns_after_ten_minutes_and_so_does_the_book() -> None:
    tilts: dict[bool, list[float]] = {True: [], False: []}
    book, spec, trend = VenueBook(), default_symbols()[0], SCENARIOS["trending"]
    mids = [mid_paths(1, SCENARIOS[name])["EURUSD"] for name in ("trending", "calm")]
    drift = {}
    for change in quote_stream(spec, mids[0], trend, 1, 0, 1.0):
        at_s = change.time_ns // SECOND
        if at_s > 1_200:
            break
        book.apply(change)
        one = look(at_s, book, 0)
        tilts[at_s <= 600].append(one.bids / one.asks)
        drift[at_s] = math.log(one.mid / 100_000 / mids[1](change.time_ns)) / volatility(EURUSD)
    assert statistics.mean(tilts[True]) > 2 * statistics.mean(tilts[False])
    assert drift[600] == pytest.approx(360, abs=10)
    assert drift[300] == pytest.approx(180, abs=10)
    assert drift[1_200] == pytest.approx(0, abs=10)


# -- flash-crash -----------------------------------------------------------------------------------------------------


def test_a_flash_crash_withdraws_bids_and_widens_spreads_within_seconds() -> None:
    calm, crash = (7.0, 12.0), (14.7, 15.0)
    assert 0.05 < ratio("flash-crash", lambda one: one.bids, crash, calm) < 0.25
    assert 0.15 < ratio("flash-crash", lambda one: one.asks, crash, calm) < 0.6
    assert 6 < ratio("flash-crash", lambda one: one.spread, (15.2, 17.0), calm) < 14


def test_a_flash_crash_leaves_the_bid_side_of_every_symbol_empty_for_about_two_seconds_in_every_round() -> None:
    for symbol_id in NAMES:
        seen = looks("flash-crash", 130, symbol_id)
        for begins_s in (15, 75):
            empty = [one for one in seen if one.bids == 0 and abs(one.at_s - begins_s) < 20]
            assert 1.4 < STEP_S * len(empty) < 2.6, (NAMES[symbol_id], begins_s)
            assert begins_s <= empty[0].at_s < begins_s + 0.7
            assert len({one.bid for one in empty}) == 1, "the spot price of an empty side stands"
            assert all(one.asks > 0 for one in empty)
        assert all(one.asks > 0 for one in seen)
        assert sum(one.bids == 0 for one in seen) * STEP_S < 5.2, "and at no other time"


def test_a_flash_crash_takes_prices_down_as_far_as_their_volatility_says_and_most_of_the_way_back() -> None:
    fall = math.expm1(moved("flash-crash", EURUSD, 12, 16.5) - moved("calm", EURUSD, 12, 16.5))
    assert fall == pytest.approx(-0.01, abs=0.002)
    for symbol_id in NAMES.keys() - {EURJPY}:
        down = moved("flash-crash", symbol_id, 11.9, 16.5)
        assert -700 < down / volatility(symbol_id) < -600, NAMES[symbol_id]
        back = moved("flash-crash", symbol_id, 16.5, 40)
        assert 0.6 < back / -down < 0.9, NAMES[symbol_id]
        assert moved("flash-crash", symbol_id, 14.5, 15.5) < -50 * volatility(symbol_id), "a matter of seconds"
    legs = moved("flash-crash", EURUSD, 12, 16.5) + moved("flash-crash", USDJPY, 12, 16.5)
    assert moved("flash-crash", EURJPY, 12, 16.5) == pytest.approx(legs, rel=0.05)


def test_quotes_come_faster_in_a_flash_crash() -> None:
    def count(symbol_id: int, start_s: float, end_s: float) -> int:
        seen = looks("flash-crash", 130, symbol_id)
        return seen[round(end_s / STEP_S)].events - seen[round(start_s / STEP_S)].events

    busy, usual = (sum(count(i, *t) for i in NAMES) for t in ((12.5, 17), (7.5, 12)))
    assert busy > 2 * usual


def test_a_flash_crash_is_followed_by_a_thin_book_and_then_by_calm() -> None:
    calm, thin, later = (2.0, 12.0), (18.0, 27.0), (38.0, 60.0)
    assert 0.1 < ratio("flash-crash", lambda one: one.bids, thin, calm) < 0.4
    assert 2 < ratio("flash-crash", lambda one: one.spread, thin, calm) < 8
    assert 0.7 < ratio("flash-crash", lambda one: one.bids, later, calm) < 1.4
    assert 0.7 < ratio("flash-crash", lambda one: one.asks, later, calm) < 1.4
    assert 0.7 < ratio("flash-crash", lambda one: one.spread, later, calm) < 1.3
    for symbol_id in NAMES.keys() - {EURJPY}:
        drift = abs(moved("flash-crash", symbol_id, 38, 60))
        assert drift < 4 * volatility(symbol_id) * math.sqrt(22)


# -- rollover --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_s", [0, 45])
def test_a_rollover_has_a_wide_spread_a_fifth_of_the_depth_and_few_events_and_passes(round_s: int) -> None:
    calm, worst, later = ((round_s + a, round_s + b) for a, b in ((1, 12), (16, 24), (28, 45)))
    assert 6 < ratio("rollover", lambda one: one.spread, worst, calm) < 10
    assert 0.15 < ratio("rollover", lambda one: one.bids, worst, calm) < 0.3
    assert 0.15 < ratio("rollover", lambda one: one.asks, worst, calm) < 0.3
    assert 0.7 < ratio("rollover", lambda one: one.spread, later, calm) < 1.4
    assert 0.7 < ratio("rollover", lambda one: one.bids, later, calm) < 1.4
    events = []
    for start_s, end_s in (worst, calm):
        seen = [looks("rollover", 130, symbol_id) for symbol_id in NAMES]
        count = sum(one[round(end_s / STEP_S)].events - one[round(start_s / STEP_S)].events for one in seen)
        events.append(count / (end_s - start_s))
    assert events[0] < 0.45 * events[1]


def test_a_rollover_lasts_about_fifteen_seconds_rises_over_some_and_moves_no_price() -> None:
    spreads = [ratio("rollover", lambda one: one.spread, (t, t + 1), (1, 12)) for t in range(10, 40)]
    wide = [t for t, spread in enumerate(spreads, 10) if spread > 1.6]
    assert wide == list(range(wide[0], wide[-1] + 1)), "one spell of it"
    assert 12 <= len(wide) <= 17
    rising = [spread for spread in spreads[2:6] if 1.6 < spread < 6]
    assert rising, "it does not jump"
    for symbol_id in NAMES.keys() - {EURJPY}:
        assert abs(moved("rollover", symbol_id, 11, 30)) < 4 * volatility(symbol_id) * math.sqrt(19)
