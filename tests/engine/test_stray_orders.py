"""Orders of ours in symbols that are no longer traded: what would grow a position is taken back, once, and told."""

from dataclasses import replace
from typing import Any

import pytest
from engine_desk import EURUSD, SECOND, SPECS, USDJPY, position
from quote_desk import QuoteDesk

import strategies
from bot.engine import events as ev
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import CancelOrder

LEFT = ev.OpenIntent("r0-7", 2, "place", 1_500_000, "limit", 0)


def resting(order_id: int = 77, volume_cents: int = 1_500_000, **fields: Any) -> OrderSnapshot:
    """Build an order that an earlier run has left in USDJPY, which is not traded."""
    made = {"client_order_id": f"r0-{order_id}", "label": "microlev", "limit_price": 149.5, "position_id": 900}
    return OrderSnapshot(
        order_id, 2, volume_cents, 0, **({"order_type": "limit", "status": "accepted"} | made | fields)
    )


def started(
    *orders: OrderSnapshot,
    positions: tuple[Any, ...] = (),
    netted: bool = False,
    before: tuple[ev.Event, ...] = (),
    loaded: tuple[Any, ...] = (EURUSD, USDJPY),
    **changes: Any,
) -> QuoteDesk:
    """Return a desk that trades EURUSD alone and finds these orders at its venue."""
    desk = QuoteDesk(**({"strategy": strategies.load("constant", {})} | changes))
    desk.account = replace(desk.account, account_type="NETTED" if netted else "HEDGED")
    desk.hear(*before) if before else None
    desk.hear(
        ev.AccountLoaded(desk.now_ns, desk.account),
        desk.loaded(*loaded, traded=1),
        ev.Reconciled(desk.now_ns, positions, orders),
        ev.ReadinessChanged(desk.now_ns, ("subscribing",)),
    )
    desk.book = {order.order_id: order for order in orders}
    desk.quote()
    desk.hear(ev.ReadinessChanged(desk.now_ns, ()))
    return desk


def cancels(desk: QuoteDesk) -> list[int]:
    return [r.order_id for r in desk.lines("requests") if isinstance(r, CancelOrder)]


def told(desk: QuoteDesk) -> list[str]:
    return [n.text for n in desk.lines("notices") if n.code == "stray_order"]


def list_again(desk: QuoteDesk, *orders: OrderSnapshot) -> None:
    listed = ev.OrderHistoryListed(desk.now_ns, 0, orders, (), complete=True)
    desk.hear(ev.Reconciled(desk.now_ns, (), orders), listed)


def test_one_that_would_grow_a_position_is_taken_back_and_told() -> None:
    desk = started(resting())
    why = "the config does not trade it, and nobody would manage what it opens"
    assert told(desk) == [
        f"order 77 of an earlier run rests to buy 0.15 lots of USDJPY; to be cancelled: {why}",
    ]
    [line] = [o for o in desk.lines("intended") if o.action == "cancel"]
    assert (line.symbol, line.side, line.volume_cents, line.order_id) == ("USDJPY", "buy", 1_500_000, 77)
    assert line.reason == f"left by an earlier run, taken back: {why}"
    [request] = [r for r in desk.lines("requests") if isinstance(r, CancelOrder)]
    assert (request.symbol_id, request.order_id) == (2, 77)
    desk.hear(*desk.answer(request))
    states = [(c.order.client_order_id, c.state) for c in desk.lines("order_changes") if c.order.symbol == "USDJPY"]
    own = request.client_order_id
    assert states == [("r0-77", "accepted"), (own, "sent"), ("r0-77", "cancelled"), (own, "cancelled")]
    desk.wait(120)
    assert cancels(desk) == [77] and len(told(desk)) == 1


def test_a_cancel_without_an_answer_is_sent_again_only_when_the_lists_have_the_order_at_work() -> None:
    desk = started(resting())
    desk.wait(30)
    assert cancels(desk) == [77], "nothing is sent twice"
    assert "unknown_order:USDJPY" in desk.reasons()
    list_again(desk, resting())
    desk.wait(1)
    assert cancels(desk) == [77, 77] and len(told(desk)) == 1


