"""What the demo orders measure, against venues that answer either way."""

from decimal import Decimal
from typing import Any

import pytest
from doctor_desk import ACCOUNT, Visit, venue
from test_demo_orders import is_clean
from test_examination import reading

from bot.account.margin import MarginRules
from bot.ctrader.schema import enum
from bot.doctor.demo_orders import CLEAN
from bot.doctor.exposure import brim_of, readings
from bot.doctor.margin import side_margin
from bot.sim import checks
from bot.sim.entities import OrderRefused
from bot.sim.listing import default_symbols

EURUSD = default_symbols()[0]


def ordered(made: Any, *symbols: str) -> Visit:
    visit = Visit(made, symbols=symbols or ("EURUSD",), orders=True).run()
    assert visit.check("demo_orders").result == visit.check(CLEAN).result == "ok"
    assert is_clean(visit)
    assert (visit.account.positions, visit.account.orders) == ({}, {})
    return visit


# -- time in force -----------------------------------------------------------------------------------------------------


def test_orders_that_must_fill_at_once_end_at_once() -> None:
    visit = ordered(venue())
    for name in ("ioc", "fok"):
        measured = visit.seen(f"orders.{name}_limit")
        assert measured.value == "ends"
        assert "ORDER_ACCEPTED*, ORDER_CANCELLED" in measured.text


@pytest.mark.parametrize(("short", "resting"), [("ioc", "IMMEDIATE_OR_CANCEL"), ("fok", "FILL_OR_KILL")])
def test_an_order_that_rests_although_it_must_not_is_seen_and_cancelled(short: str, resting: str) -> None:
    made = venue()
    executor = made.desks[ACCOUNT].executor
    real = executor.execute

    def execute(order: Any, now_ns: int, emit: Any, *, rest: bool, server: bool = False) -> None:
        rests = order.order_type == "LIMIT" and order.time_in_force == resting
        real(order, now_ns, emit, rest=rest or rests, server=server)

    executor.execute = execute
    visit = ordered(made)
    assert visit.seen(f"orders.{short}_limit").value == "rests"
    other = {"ioc": "fok", "fok": "ioc"}[short]
    assert visit.seen(f"orders.{other}_limit").value == "ends"


def test_a_time_in_force_that_is_refused_is_named_by_its_code() -> None:
    made = venue()
    desk = made.desks[ACCOUNT]
    real = desk.place

    def place(_desk: Any, request: Any, now_ns: int, emit: Any) -> None:
        if request.timeInForce == enum("ProtoOATimeInForce")["FILL_OR_KILL"]:
            raise OrderRefused("INVALID_REQUEST", "FILL_OR_KILL is not supported")
        real(request, now_ns, emit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(desk), "place", place)
        visit = ordered(made)
    assert visit.seen("orders.fok_limit").value == "refused: INVALID_REQUEST"
    assert visit.seen("orders.ioc_limit").value == "ends"


# -- protection --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [("EURUSD",), ("EURUSD", "USDJPY"), ("USDJPY",)])
def test_a_venue_that_refuses_a_relative_stop_finer_than_the_tick(symbols: tuple[str, ...]) -> None:
    """Without a configured symbol of fewer than five digits, a listed pair of yen is taken."""
    visit = ordered(venue(), *symbols)
    measured = visit.seen("orders.relative_stop_precision")
    assert measured.value == "refused: INVALID_REQUEST"
    assert "USDJPY (3 digits)" in measured.text
    subscribed = visit.talks[0].link.subscriptions.spots
    assert bool(subscribed.get(2)) == ("USDJPY" in symbols), "a listed symbol's prices are ended again"


def test_a_venue_that_accepts_it_is_asked_where_the_stop_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def relative_of(request: Any, field: str, spec: Any) -> int | None:
        return getattr(request, field) if request.HasField(field) else None

    monkeypatch.setattr(checks, "relative_of", relative_of)
    measured = ordered(venue()).seen("orders.relative_stop_precision")
    assert measured.value == "accepted"
    assert "it stands at" in measured.text


def test_a_venue_that_takes_no_relative_stop_at_all_tells_nothing_of_its_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def relative_of(request: Any, field: str, spec: Any) -> int | None:
        if request.HasField(field):
            raise OrderRefused("TRADING_BAD_STOPS", "no stops here")
        return None

    monkeypatch.setattr(checks, "relative_of", relative_of)
    measured = ordered(venue()).seen("orders.relative_stop_precision")
    assert (measured.value, "any distance" in measured.text) == (None, True)


