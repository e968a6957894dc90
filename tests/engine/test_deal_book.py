"""Deals told once, in whatever way and order they come, with who did it; mark-outs by the deal they belong to."""

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from engine_desk import QUICK, SECOND, USDJPY, Desk, position

from bot.account.position import Deal, Position
from bot.engine import events as ev
from bot.engine.decision import CountedDeal, Decision
from bot.engine.settings import SymbolChoice
from bot.execution.orders import OrderSnapshot
from bot.journal.inputs import decode_inputs, encode_inputs


def told(desk: Desk) -> list[tuple[int, str, bool]]:
    """Return id, cause and whose position it was, of every deal so far."""
    return [(each.deal.deal_id, each.cause, each.is_own) for each in desk.lines("deals")]


def deal(deal_id: int = 900, position_id: int = 5, volume_cents: int = -100_000, **changes: Any) -> Deal:
    return replace(Deal(deal_id, 70, position_id, 1, volume_cents, 1.1, Decimal("-0.03"), 0), **changes)


def order(order_type: str = "market", order_id: int = 70, **changes: Any) -> OrderSnapshot:
    fields = {"position_id": 5, "closing": True, "executed_cents": 100_000, "status": "filled"} | changes
    return OrderSnapshot(order_id, 1, -100_000, order_type=order_type, **fields)


def executed(desk: Desk, its_deal: Deal, its_order: OrderSnapshot | None, **more: Any) -> Decision:
    return desk.hear(ev.ExecutionReported(desk.now_ns, "filled", order=its_order, deal=its_deal, **more))


def quiet_desk(*held: Position) -> Desk:
    """Return an engine that holds these and leaves them as they are."""
    choice = (SymbolChoice("EURUSD", "follow", 1.0),)
    desk = Desk(symbols=choice, base_leverage=0.11, pace=replace(QUICK, band_frac=5.0))
    desk.begin(*held)
    assert desk.lines("intended") == []
    desk.decisions.clear()
    return desk


# -- our own ------------------------------------------------------------------------------------------------------


def test_a_fill_of_ours_is_told_with_the_decision_that_it_came_from() -> None:
    desk = Desk()
    opened = desk.begin()
    (intended,) = opened.intended
    answer = desk.fill(opened)
    (counted,) = answer.deals
    assert isinstance(counted, CountedDeal)
    assert (counted.symbol, counted.client_order_id, counted.cause) == ("EURUSD", intended.client_order_id, "ours")
    assert (counted.decision_mid, counted.predicted_bps) == (1.1, intended.predicted_slippage_bps)
    assert counted.is_own
    assert counted.predicted_bps is not None


def test_a_close_of_ours_is_ours_although_it_carries_no_id_and_its_position_is_gone() -> None:
    desk = Desk(flatten_on_stop=True)
    desk.fill(desk.begin())
    desk.wait(2)
    closing = desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    (request,) = closing.requests
    *_, fill = desk.answers(request)  # type: ignore[arg-type]
    assert isinstance(fill, ev.ExecutionReported)
    assert fill.order is not None
    nameless = replace(fill, client_order_id=None, order=replace(fill.order, client_order_id=None))
    (counted,) = desk.hear(nameless).deals
    assert (counted.cause, counted.is_own) == ("ours", True)
    assert desk.engine.portfolio.positions() == []


def test_a_fill_is_told_by_paper_and_venue_alike() -> None:
    desk = Desk()
    opened = desk.begin()
    events = [
        replace(e, deal=replace(e.deal, paper=True) if e.deal is not None else None, paper=True)
        for e in desk.answers(opened.requests[0])  # type: ignore[arg-type]
        if isinstance(e, ev.ExecutionReported)
    ]
    (counted,) = desk.hear(*events).deals
    assert (counted.deal.paper, counted.cause, counted.is_own) == (True, "ours", True)


def test_mark_outs_name_their_deals() -> None:
    desk = Desk()
    (counted,) = desk.fill(desk.begin()).deals
    for _ in range(61):
        desk.now_ns += SECOND
        desk.quote("EURUSD", 110_011)
    marks = desk.lines("marks")
    assert [(mark.deal_id, mark.delay_s) for mark in marks] == [(counted.deal.deal_id, s) for s in (1, 5, 30, 60)]
    assert {round(mark.impact_bps, 9) for mark in marks} == {1.0}
    assert all(mark.realised_bps == pytest.approx(-1.0) and not mark.paper for mark in marks)


