"""A backtest of markets that are computed by hand: fills, costs, latency, dead quotes, our own impact."""

from decimal import Decimal

import numpy as np
import pytest
from small_market import SECOND, START, books, config, source

from bot.config.errors import ConfigError
from bot.engine.decision import Decision
from bot.research.backtest.result import Result
from bot.trial_assumptions import conditions_of
from bot.trials import Trial, run_trial

BIDS = [(109_999, 200_000), (109_998, 500_000), (109_990, 2_000_000)]
ASKS = [(110_001, 100_000), (110_003, 150_000), (110_010, 2_000_000)]
STILL = [(i / 2, BIDS, ASKS) for i in range(60)]
"""A book that does not move for half a minute: mid 1.1."""


def _run(changes: list, **sections: object) -> Result:  # type: ignore[type-arg]
    given = config(**sections)
    return run_trial(Trial("by hand", given, [source(changes)], conditions_of(given)))


def test_a_fill_walks_the_book_and_the_equity_is_what_paper_says() -> None:
    result = _run(books(STILL))
    # Wanted: 3 x 100,000 USD at 1.1 = 272,727 EUR, down to the step of 1,000: 272,000.
    # Asks: 100,000 at 1.10001, 150,000 at 1.10003, 22,000 at 1.10010.
    price = (100_000 * 1.10001 + 150_000 * 1.10003 + 22_000 * 1.10010) / 272_000
    assert result.fills["units"].tolist() == [272_000]
    assert result.fills["price"][0] == pytest.approx(price, abs=1e-8)
    # Closed against the bid it is worth: 272,000 x (1.09999 - price).
    assert result.figures["venue_equity"] == pytest.approx(100_000 + 272_000 * (1.09999 - price), abs=0.01)
    assert result.figures["engine_equity"] == pytest.approx(result.figures["venue_equity"], abs=0.01)
    # Leaving walks the bids against mid: 200,000 lose 0.00001, 72,000 lose 0.00002 of 1.1.
    cost_bps = (200_000 * 1e-5 + 72_000 * 2e-5) / 272_000 / 1.1 * 1e4
    assert result.clocks["exit_cost_bps"][-1, 0] == pytest.approx(cost_bps, rel=1e-9)
    assert result.clocks["leverage"][-1, 0] == pytest.approx(272_000 * 1.1 / result.figures["engine_equity"])


def test_commission_is_paid_on_what_is_traded() -> None:
    free = _run(books(STILL))
    paid = _run(books(STILL), backtest={"latency": "0", "commission_per_million": 30, "resilience_half_life_s": 0})
    # 272,000 EUR are 299,200 USD at mid: 30 USD a million of them.
    assert free.figures["venue_equity"] - paid.figures["venue_equity"] == pytest.approx(8.98, abs=0.01)
    assert paid.fills["commission"].tolist() == [8.98]


def test_an_order_meets_the_book_of_when_it_arrives() -> None:
    """The ask is two ticks worse 300 ms after the decision, and the order takes 600 ms."""
    slow = {"latency": "600ms", "commission_per_million": 0, "resilience_half_life_s": 0, "clock_s": 0.25}
    filled_s = (_run(books(STILL), backtest=slow).fills["time_ns"][0] - START) / SECOND
    worse = [(price + 2, size) for price, size in ASKS]
    turn_s = filled_s - 0.3
    quotes = [(t, BIDS, ASKS) for t, _, _ in STILL if t < turn_s] + [(turn_s, BIDS, worse)]
    changes = books(quotes + [(t, BIDS, worse) for t, _, _ in STILL if t > turn_s])
    taken = _run(changes, backtest=slow | {"reject_dead_quotes": False})
    price = (100_000 * 1.10003 + 150_000 * 1.10005 + 22_000 * 1.10012) / 272_000
    assert taken.fills["price"][0] == pytest.approx(price, abs=1e-8)
    assert taken.fills["mid_at_decision"][0] == pytest.approx(1.1)
    assert taken.fills["time_ns"][0] == START + round(filled_s * SECOND)
    assert taken.fills["mid_at_fill"][0] == pytest.approx(1.10001)  # of when it was filled, not of when we were told

    refused = _run(changes, backtest=slow)
    assert refused.figures["dead_quotes"] == 1
    assert refused.figures["rejected"] == {"NO_QUOTES": 1}
    assert refused.fills["price"][0] == pytest.approx(price, abs=1e-8)  # sent again, for the price that there is