def test_without_a_symbol_of_few_digits_the_precision_stays_unknown() -> None:
    made = venue()
    for symbol_id in (2, 3):
        made.owner.trade(ACCOUNT, symbol_id, "buy", 100_000)  # somebody else's: not to be touched
    visit = Visit(made, symbols=("EURUSD",), orders=True).run()
    assert visit.seen("orders.relative_stop_precision").value is None
    assert {p.symbol_id for p in visit.account.positions.values()} == {2, 3}
    assert is_clean(visit)


def test_a_leg_left_out_of_a_position_s_amendment_is_removed_or_kept() -> None:
    assert ordered(venue()).seen("orders.amend_position.omitted_leg").value == "removed"
    made = venue()
    executor = made.desks[ACCOUNT].executor
    real = executor.protect

    def protect(position: Any, stop: Any, profit: Any, *, trailing: bool) -> None:
        real(position, stop or position.stop_loss, profit or position.take_profit, trailing=trailing)

    executor.protect = protect
    assert ordered(made).seen("orders.amend_position.omitted_leg").value == "kept"


# -- margin with something open ----------------------------------------------------------------------------------------


def test_expected_margin_on_top_of_what_is_open_or_as_if_nothing_were() -> None:
    visit = ordered(venue())
    assert visit.seen("margin.expected_on_top").value is True
    assert visit.seen("margin.expected_opposite").value == "same"
    made = venue()
    account = made.desks[ACCOUNT].account

    def alone(symbol_id: int, *, is_buy: bool, volume_cents: int) -> int:
        return account._slice_margin(symbol_id, Decimal(0), volume_cents, *account.opening_rates(symbol_id))

    account.expected_margin = alone
    assert ordered(made).seen("margin.expected_on_top").value is False


def test_expected_margin_that_joins_the_sides_is_seen() -> None:
    made = venue()
    account = made.desks[ACCOUNT].account

    def joined(reply: Any) -> None:
        if account.positions:
            for margin in reply.margin:
                margin.sellMargin = 0

    visit = ordered(reading(made, "ProtoOAExpectedMarginRes", joined))
    assert visit.seen("margin.expected_opposite").value == "less"


def test_where_the_account_s_leverage_is_the_smaller_everywhere_nothing_can_be_seen_on_top() -> None:
    measured = ordered(venue(account={"leverage": 20})).seen("margin.expected_on_top")
    assert (measured.value, "cannot be seen" in measured.text) == (None, True)


@pytest.mark.parametrize(("share", "fits"), [(1, ["SUM"]), (Decimal("0.5"), ["MAX"]), (0, ["NET"])])
@pytest.mark.parametrize("calculation", ["MAX", "SUM", "NET"])
def test_used_margin_of_both_sides_fits_one_reading_whatever_the_account_says(
    share: Any, fits: list[str], calculation: str
) -> None:
    """The venue shows each position's own margin; `share` of it is what a venue shows that joins the sides."""
    made = venue(account={"margin_calculation": calculation})

    def joined(reply: Any) -> None:
        sides = {position.tradeData.tradeSide for position in reply.position}
        if len(sides) == 2:
            for position in reply.position:
                position.usedMargin = int(position.usedMargin * share)

    measured = ordered(reading(made, "ProtoOAReconcileRes", joined)).seen("margin.both_sides")
    assert (measured.value["fits"], measured.value["account"]) == (fits, calculation)


def test_a_netted_account_has_no_other_side() -> None:
    measured = ordered(venue(account={"account_type": "netted"})).seen("margin.both_sides")
    assert (measured.value, "NETTED" in measured.text) == (None, True)


def test_the_readings_of_two_sides_by_hand() -> None:
    assert readings(3.0, 2.0) == {"MAX": 3.0, "SUM": 5.0, "NET": 1.0}


def test_the_brim_is_the_first_bracket_and_half_of_it_and_the_spill_is_what_the_tiers_make_of_it() -> None:
    tiers = ((1_000_000.0, 500.0), (5_000_000.0, 200.0))
    brim = brim_of(EURUSD, tiers, 500.0, (1.0, 1.0))
    assert brim is not None
    assert (brim.whole_cents, brim.half_cents) == (100_000_000, 50_000_000)
    # By hand: 1,000 USD lie in the second bracket: 1000/200 - 1000/500 = 3 USD more, of the half's 1,000 USD.
    assert brim.spill_frac == pytest.approx(3 / 1000)
    rules = MarginRules(500.0, "MAX")
    assert side_margin(rules, tiers, 500_000, (1.0, 1.0)) == pytest.approx(1000)
    assert brim_of(EURUSD, tiers, 200.0, (1.0, 1.0)) is None
    assert brim_of(EURUSD, tiers[:1], 500.0, (1.0, 1.0)) is None
    assert brim_of(EURUSD, tiers, 500.0, (float("nan"), 1.0)) is None
