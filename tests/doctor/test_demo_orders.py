"""Orders of an examination: what they show, whom they spare, and that nothing of them is left whatever happens."""

from decimal import Decimal
from typing import Any

import pytest
from doctor_desk import ACCOUNT, START, TAG, StillMarket, Visit, venue

from bot.ctrader.enquiry import EnquiryFailed
from bot.ctrader.schema import message
from bot.doctor.demo_orders import CLEAN

LABEL = f"microlev-doctor-{TAG}"


def is_clean(visit: Visit) -> bool:
    """Whether the venue itself holds nothing of the examination."""
    held = [*visit.account.orders.values(), *visit.account.positions.values()]
    return not any(entity.label == LABEL for entity in held)


@pytest.mark.parametrize("account", [{}, {"account_type": "netted"}])
def test_the_embedded_venue_s_order_habits_are_measured_and_nothing_is_left(account: dict[str, Any]) -> None:
    visit = Visit(venue(account=account), orders=True).run()
    assert visit.check("demo_orders").result == visit.check(CLEAN).result == "ok"
    assert (visit.account.positions, visit.account.orders) == ({}, {})
    assert visit.seen("orders.resting.events").value == ["ORDER_ACCEPTED"]
    assert visit.seen("orders.amend.omitted_field").value == "kept"
    assert visit.seen("orders.cancel.events").value == ["ORDER_CANCELLED"]
    assert visit.seen("orders.market.events").value[:2] == ["ORDER_ACCEPTED", "ORDER_FILLED"]
    assert visit.seen("orders.message_id_on_fill").value is False
    assert visit.seen("orders.client_order_id_returned").value is True
    assert visit.seen("orders.increase_by_position_id").value is True
    assert visit.seen("orders.opposite_with_position_id").value == "reduces"
    assert visit.seen("orders.used_margin").value > 0
    assert not visit.examination.footprint.is_dirty
    sizes = {order.volume_cents for order in visit.account.order_history.values()}
    assert sizes == {100_000}, "never more than the smallest volume"


def kind(made: Any, is_live: bool | None) -> Any:
    real = made.account_entry

    def account_entry(account_id: int) -> Any:
        entry = real(account_id)
        entry.ClearField("isLive")
        if is_live is not None:
            entry.isLive = is_live
        return entry

    made.account_entry = account_entry
    return made


@pytest.mark.parametrize("is_live", [True, None])
def test_an_account_not_known_to_be_a_demo_is_refused_with_2_before_any_order(is_live: bool | None) -> None:
    visit = Visit(kind(venue(), is_live), orders=True).run()
    error = visit.enquiry.error
    assert isinstance(error, EnquiryFailed)
    assert (error.exit_code, "not demo" in error.text) == (2, True)
    assert visit.account.order_history == {}


def test_a_live_account_on_the_live_environment_is_refused_too() -> None:
    visit = Visit(kind(venue(), True), environment="live", orders=True).run()
    assert isinstance(visit.enquiry.error, EnquiryFailed)
    assert visit.enquiry.error.exit_code == 2
    assert visit.account.order_history == {}


def test_with_view_scope_no_order_is_tried() -> None:
    visit = Visit(venue(), token="view", orders=True).run()
    assert (visit.check("scope").result, visit.check("demo_orders").result) == ("fail", "unknown")
    assert visit.account.order_history == {}


def test_a_symbol_somebody_holds_is_left_alone_and_the_next_one_is_taken() -> None:
    made = venue(account={"account_type": "netted"})
    made.owner.trade(ACCOUNT, 1, "buy", 300_000)
    visit = Visit(made, orders=True).run()
    assert visit.check(CLEAN).result == "ok"
    ((position,),) = [list(visit.account.positions.values())]
    assert (position.symbol_id, position.volume_cents) == (1, 300_000)
    ours = [order for order in visit.account.order_history.values() if order.label == LABEL]
    assert {order.symbol_id for order in ours} == {2}
    alone = Visit(made, symbols=("EURUSD",), orders=True).run()
    assert alone.check("demo_orders").result == "unknown"