def test_statistics_and_marks_live_on_when_a_further_symbol_is_loaded() -> None:
    desk = Desk()
    desk.fill(desk.begin())
    desk.now_ns += SECOND // 2
    before = desk.engine.fill_quality.summary()["EURUSD"]  # type: ignore[union-attr]
    desk.hear(desk.loaded(desk.engine.specs[0], USDJPY, traded=1))
    summary = desk.engine.fill_quality.summary()  # type: ignore[union-attr]
    assert summary["EURUSD"] == before
    assert list(summary) == ["EURUSD", "USDJPY"]
    desk.now_ns += SECOND
    desk.quote()
    assert [mark.delay_s for mark in desk.lines("marks")] == [1]


# -- others -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("its_order", "cause"),
    [
        (order(), "manual"),
        (order(is_stop_out=True), "stop_out"),
        (order("stop_loss_take_profit"), "protection"),
        (order(label="microlev"), "manual"),  # a close shows the label of its position, whoever asked for it
        (None, "unknown"),
    ],
)
@pytest.mark.parametrize("label", ["microlev", "another"])
def test_the_cause_is_told_by_the_order_and_whose_position_by_its_label(
    its_order: OrderSnapshot | None, cause: str, label: str
) -> None:
    desk = quiet_desk(position(100_000, label=label))
    executed(desk, deal(), its_order, position=position(0, label=label))
    assert told(desk) == [(900, cause, label == "microlev")]


def test_a_position_opened_by_hand_is_not_ours_unless_all_are_managed() -> None:
    for manage_all in (False, True):
        desk = Desk(base_leverage=0.0, manage_all=manage_all)
        desk.begin()
        opening = order(closing=False, position_id=6)
        executed(desk, deal(position_id=6), opening, position=position(-100_000, position_id=6, label=""))
        assert told(desk) == [(900, "manual", manage_all)]


def test_another_bots_order_with_an_id_of_its_own_is_not_ours() -> None:
    desk = quiet_desk()
    theirs = order(closing=False, position_id=6, client_order_id="theirs-1", label="another")
    desk.hear(ev.ExecutionReported(desk.now_ns, "filled", "theirs-1", theirs, deal(position_id=6)))
    (counted,) = desk.lines("deals")
    assert (counted.cause, counted.client_order_id, counted.is_own) == ("manual", None, False)


# -- once ---------------------------------------------------------------------------------------------------------


def history(desk: Desk, *deals: Deal, orders: tuple[OrderSnapshot, ...] = (), held: tuple[Position, ...] = ()) -> None:
    listed = ev.OrderHistoryListed(desk.now_ns, 0, orders, deals, complete=True)
    desk.hear(ev.Reconciled(desk.now_ns, held, ()), listed)


def test_a_deal_that_only_a_list_tells_of_is_told_once_with_its_cause() -> None:
    desk = quiet_desk(position(100_000))
    late = deal(executed_ns=desk.now_ns + SECOND)
    for _ in range(2):
        history(desk, late, orders=(order(),))
    executed(desk, late, order())
    assert told(desk) == [(900, "manual", True)], (
        "its position was ours, and is gone from the reconcile before the list"
    )


def test_a_deal_that_an_earlier_run_has_told_is_no_news_and_still_says_whose_its_position_is() -> None:
    desk = Desk(symbols=(SymbolChoice("EURUSD", "follow", 1.0),), base_leverage=0.11)
    known = ev.IntentsRestored(desk.now_ns, (), None, deal_ids=(898, 899))
    assert decode_inputs(encode_inputs([known])) == [known], "a replay is told the same"
    desk.hear(known)
    desk.begin()
    opening = order(order_id=69, closing=False, client_order_id="r0-1", label="microlev", position_id=6)
    history(desk, deal(899, 6, order_id=69, executed_ns=1), orders=(opening,))
    history(desk, deal(900, 6, executed_ns=2), orders=(order(position_id=6),))
    assert told(desk) == [(900, "unknown", True)]


