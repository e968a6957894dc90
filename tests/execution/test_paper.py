"""Paper fills against a walk unit by unit; never more than the book holds, never past the range."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.account.position import Position
from bot.execution.paper import PaperReport, PaperVenue
from bot.execution.requests import ClosePosition, PlaceOrder
from bot.market.book import BookArrays, apply_row, empty_books
from bot.market.delta import DEPTH_ASK, DEPTH_BID
from bot.market.symbols import SymbolSpec

SPEC = SymbolSpec(11, "EURUSD", "EUR", "USD", 5, 4, 10_000_000, 1000, 1000, 10**12)
B0 = {
    DEPTH_BID: [(110_000, 1_000_000), (109_999, 2_000_000), (109_997, 3_000_000)],
    DEPTH_ASK: [(110_002, 500_000), (110_003, 1_500_000), (110_006, 4_000_000)],
}


def books(levels: dict[int, list[tuple[int, int]]]) -> BookArrays:
    """Return books of one symbol with (price_e5, units) levels."""
    found, quote_id = empty_books(1), 0
    for kind, side in levels.items():
        for price, units in side:
            quote_id += 1
            assert (
                apply_row(found.quotes, found.levels, found.heads, 0, kind, np.uint64(quote_id), price, 100 * units, 1)
                == 0
            )
    return found


def venue(*held: Position, rate: float = 1.0) -> PaperVenue:
    return PaperVenue({p.position_id: p for p in held}.get, lambda symbol_index: rate)


def order(units: int, *, base: float | None = None, points: int | None = None, **more: object) -> PlaceOrder:
    kind = "market" if base is None else "market_range"
    return PlaceOrder("id-1", 11, 100 * units, kind, "microlev", base_price=base, slippage_points=points, **more)  # type: ignore[arg-type]


def execute(at: PaperVenue, request: PlaceOrder | ClosePosition, levels: dict = B0) -> list[PaperReport]:
    return at.execute(request, SPEC, books(levels), 0, 5)


def kinds(reports: list[PaperReport]) -> list[str]:
    return [report.kind for report in reports]


@pytest.mark.parametrize(("units", "price"), [(2_500_000, 1.10003), (-2_500_000, 1.09999)])
def test_a_market_order_fills_at_the_walk_of_the_reference_book(units: int, price: float) -> None:
    reports = execute(venue(), order(units))
    assert kinds(reports) == ["accepted", "filled"]
    assert reports[0].deal is None
    deal = reports[1].deal
    assert deal is not None
    assert (deal.volume_cents, deal.price, deal.closed_volume_cents, deal.gross_profit) == (100 * units, price, 0, None)
    assert deal.paper
    assert deal.position_id == reports[1].order.position_id
    assert reports[1].order.executed_cents == abs(100 * units)
    assert reports[1].order.label == "microlev"


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 40)), max_size=5),
    st.integers(1, 150).map(lambda n: 10 * n),
    st.sampled_from([1, -1]),
    st.one_of(st.none(), st.integers(1, 30)),
)
def test_fills_equal_a_walk_unit_by_unit(
    gaps: list[tuple[int, int]], units: int, side: int, points: int | None
) -> None:
    ticks = np.cumsum([gap for gap, _ in gaps]).tolist()
    levels = [(110_000 + side * tick, 5 * size) for tick, (_, size) in zip(ticks, gaps, strict=True)]
    reports = execute(
        venue(),
        order(side * units, base=None if points is None else 1.1, points=points),
        {DEPTH_ASK if side > 0 else DEPTH_BID: levels},
    )
    each = [p for p, q in levels for _ in range(q) if points is None or side * (p - 110_000) <= points][:units]
    if len(each) < units:
        each = each[: len(each) // 10 * 10]  # a step is ten units
    deals = [report.deal for report in reports if report.deal is not None]
    if not each:
        assert deals == []
        assert kinds(reports) == ["accepted", "cancelled"]
        return
    (deal,) = deals
    assert deal.volume_cents == 100 * side * len(each)
    assert abs(Fraction(deal.price) - Fraction(sum(each), len(each)) / 100_000) <= Fraction(5, 10**6) + Fraction(
        1, 10**12
    )
    full = ["accepted", "filled"]
    assert kinds(reports) == (full if len(each) == units else ["accepted", "partially_filled", "cancelled"])
    assert reports[-1].order.executed_cents == 100 * len(each)


def test_a_range_keeps_out_what_is_past_it_whatever_the_digits_of_the_symbol() -> None:
    fine = SymbolSpec(11, "X", "X", "USD", 6, 4, 10_000_000, 1000, 1000, 10**12)
    for side, level in [(1, 100_001), (-1, 99_999)]:
        kind = DEPTH_ASK if side > 0 else DEPTH_BID
        for points, filled in [(9, 0), (10, 1000)]:
            request = PlaceOrder("id-1", 11, side * 1000, "market_range", "", base_price=1.0, slippage_points=points)
            reports = venue().execute(request, fine, books({kind: [(level, 100)]}), 0, 5)
            assert reports[-1].order.executed_cents == filled, (side, points)


@pytest.mark.parametrize(("side", "price", "entry"), [(1, 1.1, 1.05), (-1, 1.10002, 1.2)])
def test_a_close_realises_its_profit_in_deposit_currency(side: int, price: float, entry: float) -> None:
    held = Position(7, 11, side * 10_000_00, entry, "somebody")
    reports = execute(venue(held, rate=0.5), ClosePosition("id-1", 11, 7, 4_000_00))
    deal = reports[-1].deal
    assert deal is not None
    assert (deal.position_id, deal.volume_cents, deal.closed_volume_cents) == (7, -side * 4_000_00, 4_000_00)
    assert deal.price == price
    expected = side * (Decimal(repr(price)) - Decimal(repr(entry))) * 4000 / 2
    assert deal.gross_profit == expected.quantize(Decimal("0.01"))
    assert reports[-1].order.closing
    assert reports[-1].order.label == "somebody"


def test_a_close_without_a_rate_books_no_profit() -> None:
    held = Position(7, 11, 10_000_00, 1.05)
    deal = execute(venue(held, rate=float("nan")), ClosePosition("id-1", 11, 7, 4_000_00))[-1].deal
    assert deal is not None
    assert deal.gross_profit == 0


def test_an_increase_in_place_goes_to_the_position_it_names() -> None:
    held = Position(7, 11, 10_000_00, 1.05)
    deal = execute(venue(held), order(1000, position_id=7))[-1].deal
    assert deal is not None
    assert (deal.position_id, deal.volume_cents, deal.closed_volume_cents) == (7, 100_000, 0)


@pytest.mark.parametrize("request_", [ClosePosition("id-1", 11, 8, 1000), ClosePosition("id-1", 11, 7, 2000)])
def test_more_than_is_held_cannot_be_closed(request_: ClosePosition) -> None:
    (report,) = execute(venue(Position(7, 11, 1000, 1.05)), request_)
    assert (report.kind, report.error_code, report.deal) == ("rejected", "POSITION_NOT_FOUND", None)


def test_ids_are_never_used_twice_and_lie_above_the_venues() -> None:
    at, seen = venue(), []
    for _ in range(3):
        deal = execute(at, order(1000))[-1].deal
        assert deal is not None
        seen += [deal.deal_id, deal.order_id, deal.position_id]
    assert len(set(seen)) == 9
    assert min(seen) > 1 << 62
