"""Synthetic markets: deterministic, never crossed, consistent, and with liquidity that varies."""

import itertools
import statistics

import pytest
from venue_client import BTCUSD, EURJPY, EURUSD, SECOND, START_NS, USDJPY, Desk, kinds

from bot.sim.book import VenueBook
from bot.sim.change import Change
from bot.sim.ladder import LEVELS
from bot.sim.listing import default_symbols, extra_symbols
from bot.sim.market import open_market
from bot.sim.scenario import SCENARIOS

SECONDS = 60


def _changes(scenario: str = "calm", seed: int = 1, speed: float = 1.0, seconds: int = SECONDS) -> list[Change]:
    market = open_market(f"synthetic:{scenario}", seed=seed, start_ns=START_NS, speed=speed)
    return market.advance(START_NS + seconds * SECOND)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS.keys() - {"flash-crash"}))
def test_every_symbol_has_a_whole_uncrossed_book_from_the_start_and_after_every_change(scenario: str) -> None:
    books: dict[int, VenueBook] = {}
    for change in _changes(scenario):
        assert change.symbol_id in books or change.time_ns == START_NS
        book = books.setdefault(change.symbol_id, VenueBook())
        assert set(change.deleted) <= set(book.quotes), "only quotes that stand can be deleted"
        book.apply(change)
        bids, asks = book.levels(is_bid=True), book.levels(is_bid=False)
        assert len(bids) == len(asks) == LEVELS
        assert bids[0][0] < asks[0][0]
        assert (bids[0][0], asks[0][0]) == (book.bid_e5, book.ask_e5)
    assert set(books) == {1, 2, 3, 4, 5, 6}


def test_a_seed_gives_one_market_and_another_seed_another() -> None:
    assert _changes(seed=5, seconds=10) == _changes(seed=5, seconds=10)
    assert _changes(seed=5, seconds=10) != _changes(seed=6, seconds=10)


def test_changes_come_in_time_order_however_the_clock_is_cut() -> None:
    whole = _changes(seconds=10)
    market = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0)
    cut = [market.advance(START_NS + step * SECOND // 7) for step in range(71)]
    assert list(itertools.chain.from_iterable(cut)) == whole
    assert [change.time_ns for change in whole] == sorted(change.time_ns for change in whole)
    assert market.next_change_ns() is not None


def test_speed_makes_the_same_market_denser() -> None:
    slow, fast = _changes(seconds=20), _changes(seconds=10, speed=2.0)
    assert [(c.symbol_id, c.new, c.deleted) for c in fast] == [(c.symbol_id, c.new, c.deleted) for c in slow]


def test_calm_fx_has_five_to_ten_depth_events_a_second() -> None:
    counts = [sum(c.symbol_id == symbol_id for c in _changes()) / SECONDS for symbol_id in (1, 2, 3, 4)]
    assert all(5 <= count <= 10 for count in counts), counts


def test_thin_has_a_wider_spread_a_fifth_of_the_depth_and_fewer_events() -> None:
    calm, thin = (_summary(_changes(scenario)) for scenario in ("calm", "thin"))
    assert thin[0] > 2 * calm[0]
    assert calm[1] / 10 < thin[1] < calm[1] / 2.5
    assert thin[2] < calm[2] / 2


def _summary(changes: list[Change]) -> tuple[float, float, int]:
    book, spreads, depths = VenueBook(), [], []
    for change in changes:
        if change.symbol_id == EURUSD:
            book.apply(change)
            spreads.append((book.ask_e5 or 0) - (book.bid_e5 or 0))
            depths.append(sum(size for _, size in book.levels(is_bid=True)))
    return statistics.mean(spreads), statistics.mean(depths), len(spreads)


def test_the_triangle_of_euro_dollar_and_yen_holds() -> None:
    books = {symbol_id: VenueBook() for symbol_id in range(1, 7)}
    for change in _changes():
        books[change.symbol_id].apply(change)
    euro, yen, cross = (float(books[symbol_id].mid or 0) for symbol_id in (EURUSD, USDJPY, EURJPY))
    assert cross == pytest.approx(euro * yen, rel=3e-4)


def test_liquidity_varies_and_levels_are_made_of_one_to_three_quotes() -> None:
    book, depths = VenueBook(), []
    for change in _changes():
        if change.symbol_id == BTCUSD:
            book.apply(change)
            depths.append(sum(size for _, size in book.levels(is_bid=True)))
            per_level = [
                sum(q.price_e5 == price for q in book.quotes.values()) for price, _ in book.levels(is_bid=True)
            ]
            assert set(per_level) <= {1, 2, 3}
    assert statistics.stdev(depths) > 0.1 * statistics.mean(depths)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("synthetic:stormy", "calm, thin, trending, flash-crash, rollover"),
        ("journal-dir", "a journal cannot be a market yet"),
        ("missing.parquet", "no such recording"),
    ],
)
def test_an_unknown_source_is_one_line_that_says_what_exists(source: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        open_market(source, seed=1, start_ns=START_NS, speed=1.0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_a_speed_that_is_not_a_positive_number_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        open_market("synthetic", seed=1, start_ns=START_NS, speed=speed)


def test_symbols_on_request_join_the_default_ones_and_leave_them_as_they_were() -> None:
    plain = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0)
    assert plain.specs == default_symbols()
    some = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0, symbols=("JP225", "EURUSD", "US500"))
    assert [spec.name for spec in some.specs[6:]] == ["US500", "JP225"]
    changes = some.advance(START_NS + 20 * SECOND)
    usual = {spec.symbol_id for spec in default_symbols()}
    assert [c for c in changes if c.symbol_id in usual] == plain.advance(START_NS + 20 * SECOND)
    assert {c.symbol_id for c in changes} - usual == {8, 9}


def test_an_unknown_symbol_is_one_line_that_says_what_exists() -> None:
    with pytest.raises(ValueError, match=r"unknown symbol 'GER40'; the venue has: .*BTCUSD, US500, .*ETHUSD$"):
        open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0, symbols=["US500", "GER40"])


def test_every_symbol_on_request_can_be_traded_and_its_profit_be_converted() -> None:
    extra = extra_symbols()
    market = open_market("synthetic", seed=1, start_ns=START_NS, speed=1.0, symbols=[spec.name for spec in extra])
    desk = Desk(quoted=False, specs=market.specs, deposit_currency="EUR")
    desk.market.queue = market.advance(START_NS + SECOND)
    desk.wait(2)
    client = desk.client()
    for spec in extra:
        assert kinds(client.order("MARKET", "BUY", spec.min_volume_cents, spec.symbol_id)) == [
            "ORDER_ACCEPTED", "ORDER_FILLED"]  # fmt: skip
        mid = desk.venue.books[spec.symbol_id].mid
        rate = desk.venue.rates.rate(spec.quote_asset, "EUR")
        assert mid is not None and rate is not None
        notional = spec.min_volume_cents / 100 * float(mid * rate)
        assert 5 < notional < 2_000, f"the minimum of {spec.name} fits a small account"
    held = desk.account.positions.values()
    assert {position.symbol_id for position in held} == {spec.symbol_id for spec in extra}
    assert 0 < desk.account.used_margin() < 100_000, "each has a tier of leverage"