def test_a_refused_cancel_is_tried_again_after_a_pause_that_doubles() -> None:
    desk = started(resting())
    for _ in range(120):
        for request in [r for r in desk.decisions[-1].requests if isinstance(r, CancelOrder)]:
            desk.hear(desk.refuses(request, "MARKET_CLOSED"))
        desk.wait(1)
    assert 5 <= len(cancels(desk)) <= 8
    assert len(told(desk)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"label": ""},
        {"label": "another"},
        {"client_order_id": None},
        {"client_order_id": "r0-3-for-12"},
        {"order_type": "stop", "limit_price": None, "stop_price": 151.0},
        {"order_type": "market", "limit_price": None},
    ],
    ids=["no label", "another bot's", "made by hand", "placed for its owner", "a stop", "a market order"],
)
@pytest.mark.parametrize("manage_all", [False, True])
def test_other_peoples_orders_and_what_never_rests_are_left_alone(fields: dict[str, Any], manage_all: bool) -> None:
    desk = started(resting(**fields), manage_all=manage_all)
    desk.wait(5)
    assert cancels(desk) == [] and told(desk) == []


def test_one_that_closes_a_position_stays_until_the_end_of_a_run_that_takes_its_orders_back() -> None:
    held = position(-1_500_000, symbol_id=2, price=150.0)
    order = resting(closing=True, position_id=held.position_id)
    desk = started(order, positions=(held,))
    desk.wait(5)
    assert cancels(desk) == [] and told(desk) == []
    desk.hear(ev.CommandGiven(desk.now_ns, "stop"))
    assert cancels(desk) == [77]
    assert told(desk)[0].endswith("to be cancelled: the config does not trade it, and the run is ending")
    kept = started(order, positions=(held,), keep_on_stop=True)
    kept.hear(ev.CommandGiven(kept.now_ns, "stop"))
    assert cancels(kept) == [] and kept.engine.is_settled


def test_on_a_netted_account_what_reduces_stays_as_long_as_it_is_no_more_than_is_held() -> None:
    held = position(-2_000_000, symbol_id=2, price=150.0)
    desk = started(resting(77), netted=True, positions=(held,))
    desk.wait(2)
    assert cancels(desk) == []
    assert cancels(started(resting(77), resting(78), netted=True, positions=(held,))) == [78], "one after the other"
    assert cancels(started(resting(77, -1_500_000), netted=True, positions=(held,))) == [77], "it adds"
    assert cancels(started(resting(77, 2_100_000), netted=True, positions=(held,))) == [77], "it turns"
    assert cancels(started(resting(77), positions=(held,))) == [77], "a hedged account opens another"
    desk.hear(ev.Reconciled(desk.now_ns, (replace(held, volume_cents=-1_000_000),), (resting(),)))
    desk.wait(1)
    assert cancels(desk) == [77], "what it was to reduce is less now"


@pytest.mark.parametrize("command", ["halt", "flatten"])
def test_a_halt_keeps_no_cancel_back(command: str) -> None:
    desk = started(resting(), before=(ev.CommandGiven(0, command),))
    assert desk.engine.trading != "active"
    assert cancels(desk) == [77]


def test_one_of_the_ledger_is_taken_back_when_the_venue_has_said_that_it_works() -> None:
    lists = (ev.IntentsRestored(0, (LEFT,)),)
    desk = started(before=lists)
    assert cancels(desk) == [] and "unknown_order:USDJPY" in desk.reasons()
    list_again(desk, resting(client_order_id="r0-7"))
    desk.wait(1)
    assert cancels(desk) == [77]
    assert cancels(started(resting(client_order_id="r0-7"), before=lists)) == [77]


def test_a_symbol_is_known_by_its_id_wherever_it_is_loaded() -> None:
    """The first symbols of a connection may lack it; another connection may have others behind the traded ones."""
    desk = started(before=(ev.IntentsRestored(0, (LEFT,)),), loaded=(EURUSD,))
    assert cancels(desk) == []
    gbp = replace(SPECS["EURUSD"], symbol_id=3, name="GBPUSD")
    at_work = ev.Reconciled(desk.now_ns, (), (resting(client_order_id="r0-7"),))
    desk.hear(desk.loaded(EURUSD, gbp, USDJPY, traded=1), at_work)
    assert [(o.symbol, o.action) for o in desk.lines("intended") if o.action == "cancel"] == [("USDJPY", "cancel")]
    list_again(desk, resting(client_order_id="r0-7"))
    desk.hear(desk.loaded(EURUSD, USDJPY, traded=1))
    desk.now_ns += 40 * SECOND
    desk.quote()
    assert {o.symbol for o in desk.lines("intended") if o.action == "cancel"} == {"USDJPY"}


def test_one_in_a_symbol_that_the_broker_no_longer_lists_is_told() -> None:
    desk = started(resting(client_order_id="r0-7"), before=(ev.IntentsRestored(0, (LEFT,)),), loaded=(EURUSD,))
    desk.wait(5)
    where = "symbol 2, which the broker does not list"
    assert told(desk) == [f"order 77 of an earlier run rests to buy in {where}: cancel it by hand"]
    assert cancels(desk) == []