def test_what_we_take_is_missing_and_comes_back_with_its_half_life() -> None:
    from bot.research.backtest.conditions import Conditions
    from bot.research.backtest.messages import collected
    from bot.research.backtest.replayed_venue import ReplayedVenue
    from bot.research.backtest.venue_books import VenueBooks
    from bot.research.streams import change_batches

    tables = VenueBooks(1)
    conditions = Conditions(leverage=500, commission_per_million=Decimal(0), resilience_half_life_s=10.0)
    venue = ReplayedVenue([source(books(STILL)).spec], tables, 7, conditions, START, {}, "c")
    tables.take(next(collected(change_batches(books(STILL[:1]), 0))), 0, 1)
    symbol_id = source(books(STILL)).spec.symbol_id
    shown = venue.books[symbol_id]
    venue.trade_by_hand(7, symbol_id, "buy", 18_000_000)  # 180,000: all of the first level, 80,000 of the second
    assert shown.levels(is_bid=False)[:2] == [(110_003, 7_000_000), (110_010, 200_000_000)]
    assert shown.levels(is_bid=True)[0] == (109_999, 20_000_000)  # the other side has not been touched
    venue.advance(START + 10 * SECOND)
    assert shown.levels(is_bid=False)[:2] == [(110_001, 5_000_000), (110_003, 11_000_000)]
    venue.trade_by_hand(7, symbol_id, "buy", 5_000_000)
    assert shown.levels(is_bid=False)[0] == (110_003, 11_000_000)
    # 50,000 of the first level were there and 50,000 still missing: nothing was dearer for it.
    assert venue.take_fill_note(symbol_id, venue.now_ns).own_impact_bps == 0.0
    venue.trade_by_hand(7, symbol_id, "buy", 5_000_000)
    # Without us the first level would have had all of it at 1.10001; now it is bought at 1.10003.
    assert venue.take_fill_note(symbol_id, venue.now_ns).own_impact_bps == pytest.approx(2e-5 / 1.1 * 1e4)
    venue.advance(START + 400 * SECOND)
    assert shown.levels(is_bid=False)[:2] == [(110_001, 10_000_000), (110_003, 15_000_000)]


def test_a_swap_of_a_symbol_that_is_not_traded_is_refused_by_its_name() -> None:
    given = config(backtest={"latency": "0", "swaps": {"EURUSDD": {"long_bps": -0.5}}})
    with pytest.raises(ConfigError, match=r"backtest\.swaps\.EURUSDD.* is no symbol of this config; it has: EURUSD"):
        conditions_of(given)


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    chance = np.random.default_rng(5)
    quotes, mid = [], 110_000
    for i in range(240):
        mid += int(chance.integers(-3, 4))
        quotes.append((i / 4, [(mid - 1, 90_000), (mid - 3, 900_000)], [(mid + 1, 80_000), (mid + 4, 900_000)]))
    given = config(
        backtest={"latency": "100ms:900ms"},
    )

    def run(seed: int) -> tuple[bytes, bytes, list[bytes]]:
        decided: list[bytes] = []
        trial = Trial("again", given, [source(books(quotes))], conditions_of(given, seed=seed))
        result = run_trial(trial, watch=lambda _, decision: decided.append(decision.encode()))
        return result.clocks.tobytes(), result.fills.tobytes(), decided

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert len(first[1]) > 0
    assert other[1] != first[1]


def test_a_decision_knows_nothing_of_its_own_moment_s_future() -> None:
    """What a decision sees came no later than itself, and nothing that came is kept from it."""
    seen: list[tuple[int, float]] = []

    def watch(_: object, decision: Decision) -> None:
        if len(decision.rows):
            seen.append((decision.now_ns, float(decision.rows["mid"][0])))

    quotes = [(i * 0.3, [(110_000 + i, 10**6)], [(110_002 + i, 10**6)]) for i in range(40)]
    given = config(backtest={"latency": "0", "clock_s": 1.0})
    run_trial(Trial("clock", given, [source(books(quotes))], conditions_of(given)), watch=watch)
    for now_ns, mid in seen:
        known = [i for i in range(40) if START + round(i * 0.3 * SECOND) <= now_ns]
        assert mid == pytest.approx((110_001 + known[-1]) / 1e5)
    assert len(seen) >= 10


def test_a_result_is_kept_whole_and_read_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    result = _run(books(STILL))
    path = tmp_path / "run.npz"
    result.save(path)
    read = Result.load(path)
    assert (read.clocks.tobytes(), read.fills.tobytes()) == (result.clocks.tobytes(), result.fills.tobytes())
    assert read.figures == result.figures
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"run\.npz is not a result of a backtest, or damaged"):
        Result.load(path)
