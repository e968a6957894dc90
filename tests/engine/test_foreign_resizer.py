"""Other people's resting orders, at the desk: cut, given back, taken back, placed anew, and never more than allowed."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_desk import QUICK, SECOND, position
from hypothesis import given, settings
from hypothesis import strategies as st
from quote_desk import FAST, QuoteDesk

import strategies
from bot.engine import events as ev
from bot.engine.decision import Decision
from bot.engine.foreign_order import TERMS
from bot.engine.settings import SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.execution.plan import OrderStyle
from bot.execution.requests import AmendOrder, AskExpectedMargin, CancelOrder, ClosePosition, PlaceOrder, TradeRequest
from bot.sizing.leverage import LeverageLimits

SMALL = replace(FAST, max_symbol_leverage=2.0)
MARKET = OrderStyle("market_range", 2.0, "microlev")


def managing_desk(direction: str = "follow", *, netted: bool = False, **changes: Any) -> QuoteDesk:
    """Return a desk with `manage: all` and 2x EURUSD of 10 000 USD, which is 18 181 EUR; nothing is held yet."""
    wanted: dict[str, Any] = {
        "strategy": strategies.load("constant", {}),
        "symbols": (SymbolChoice("EURUSD", direction, 1.0),),
        "style": MARKET,
        "manage_all": True,
    }
    desk = QuoteDesk(**(wanted | changes))
    if netted:
        desk.account = replace(desk.account, account_type="NETTED")
    return desk


def begun(desk: QuoteDesk, *positions: Any) -> QuoteDesk:
    desk.settled(desk.begin(*positions))
    return desk


def paid(desk: QuoteDesk, balance: str, version: int) -> Decision:
    """Let the owner pay in or out until the balance is this."""
    return desk.pay(str(Decimal(balance) - (desk.engine.portfolio.balance or 0)), version)


def volumes(desk: QuoteDesk) -> list[int]:
    return [order.volume_cents for order in desk.book.values()]


def calm(desk: QuoteDesk, seconds: int = 6) -> QuoteDesk:
    for _ in range(seconds):
        desk.settled(desk.later(1))
    return desk


# -- how much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("order_type", ["limit", "stop", "stop_limit"])
def test_an_order_is_cut_at_once_and_everything_else_of_it_is_sent_again(order_type: str, side: int) -> None:
    desk = begun(managing_desk())
    given_terms: dict[str, Any] = {
        "expires_ns": desk.now_ns + 10**15, "stop_loss": 1.01, "take_profit": 1.3, "relative_stop_loss_e5": 70,
        "relative_take_profit_e5": 80, "slippage_points": 7, "trailing": True, "guaranteed": True,
        "trigger_method": "opposite",
    }  # fmt: skip
    order = desk.owner_rests(side * 9_000_000, order_type, **given_terms)
    (request,) = desk.hear().requests
    assert isinstance(request, AmendOrder)
    assert (request.order_id, request.volume_cents, request.reduces_risk) == (order.order_id, 1_700_000, True)
    assert {name: getattr(request, name) for name in TERMS} == {name: getattr(order, name) for name in TERMS}
    (line,) = desk.decisions[-1].intended
    assert (line.action, line.side, line.volume_cents) == ("amend", "buy" if side > 0 else "sell", 1_700_000)
    assert (line.order_type, line.order_id) == ("stop" if "stop" in order_type else "limit", order.order_id)
    assert line.client_order_id == request.client_order_id
    assert f"lots cut: leverage allows {side * 2:+.2f}x, held +0.00x" in line.reason


def test_it_is_given_back_more_but_never_beyond_its_owners_volume() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(3_000_000)
    calm(desk)
    assert volumes(desk) == [1_700_000]
    paid(desk, "15000", 2)
    assert volumes(calm(desk)) == [2_500_000]
    paid(desk, "90000", 3)
    assert volumes(calm(desk)) == [3_000_000]
    paid(desk, "400000", 4)
    assert volumes(calm(desk)) == [3_000_000]


def test_what_is_given_back_waits_for_the_patience_of_growth() -> None:
    desk = begun(managing_desk(pace=replace(QUICK, persistence_s=20)))
    desk.owner_rests(3_000_000)
    calm(desk)
    paid(desk, "90000", 2)
    assert volumes(calm(desk, 15)) == [1_700_000]
    assert volumes(calm(desk, 10)) == [3_000_000]


def test_a_little_less_room_asks_for_no_second_cut() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(9_000_000)
    calm(desk)
    paid(desk, "9700", 2)
    calm(desk)
    assert len(desk.lines("intended")) == 1 and volumes(desk) == [1_700_000]
    paid(desk, "9000", 3)
    assert volumes(calm(desk)) == [1_500_000]


def test_orders_of_a_side_share_the_room_by_their_volumes() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(9_000_000)
    desk.owner_rests(3_000_000)
    desk.owner_rests(-1_000_000, limit_price=1.2)
    calm(desk)
    first, second, other = volumes(desk)
    assert first == pytest.approx(3 * second, abs=200_000) and first + second <= 1_818_100
    assert other == -1_000_000, "the other side has room of its own"


def test_what_is_held_and_what_is_wanted_at_the_market_come_first() -> None:
    desk = managing_desk("long", pace=replace(QUICK, max_increase_frac_per_min=0.01))
    begun(desk, position(900_000))
    desk.owner_rests(4_000_000)
    calm(desk)
    held = desk.engine.portfolio.own_cents(1)
    assert held + sum(volumes(desk)) <= 1_818_181
    assert sum(volumes(desk)) == pytest.approx(0.95 * 900_000, abs=200_000)


def test_on_the_side_that_is_not_wanted_only_what_reduces_may_rest() -> None:
    desk = begun(managing_desk("long", pace=replace(QUICK, max_increase_frac_per_min=0.001)), position(900_000))
    tied = desk.owner_rests(-900_000, limit_price=1.2, position_id=5, closing=True)
    loose = desk.owner_rests(-500_000, limit_price=1.21)
    calm(desk)
    assert set(desk.book) == {tied.order_id, loose.order_id}, "they reduce: left alone"
    desk.owner_rests(-800_000, limit_price=1.22)
    calm(desk)
    opening = [o.volume_cents for o in desk.book.values() if not o.closing]
    assert sum(opening) >= -900_000, "together they may close what is held, and not more"


def test_on_a_netted_account_an_order_that_would_turn_the_position_is_cut_to_it() -> None:
    slow = replace(QUICK, max_increase_frac_per_min=0.001)
    desk = begun(managing_desk("long", netted=True, pace=slow), position(900_000))
    desk.owner_rests(-2_000_000, limit_price=1.2, position_id=5, closing=True)
    calm(desk)
    assert volumes(desk) == [-800_000]


def test_a_follower_that_holds_something_opens_nothing_on_the_other_side() -> None:
    desk = begun(managing_desk("follow"), position(1_800_000))
    desk.owner_rests(-4_000_000, limit_price=1.2)
    calm(desk)
    assert volumes(desk) == [-1_700_000]


def test_the_gates_limits_cut_where_the_leverage_would_not() -> None:
    tight = replace(FAST, max_margin_use_frac=0.01)
    desk = begun(managing_desk(risk_limits=tight, leverage=100))
    desk.owner_rests(9_000_000)
    calm(desk)
    # 1 % of 10 000 USD carries 10 000 USD at 1:100, which are 9 090 EUR.
    assert volumes(desk) == [800_000]
    assert "margin_use would be" in desk.lines("intended")[0].reason


def test_other_peoples_orders_count_before_ours_may_grow() -> None:
    desk = managing_desk("long", risk_limits=SMALL)
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded())
    order = OrderSnapshot(77, 1, 1_000_000, 0, "limit", "accepted", position_id=78, limit_price=1.09)
    desk.book[77] = order
    desk.hear(ev.Reconciled(desk.now_ns, (), (order,)))
    desk.quote()
    decision = desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    kinds = {type(r): r for r in decision.requests}
    assert set(kinds) == {CancelOrder, PlaceOrder}, "all of the leverage is wanted at the market"
    assert kinds[PlaceOrder].volume_cents <= 1_818_100 - 1_000_000, "and it has to wait for the order to be gone"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_crisis_cuts_and_nothing_is_given_back_in_one(level: int) -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(1_500_000)
    calm(desk)
    desk.engine._evaluator.table["crisis_level"][:] = level  # type: ignore[union-attr]
    moment = desk.engine._resizer
    assert moment is not None
    row_level = {1: 0.5, 2: 0.25, 3: 0.0}[level]
    found = desk.engine._bookkeeping.foreign.of_symbol(0)[0]  # type: ignore[union-attr]
    assert found.wish.order_id == order.order_id
    prices = desk.engine._board.now(desk.now_ns)
    done = _resized(desk, prices)
    if level == 3:
        assert isinstance(done.requests[0], CancelOrder)
    else:
        assert done.requests[0].volume_cents <= row_level * 1_818_181


def _resized(desk: QuoteDesk, prices: Any) -> Any:
    """Let the resizer look at the table as it stands, without the evaluator writing it anew."""
    from bot.engine.actions import Actions

    engine, done = desk.engine, Actions()
    factors, targets = engine._find_targets(prices, engine._valuation.leverage, desk.now_ns, closing=False)
    engine._resizer._looked_ns = None
    engine._tend_resting(prices, engine._valuation.leverage, factors, targets, done)
    return done


# -- when not ---------------------------------------------------------------------------------------------------------


def test_while_prices_are_stale_an_order_stays_as_it_is() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(1_500_000)
    calm(desk)
    paid(desk, "50000", 2)
    desk.wait(8)
    assert volumes(desk) == [1_500_000] and desk.lines("intended") == []


def test_a_symbol_that_a_person_has_taken_over_keeps_its_orders() -> None:
    desk = begun(managing_desk())
    desk.engine._bookkeeping.hands_off.add(1)
    desk.owner_rests(9_000_000)
    assert volumes(calm(desk)) == [9_000_000]
    desk.settled(desk.hear(ev.CommandGiven(desk.now_ns, "flatten")))
    assert volumes(calm(desk)) == [], "it would open again what is being closed"


def test_a_run_that_ends_leaves_them_and_one_that_closes_everything_takes_back_what_grows() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(1_500_000)
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert volumes(calm(desk)) == [1_500_000] and desk.engine.is_settled
    desk = begun(managing_desk(flatten_on_stop=True))
    desk.owner_rests(1_500_000)
    desk.settled(desk.hear(ev.CommandGiven(desk.now_ns, "stop")))
    assert volumes(calm(desk)) == []


@pytest.mark.parametrize(
    ("label", "own_id", "order_type"),
    [("microlev", "r0-4", "stop"), ("", None, "stop_loss_take_profit"), ("", None, "market")],
)
def test_what_is_ours_or_does_not_rest_is_not_followed(label: str, own_id: str | None, order_type: str) -> None:
    desk = begun(managing_desk())
    desk.owner_rests(9_000_000, order_type, label=label, client_order_id=own_id)
    assert volumes(calm(desk)) == [9_000_000]
    assert not desk.engine._bookkeeping.foreign


def test_with_manage_own_nobody_follows_them() -> None:
    desk = begun(managing_desk(manage_all=False))
    desk.owner_rests(9_000_000)
    assert volumes(calm(desk)) == [9_000_000]


# -- what the venue says ----------------------------------------------------------------------------------------------


def test_what_an_owner_changes_is_his_new_wish_and_a_change_of_ours_is_not() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    calm(desk)
    desk.owner_changes(order.order_id, volume_cents=1_000_000, limit_price=1.06)
    paid(desk, "90000", 2)
    calm(desk)
    found = desk.book[order.order_id]
    assert (found.volume_cents, found.limit_price) == (1_000_000, 1.06)
    desk.owner_changes(order.order_id, volume_cents=8_000_000)
    assert volumes(calm(desk)) == [8_000_000]


def test_a_price_that_our_amend_has_overtaken_is_put_back_by_the_next() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    decision = desk.hear()
    desk.owner_changes(order.order_id, limit_price=1.06)  # at the venue before ours, which has the old price
    desk.settle(decision)
    assert desk.book[order.order_id].limit_price == 1.05
    calm(desk)
    assert (desk.book[order.order_id].limit_price, *volumes(desk)) == (1.06, 1_700_000)


def test_a_part_that_has_filled_counts_as_held_and_no_more_as_resting() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000, limit_price=1.1)
    calm(desk)
    desk.settled(desk.hear(*desk.fills(1, 7 / 17)))
    calm(desk)
    found = desk.book.get(order.order_id)
    held = desk.engine.portfolio.own_cents(1)
    left = 0 if found is None else found.volume_cents - found.executed_cents
    assert held + left <= 1_818_181 + 100_000 and held >= 700_000


@pytest.mark.parametrize("code", ["UNABLE_TO_AMEND_ORDER", "TRADING_BAD_VOLUME"])
def test_one_that_may_not_be_amended_is_cancelled_and_placed_anew_when_that_is_certain(code: str) -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000, stop_loss=1.0, comment="mine")
    (amend,) = desk.hear().requests
    decision = desk.hear(desk.refuses(amend, code))
    if code == "UNABLE_TO_AMEND_ORDER":  # what it is now has to be looked up
        assert not [r for r in decision.requests if isinstance(r, TradeRequest)]
        desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (order,), (), complete=True))
        decision = desk.later(1)
    (cancel,) = decision.requests
    assert isinstance(cancel, CancelOrder)
    assert "taken back to be placed anew as 0.17 lots, the venue did not let it be cut" in decision.intended[0].reason
    (place,) = desk.settle(decision).requests
    assert isinstance(place, PlaceOrder)
    assert (place.volume_cents, place.limit_price, place.stop_loss) == (1_700_000, 1.05, 1.0)
    assert (place.label, place.comment) == ("microlev", "mine")
    assert place.client_order_id.endswith(f"-for-{order.order_id}")
    desk.settle(desk.decisions[-1])
    calm(desk)
    assert volumes(desk) == [1_700_000]
    assert desk.states(place.client_order_id) == ["sent", "accepted"]
    paid(desk, "90000", 2)
    assert volumes(calm(desk)) == [9_000_000], "it is given back like any other"
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert volumes(calm(desk)) == [9_000_000], "and is its owner's: a stop leaves it"


def test_one_that_is_to_be_placed_anew_waits_for_the_order_rate() -> None:
    desk = begun(managing_desk(risk_limits=replace(FAST, max_orders_per_minute=2)))
    desk.owner_rests(9_000_000)
    (amend,) = desk.hear().requests
    (cancel,) = desk.hear(desk.refuses(amend, "TRADING_BAD_VOLUME")).requests
    assert not desk.hear(*desk.answer(cancel)).requests, "the minute's two orders are used"
    calm(desk, 50)
    assert volumes(desk) == []
    calm(desk, 12)
    assert volumes(desk) == [1_700_000]


def test_one_that_is_to_be_placed_anew_waits_for_an_order_of_unknown_outcome() -> None:
    desk = begun(managing_desk())
    order, other = desk.owner_rests(9_000_000), desk.owner_rests(100_000, limit_price=1.04)
    first = desk.hear().requests
    refusals = [desk.refuses(r, "TRADING_BAD_VOLUME") for r in first if getattr(r, "order_id", 0) == order.order_id]
    (cancel,) = [r for r in desk.hear(*refusals).requests if isinstance(r, CancelOrder)]
    gone = desk.book.pop(other.order_id)
    desk.hear(ev.Reconciled(desk.now_ns, (), (order,)))  # the other one is missing: nobody knows why
    assert desk.engine._orders.unknown_symbols() == [0]
    decision = desk.hear(*desk.answer(cancel))
    assert not [r for r in decision.requests if isinstance(r, PlaceOrder)]
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (replace(gone, status="cancelled"),), (), complete=True))
    calm(desk)
    assert volumes(desk) == [1_700_000]


def test_one_that_is_to_be_placed_anew_waits_until_the_gate_lets_it() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(9_000_000)
    (amend,) = desk.hear().requests
    (cancel,) = desk.hear(desk.refuses(amend, "TRADING_BAD_VOLUME")).requests
    desk.now_ns += 20 * SECOND  # no quote for so long: nothing may grow
    assert not desk.hear(*desk.answer(cancel)).requests
    calm(desk)
    assert volumes(desk) == [1_700_000]


def test_nothing_is_given_back_while_the_broker_expects_more_margin_than_we_do() -> None:
    desk = begun(managing_desk(expected_margin_tolerance_frac=0.05))
    (asked,) = [r for r in desk.lines("requests") if isinstance(r, AskExpectedMargin)]
    threefold = Decimal("3.3") / 500 / 100  # what 0.01 unit costs by our rules, three times
    margins = tuple((volume, threefold * volume, threefold * volume) for volume in asked.volumes_cents)
    desk.hear(ev.ExpectedMarginStated(desk.now_ns, 1, margins))
    assert any(reason.startswith("expected_margin") for reason in desk.reasons())
    desk.owner_rests(3_000_000)
    assert volumes(calm(desk)) == [1_700_000]
    paid(desk, "30000", 2)
    assert volumes(calm(desk)) == [1_700_000]


def test_one_that_its_owner_cancels_first_is_not_placed_anew() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    (amend,) = desk.hear().requests
    (cancel,) = desk.hear(desk.refuses(amend, "TRADING_BAD_VOLUME")).requests
    gone = desk.book.pop(order.order_id)
    desk.hear(desk.says("cancelled", replace(gone, status="cancelled")))  # by hand: it answers no request of ours
    desk.hear(desk.refuses(cancel))
    calm(desk)
    assert volumes(desk) == [] and not [r for r in desk.lines("requests") if isinstance(r, PlaceOrder)]


def test_an_amend_whose_outcome_is_unknown_is_looked_up_before_another() -> None:
    desk = begun(managing_desk())
    order = desk.owner_rests(9_000_000)
    (amend,) = desk.hear().requests
    desk.wait(11)
    assert desk.states(amend.client_order_id) == ["sent", "unknown"]
    paid(desk, "5000", 2)
    assert not [r for _ in range(5) for r in desk.later(1).requests if isinstance(r, TradeRequest)]
    made = replace(order, volume_cents=1_700_000)
    desk.book[order.order_id] = made
    desk.settled(desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (made,), (), complete=True)))
    assert desk.states(amend.client_order_id)[-1] == "replaced"
    assert volumes(calm(desk)) == [800_000]
    assert desk.engine._bookkeeping.foreign.of_symbol(0)[0].wish.volume_cents == 9_000_000  # type: ignore[union-attr]


def test_growth_that_the_venue_refuses_is_tried_again_after_a_minute_and_costs_nobody_his_order() -> None:
    desk = begun(managing_desk())
    desk.owner_rests(9_000_000)
    calm(desk)
    paid(desk, "90000", 2)
    (amend,) = [r for _ in range(3) for r in desk.later(1).requests]
    desk.hear(desk.refuses(amend, "NOT_ENOUGH_MONEY"))
    assert not [r for _ in range(30) for r in desk.later(1).requests if isinstance(r, TradeRequest)]
    assert [r.volume_cents for _ in range(40) for r in desk.later(1).requests if isinstance(r, AmendOrder)] == [
        9_000_000
    ]


def test_after_a_drop_the_list_says_what_is_left() -> None:
    desk = begun(managing_desk())
    kept, gone = desk.owner_rests(900_000), desk.owner_rests(800_000)
    calm(desk)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    del desk.book[gone.order_id]
    fresh = desk.owner_rests(700_000)
    desk.hear(
        ev.Reconciled(desk.now_ns, (), tuple(desk.book.values())), ev.ReadinessChanged(desk.now_ns, ()),
    )  # fmt: skip
    desk.quote()
    desk.hear(ev.OrderHistoryListed(desk.now_ns, 0, (replace(gone, status="cancelled"),), (), complete=True))
    calm(desk)
    followed = desk.engine._bookkeeping.foreign.of_symbol(0)  # type: ignore[union-attr]
    assert {f.life.order_id for f in followed} == {kept.order_id, fresh.order_id}
    assert desk.lines("order_changes") == [], "they are not ours: nothing is reported of them"


def test_nothing_is_given_back_while_another_order_still_stands_in_its_room() -> None:
    desk = begun(managing_desk())
    second = desk.owner_rests(3_000_000)
    calm(desk)
    first = desk.owner_rests(9_000_000)
    events: list[ev.Event] = []
    for request in desk.hear().requests:
        large = request.order_id == first.order_id
        events += [desk.refuses(request, "PENDING_EXECUTION")] if large else desk.answer(request)
    refused = desk.hear(*events)
    desk.hear(*[desk.refuses(r, "PENDING_EXECUTION") for r in refused.requests])
    assert desk.book[second.order_id].volume_cents < 500_000
    paid(desk, "50000", 2)
    for _ in range(3):
        asked = [r for r in desk.later(1).requests if isinstance(r, AmendOrder)]
        assert [r.order_id for r in asked] in ([], [first.order_id]) and all(r.reduces_risk for r in asked)
        desk.hear(*[desk.refuses(r, "PENDING_EXECUTION") for r in asked])
    assert desk.lines("requests")[-1].order_id == first.order_id


def test_our_resting_growth_waits_for_an_order_that_could_not_be_cut() -> None:
    desk = managing_desk("long", style=OrderStyle("limit", 2.0, "microlev"), risk_limits=SMALL)
    desk.hear(ev.AccountLoaded(desk.now_ns, desk.account), desk.loaded())
    order = OrderSnapshot(77, 1, 1_000_000, 0, "limit", "accepted", position_id=78, limit_price=1.09)
    desk.book[77] = order
    desk.hear(ev.Reconciled(desk.now_ns, (), (order,)))
    desk.quote()
    decision = desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    cancel, place = decision.requests
    assert isinstance(cancel, CancelOrder) and isinstance(place, PlaceOrder)
    assert place.volume_cents <= 800_000, "2x are 18 181 EUR, of which somebody else's order may still take 10 000"
    desk.hear(desk.refuses(cancel, "PENDING_EXECUTION"))


# -- whatever happens -------------------------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("price"), st.integers(-300, 300)),
    st.tuples(st.just("rest"), st.integers(-40, 40).filter(bool), st.sampled_from(["limit", "stop", "stop_limit"])),
    st.tuples(st.just("fill"), st.sampled_from([1, -1]), st.sampled_from([0.25, 0.5, 1.0])),
    st.tuples(st.just("pay"), st.sampled_from([2_000, 5_000, 9_000, 20_000, 60_000])),
    st.tuples(st.just("change"), st.integers(1, 40)),
    st.tuples(st.just("cancel")),
    st.tuples(st.just("refuse"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.integers(1, 4)),
)


class Watched(QuoteDesk):
    """A desk whose venue checks each request before it carries it out, by arithmetic of its own."""

    limit = 3.0
    refusing = 0  # so many of the next amends and cancels of other people's orders
    wishes: dict[int, OrderSnapshot]

    def most(self, side: int, instead: dict[int, int] | None = None, held: int | None = None) -> int:
        """Return the largest position of a side if everything of it that rests fills, 0.01 base unit."""
        net = self.engine.portfolio.own_cents(1) if held is None else held
        left = {i: abs(o.volume_cents) - o.executed_cents for i, o in self.book.items() if o.volume_cents * side > 0}
        tied = {i for i, o in self.book.items() if o.closing}
        left = {i: v for i, v in (left | (instead or {})).items() if i not in tied}
        return side * net + sum(left.values())

    def check(self, request: Any) -> None:
        unit, equity = float(self.engine._board.now(self.now_ns).mid[0]), self.engine.valuation.equity
        allowed = self.limit * equity / unit * 100 * (1 + 1e-9)
        if isinstance(request, PlaceOrder) and (request.position_id is None or request.order_type != "limit"):
            side = 1 if request.volume_cents > 0 else -1
            after = self.most(side, {-1: abs(request.volume_cents)})
            grows = after > self.most(side) and after > abs(self.engine.portfolio.own_cents(1))
            assert not grows or after <= allowed, (request, after, allowed)
        if isinstance(request, AmendOrder):
            before = self.book[request.order_id]
            side = 1 if before.volume_cents > 0 else -1
            if request.volume_cents > abs(before.volume_cents):
                after = self.most(side, {request.order_id: request.volume_cents - before.executed_cents})
                assert after <= allowed, (request, after, allowed)
            if before.label != "microlev":
                assert request.volume_cents <= abs(self.wishes[request.order_id].volume_cents)
                wish = self.wishes[request.order_id]
                assert {n: getattr(request, n) for n in TERMS} == {n: getattr(wish, n) for n in TERMS}

    def carry_out(self, decision: Decision) -> None:
        for _ in range(12):
            trades = [r for r in decision.requests if isinstance(r, TradeRequest)]
            if not trades:
                return
            events: list[ev.Event] = []
            for request in trades:
                theirs = isinstance(request, AmendOrder | CancelOrder) and self.book[request.order_id].label == ""
                if theirs and self.refusing:
                    self.refusing -= 1
                    events.append(self.refuses(request, "PENDING_EXECUTION"))
                    continue
                self.check(request)
                at_market = isinstance(request, ClosePosition) or (
                    isinstance(request, PlaceOrder) and request.order_type.startswith("market")
                )
                events += self.answers(request) if at_market else self.answer(request)
            decision = self.hear(*events)
            ours = [o for o in self.book.values() if o.label == "microlev" and "-for-" not in str(o.client_order_id)]
            assert len(ours) <= 1


@pytest.mark.slow
@settings(max_examples=50)
@given(
    st.lists(STEPS, min_size=3, max_size=25), st.sampled_from(["follow", "long", "short"]), st.booleans(),
    st.sampled_from(["limit", "market"]), st.sampled_from([None, 1.0]),
)  # fmt: skip
def test_held_and_resting_growth_never_cross_the_limit_by_an_order_of_ours(
    steps: list[Any], direction: str, netted: bool, order_type: str, rate: float | None
) -> None:
    desk = Watched(
        strategy=strategies.load("constant", {}), symbols=(SymbolChoice("EURUSD", direction, 1.0),),
        style=OrderStyle(order_type, 2.0, "microlev"), manage_all=True, base_leverage=4.0, respect_manual_close=False,
        risk_limits=replace(FAST, max_symbol_leverage=Watched.limit), max_daily_loss_frac=1.0, max_drawdown_frac=1.0,
        pace=replace(QUICK, max_increase_frac_per_min=rate), leverage_limits=LeverageLimits(Watched.limit, 10),
    )  # fmt: skip
    desk.wishes = {}
    if netted:
        desk.account = replace(desk.account, account_type="NETTED")
    desk.carry_out(desk.begin())
    mid, version = 110_000, 1
    for kind, *what in steps:
        theirs = [o for o in desk.book.values() if o.label != "microlev"]
        if kind == "price":
            mid = min(max(mid + what[0], 107_000), 113_000)
        elif kind == "rest":
            far = 1.05 if what[0] > 0 else 1.15
            prices = {"limit_price": far} if what[1] == "limit" else {"stop_price": 2.2 - far, "slippage_points": 3}
            order = desk.owner_rests(what[0] * 100_000, what[1], **prices)
            desk.wishes[order.order_id] = order
        elif kind == "fill" and any(o.volume_cents * what[0] > 0 for o in desk.book.values()):
            desk.carry_out(desk.hear(*_filled(desk, *what)))
        elif kind == "pay":
            version += 1
            desk.carry_out(paid(desk, str(what[0]), version))
        elif kind == "change" and theirs:
            side = 1 if theirs[0].volume_cents > 0 else -1
            volume = side * max(what[0] * 100_000, theirs[0].executed_cents + 100_000)
            desk.owner_changes(theirs[0].order_id, volume_cents=volume)
            if volume != theirs[0].volume_cents:
                desk.wishes[theirs[0].order_id] = desk.book[theirs[0].order_id]
        elif kind == "refuse":
            desk.refusing = min(desk.refusing + what[0], 3)
        elif kind == "cancel" and theirs:
            gone = desk.book.pop(theirs[-1].order_id)
            desk.engine.receive(desk.says("cancelled", replace(gone, status="cancelled")))
        for _ in range(what[0] if kind == "wait" else 2):
            desk.carry_out(desk.later(1.1, mid_e5=mid))
    desk.refusing = 0
    for _ in range(40):  # refused cancels are tried again after 1, 2, 4, 8, 16 s
        desk.carry_out(desk.later(1.1, mid_e5=mid))
    unit, equity = float(desk.engine._board.now(desk.now_ns).mid[0]), desk.engine.valuation.equity
    allowed = Watched.limit * equity / unit * 100
    for side in (1, -1):
        assert desk.most(side) <= max(allowed, abs(desk.engine.portfolio.own_cents(1))) + 1


def _filled(desk: QuoteDesk, side: int, share: float) -> list[ev.Event]:
    """Fill a share of the first resting order of a side, on the symbol's grid; a tied one no more than its position."""
    order = next(o for o in desk.book.values() if o.volume_cents * side > 0)
    left = abs(order.volume_cents) - order.executed_cents
    part = max(round(left * share) // 100_000 * 100_000, min(left, 100_000))
    return desk.fills(side, part / left)


def test_the_watching_venue_can_find_fault() -> None:
    desk = Watched(strategy=strategies.load("constant", {}), manage_all=True)
    desk.wishes = {}
    desk.begin()
    with pytest.raises(AssertionError):
        desk.check(PlaceOrder("x", 1, 5_000_000, "limit", "microlev", limit_price=1.0))