def test_a_list_without_the_order_leaves_the_cause_unknown_as_does_a_close_before_the_run() -> None:
    desk = quiet_desk(position(100_000), position(100_000, position_id=8))
    history(
        desk, deal(901, executed_ns=desk.now_ns), deal(902, position_id=8, executed_ns=1), orders=(order(order_id=71),)
    )
    by_list = replace(order(order_id=72), position_id=8)
    history(desk, deal(903, position_id=8, order_id=72, executed_ns=1), orders=(by_list,))
    assert told(desk) == [(901, "unknown", True), (902, "unknown", True), (903, "unknown", True)]


def test_an_order_of_ours_that_the_lists_resolve_is_told_as_ours_with_its_decision() -> None:
    desk = Desk()
    opened = desk.begin()
    own_id = opened.intended[0].client_order_id
    desk.wait(11)  # no answer: unknown, and asked for
    volume = opened.intended[0].volume_cents
    found = OrderSnapshot(70, 1, volume, volume, "market_range", "filled", own_id, 5, "microlev")
    history(desk, deal(volume_cents=volume), orders=(found,), held=(position(volume),))
    (counted,) = desk.lines("deals")
    assert (counted.cause, counted.client_order_id, counted.is_own) == ("ours", own_id, True)
    assert (counted.decision_mid, counted.predicted_bps) == (1.1, opened.intended[0].predicted_slippage_bps)


def test_an_opening_of_an_earlier_run_is_ours_by_label_and_id() -> None:
    desk = quiet_desk()
    earlier = order(order_id=70, closing=False, client_order_id="r0-1", label="microlev", position_id=6)
    history(desk, deal(position_id=6), orders=(earlier,), held=(position(-100_000, position_id=6),))
    (counted,) = desk.lines("deals")
    assert (counted.cause, counted.client_order_id, counted.is_own) == ("ours", "r0-1", True)


def test_a_deal_in_a_symbol_that_is_loaded_later_is_told_then() -> None:
    desk = quiet_desk()
    theirs = deal(position_id=6, symbol_id=2)
    executed(desk, theirs, order(closing=False, position_id=6))
    assert told(desk) == []
    desk.hear(desk.loaded(desk.engine.specs[0], USDJPY, traded=1))
    executed(desk, theirs, order(closing=False, position_id=6))
    assert [(each.symbol, each.cause) for each in desk.lines("deals")] == [("USDJPY", "manual")]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_tells_of_deals_and_how_often_each_is_told_once(seed: int) -> None:
    """Events doubled, late, before or after lists that hold them, in any order."""
    source = random.Random(seed)
    desk = quiet_desk(position(100_000))
    deals = [deal(900 + i, 5 + i % 3, source.choice([-1, 1]) * 10_000, executed_ns=desk.now_ns + i) for i in range(8)]
    for _ in range(40):
        desk.now_ns += SECOND
        some = source.sample(deals, source.randint(1, 4))
        if source.random() < 0.3:
            history(desk, *some, held=(position(100_000),))
        else:
            desk.hear(*(ev.ExecutionReported(desk.now_ns, "filled", order=order(), deal=each) for each in some))
    ids = [each.deal.deal_id for each in desk.lines("deals")]
    assert sorted(ids) == [each.deal_id for each in deals]


# -- since when the lists are asked -------------------------------------------------------------------------------


def asked_from_ns(desk: Desk) -> list[int]:
    return [request.from_ns for request in desk.lines("requests") if type(request).__name__ == "ResolveOrders"]


def test_lists_are_asked_for_since_the_last_that_were_complete_over_a_drop() -> None:
    desk = quiet_desk()
    began_ns = desk.now_ns
    desk.wait(61)
    assert asked_from_ns(desk) == [began_ns - 60 * SECOND]
    asked_ns = desk.now_ns
    history(desk)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ("disconnected",)))
    desk.wait(500)
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    desk.quote()
    desk.wait(70)
    since = asked_from_ns(desk)[1]
    assert asked_ns - 62 * SECOND <= since <= asked_ns - 60 * SECOND, "the drop is covered"