def test_somebody_else_s_trades_meanwhile_are_neither_counted_nor_touched() -> None:
    traded: list[int] = []

    def others(visit: Visit) -> None:
        ours = [o for o in visit.account.order_history.values() if o.label == LABEL]
        if len(ours) > len(traded) and len(traded) < 4:
            traded.append(1)
            visit.venue.owner.trade(ACCOUNT, 5, "buy", 100)

    visit = Visit(venue(), orders=True, between=others).run()
    assert traded
    assert visit.check("demo_orders").result == visit.check(CLEAN).result == "ok"
    assert sum(p.volume_cents for p in visit.account.positions.values() if p.symbol_id == 5) == 100 * len(traded)
    assert visit.seen("orders.market.events").value.count("ORDER_FILLED") == 1
    assert is_clean(visit)


@pytest.mark.parametrize("at_request", range(1, 17))
def test_interrupted_at_any_order_nothing_is_left(at_request: int) -> None:
    """The interrupt comes while the answer to the n-th trading request is still on its way."""
    made = venue()
    counts = {"trading": 0}
    visit = Visit(made, orders=True)
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real = link.receive

        def receive(data: bytes, now_ns: int) -> None:
            kinds = (b"\x08\xba\x10", b"\x08\xbc\x10", b"\x08\xbd\x10", b"\x08\xbe\x10", b"\x08\xbf\x10")
            trading = sum(data.count(kind) for kind in kinds)
            real(data, now_ns)
            counts["trading"] += trading
            if trading and counts["trading"] == at_request:
                visit.enquiry.stop(EnquiryFailed(130, "interrupted"), now_ns)

        link.receive = receive
        return link

    made.connect = connect
    visit.run()
    assert counts["trading"] >= at_request
    assert isinstance(visit.enquiry.error, EnquiryFailed)
    assert visit.enquiry.error.exit_code == 130
    assert visit.check(CLEAN).result == "ok"
    assert is_clean(visit)
    assert not visit.examination.footprint.is_dirty


def test_a_lost_link_is_said_loudly_with_the_label_to_look_for() -> None:
    def cut(visit: Visit) -> None:
        if any(p.label == LABEL for p in visit.account.positions.values()):
            visit.enquiry.connection_lost(visit.now_ns, "cut")

    visit = Visit(venue(), orders=True, between=cut).run()
    check = visit.check(CLEAN)
    assert check.result == "fail"
    assert LABEL in check.text
    assert "by hand" in check.text
    assert visit.examination.footprint.is_dirty
    assert visit.findings.exit_code != 0


def test_an_impatient_second_interrupt_still_says_what_may_be_open() -> None:
    stops: list[int] = []

    def stop_twice(visit: Visit) -> None:
        if len(stops) < 2 and any(p.label == LABEL for p in visit.account.positions.values()):
            stops.append(1)
            visit.enquiry.stop(EnquiryFailed(130, "interrupted"), visit.now_ns)

    visit = Visit(venue(), orders=True, between=stop_twice).run()
    assert visit.check(CLEAN).result == "fail"
    assert visit.examination.footprint.is_dirty
    assert isinstance(visit.enquiry.error, EnquiryFailed)


def test_an_order_the_venue_refuses_ends_the_trials_without_a_trace() -> None:
    poor = venue(account={"balance": Decimal("0.5")})
    visit = Visit(poor, orders=True).run()
    assert visit.check("demo_orders").result == "warn"
    assert "NOT_ENOUGH_MONEY" in visit.check("demo_orders").text
    assert visit.check(CLEAN).result == "ok"


def test_without_prices_nothing_is_tried() -> None:
    visit = Visit(venue(market=StillMarket(quoted=False)), orders=True).run()
    assert visit.check("demo_orders").result == "unknown"
    assert visit.account.order_history == {}


def test_an_order_without_an_answer_is_looked_for_longer_and_closed_when_it_comes() -> None:
    """The venue swallows the answer to the market order, which it executes."""
    made = venue()
    real_connect = made.connect

    def connect(now_ns: int) -> Any:
        link = real_connect(now_ns)
        real = link.send_frame

        def send_frame(data: bytes) -> None:
            held = [p for p in made.desks[ACCOUNT].account.positions.values() if p.label == LABEL]
            kind = message("ProtoMessage").FromString(data[4:]).payloadType
            recent = made.now_ns < START + 25 * 10**9
            if not (kind == 2126 and recent and (held or made.desks[ACCOUNT].account.order_history)):
                real(data)

        link.send_frame = send_frame
        return link

    made.connect = connect
    visit = Visit(made, orders=True).run()
    assert visit.check("demo_orders").result == "fail"
    assert "TIMEOUT" in visit.check("demo_orders").text
    assert visit.check(CLEAN).result == "ok"
    assert "6 times" in visit.check(CLEAN).text
    assert is_clean(visit)
