"""Resting orders and their alterations: every state against every event, and what has to hold after each."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from engine_desk import EURUSD, SECOND, START

from bot.account.position import Deal
from bot.engine import events as ev
from bot.engine.decision import IntendedOrder
from bot.engine.market_hours import MarketHours
from bot.engine.order_flow import OrderFlow
from bot.execution.alterations import FINAL as ALTERATION_FINAL
from bot.execution.in_flight import FINAL, TRANSITIONS, WORKING
from bot.execution.orders import OrderSnapshot
from bot.execution.requests import AmendOrder, CancelOrder, PlaceOrder

PLACED = OrderSnapshot(
    40, 1, 300_000, 0, "limit", "accepted", client_order_id="q-1", label="microlev", limit_price=1.1, position_id=41
)
AMENDED = replace(PLACED, volume_cents=400_000, limit_price=1.09)
DEAL = Deal(50, 40, 41, 1, 100_000, 1.1, Decimal(0), START)


def intended(own_id: str, action: str, order_id: int | None = None) -> IntendedOrder:
    return IntendedOrder(
        "EURUSD", action, "buy", 300_000, 0.03, "limit", None, order_id, own_id, 0.0, 0.3, "", None, None, None, None
    )


class Flow:
    """An order flow with one resting order, brought to a state by what leads there."""

    def __init__(self, state: str = "accepted", alteration: str | None = None, altered: str = "sent") -> None:
        self.hours = MarketHours()
        self.hours.load((EURUSD,))
        self.flow = OrderFlow(10.0, 3.0, self.hours)
        self.now_ns = START
        self.changes: list[Any] = []
        request = PlaceOrder("q-1", 1, 300_000, "limit", "microlev", limit_price=1.1)
        self.flow.sent(intended("q-1", "place"), 0, 1, request, START, grows=True)
        (self.order,) = self.flow._in_flight.all()
        self.request: Any = None
        if state != "sent":
            self.hear(self.said("accepted"))
        if alteration is not None:
            if alteration == "amend":
                self.request = AmendOrder("q-2", 1, 40, 400_000, limit_price=1.09)
            else:
                self.request = CancelOrder("q-2", 1, 40)
            self.flow.resting.altered(intended("q-2", alteration, 40), self.order, self.request, self.now_ns)
        if altered == "unknown":
            self.hear(ev.RequestRefused(self.now_ns, "q-2", "TIMEOUT_ERROR", order_id=40, outcome_unknown=True))
        elif state == "unknown":
            self.flow.listed(())
        elif state == "partially_filled":
            self.hear(self.said("partially_filled", replace(PLACED, executed_cents=100_000), DEAL))
        elif state == "replaced":
            self.order.state = "replaced"  # by a hand that is not ours: an amend of ours would have ended
        self.changes.clear()
        self.flow.take()

    def said(self, kind: str, order: OrderSnapshot | None = PLACED, deal: Deal | None = None, **more: Any) -> Any:
        return ev.ExecutionReported(self.now_ns, kind, "q-1", order, deal, **more)

    def hear(self, event: Any) -> None:
        match event:
            case ev.ExecutionReported():
                self.flow.executed(event)
            case ev.RequestRefused():
                self.flow.refused(event)
        self.changes += self.flow.take()

    @property
    def alteration(self) -> Any:
        return self.flow.resting._alterations.of("q-1")

    @property
    def altered(self) -> list[str]:
        """The states that were reported of the alteration."""
        return [change.state for change in self.changes if change.order.client_order_id == "q-2"]


EVENTS: dict[str, Any] = {
    "accepted": lambda f: f.hear(f.said("accepted")),
    "partially_filled": lambda f: f.hear(
        f.said("partially_filled", replace(PLACED, executed_cents=100_000), replace(DEAL, deal_id=51))
    ),
    "filled": lambda f: f.hear(f.said("filled", replace(PLACED, executed_cents=300_000, status="filled"), DEAL)),
    "replaced": lambda f: f.hear(f.said("replaced", AMENDED)),
    "cancelled": lambda f: f.hear(f.said("cancelled", replace(PLACED, status="cancelled"))),
    "expired": lambda f: f.hear(f.said("expired", replace(PLACED, status="expired"))),
    "rejected": lambda f: f.hear(f.said("rejected", replace(PLACED, status="rejected"), error_code="X")),
    "cancel_rejected": lambda f: f.hear(f.said("cancel_rejected", error_code="UNABLE_TO_CANCEL_ORDER")),
    "place refused": lambda f: f.hear(ev.RequestRefused(f.now_ns, "q-1", "NOT_ENOUGH_MONEY")),
    "change refused": lambda f: f.hear(ev.RequestRefused(f.now_ns, "q-2", "TRADING_BAD_PRICES", order_id=40)),
    "change too late": lambda f: f.hear(ev.RequestRefused(f.now_ns, "q-2", "ORDER_NOT_FOUND", order_id=40)),
    "change too early": lambda f: f.hear(ev.RequestRefused(f.now_ns, "q-2", "PENDING_EXECUTION", order_id=40)),
    "change in doubt": lambda f: f.hear(
        ev.RequestRefused(f.now_ns, "q-2", "TIMEOUT_ERROR", order_id=40, outcome_unknown=True)
    ),
    "change not sent": lambda f: f.hear(ev.RequestRefused(f.now_ns, "q-2", "NOT_SENT", order_id=40)),
    "an error about the order": lambda f: f.hear(ev.RequestRefused(f.now_ns, None, "ORDER_NOT_FOUND", order_id=40)),
    "drop": lambda f: f.flow.connection_lost(),
    "listed": lambda f: f.flow.listed((PLACED,)),
    "listed as amended": lambda f: f.flow.listed((AMENDED,)),
    "not listed": lambda f: f.flow.listed(()),
    "time": lambda f: list(f.flow.overdue(f.now_ns + 10 * SECOND, ready=True)),
}
ORDER_STATES = ("sent", "accepted", "partially_filled", "replaced", "unknown")
CHANGES = (None, "amend", "cancel")


def cases() -> list[tuple[str, str | None, str, str]]:
    found = []
    for state, kind, event in product(ORDER_STATES, CHANGES, EVENTS):
        if kind is not None and state == "sent":
            continue  # what has no id yet cannot be changed
        found.append((state, kind, "sent", event))
        if kind is not None and state == "unknown":
            found.append((state, kind, "unknown", event))
    return found


@pytest.mark.parametrize(("state", "kind", "altered", "event"), cases(), ids=lambda x: str(x))
def test_whatever_happens_an_order_moves_as_its_table_says_and_takes_its_change_along(
    state: str, kind: str | None, altered: str, event: str
) -> None:
    flow = Flow(state, kind, altered)
    assert flow.order.state == state
    EVENTS[event](flow)
    flow.changes += flow.flow.take()
    path = [state, *(c.state for c in flow.changes if c.order.client_order_id == "q-1")]
    for before, after in pairwise(path):
        assert after in TRANSITIONS[before], path
    assert flow.order.state == path[-1]
    if flow.order.state in FINAL:
        assert flow.alteration is None and flow.flow._in_flight.all() == []
        assert flow.flow.resting.of_symbol(0) == []
    else:
        assert flow.flow._in_flight.all() == [flow.order]
        assert flow.flow.busy(0, flow.now_ns) == (flow.order.state == "unknown")
    if kind is not None:
        assert (flow.alteration is None) == (bool(flow.altered) and flow.altered[-1] in ALTERATION_FINAL)
        if flow.alteration is not None and flow.alteration.state == "unknown":
            assert flow.order.state == "unknown", "what may have been changed is not known to be as it was"
    assert flow.flow.resting.is_waiting(keeping=True) == bool(
        flow.alteration is not None or (flow.flow._in_flight.all() and flow.order.state not in WORKING)
    )


@pytest.mark.parametrize(
    ("kind", "event", "order", "change"),
    [
        ("amend", "replaced", "replaced", ["replaced"]),
        ("amend", "partially_filled", "partially_filled", []),
        ("amend", "filled", "filled", ["resolved"]),
        ("amend", "cancelled", "cancelled", ["resolved"]),
        ("amend", "expired", "expired", ["resolved"]),
        ("amend", "change refused", "accepted", ["rejected"]),
        ("amend", "change too late", "unknown", ["rejected"]),
        ("amend", "change too early", "accepted", ["rejected"]),
        ("amend", "change in doubt", "unknown", ["unknown"]),
        ("amend", "change not sent", "accepted", ["rejected"]),
        ("amend", "an error about the order", "unknown", ["rejected"]),
        ("amend", "drop", "unknown", ["unknown"]),
        ("amend", "time", "unknown", ["unknown"]),
        ("amend", "listed", "accepted", []),
        ("amend", "not listed", "unknown", []),
        ("cancel", "cancelled", "cancelled", ["cancelled"]),
        ("cancel", "filled", "filled", ["resolved"]),
        ("cancel", "replaced", "replaced", []),
        ("cancel", "cancel_rejected", "unknown", ["rejected"]),
        ("cancel", "change refused", "accepted", ["rejected"]),
        ("cancel", "change too late", "unknown", ["rejected"]),
        ("cancel", "change in doubt", "unknown", ["unknown"]),
        ("cancel", "change not sent", "accepted", ["rejected"]),
        ("cancel", "drop", "unknown", ["unknown"]),
        ("cancel", "time", "unknown", ["unknown"]),
        (None, "time", "accepted", []),
        (None, "drop", "unknown", []),
        (None, "not listed", "unknown", []),
        (None, "an error about the order", "unknown", []),
        (None, "cancel_rejected", "unknown", []),
    ],
    ids=str,
)
def test_what_follows_for_an_order_that_rests(kind: str | None, event: str, order: str, change: list[str]) -> None:
    flow = Flow("accepted", kind)
    EVENTS[event](flow)
    flow.changes += flow.flow.take()
    assert (flow.order.state, flow.altered) == (order, change)


def test_a_place_without_an_answer_becomes_unknown_and_one_that_rests_does_not() -> None:
    waiting, resting = Flow("sent"), Flow("accepted")
    for flow in (waiting, resting):
        EVENTS["time"](flow)
    assert (waiting.order.state, resting.order.state) == ("unknown", "accepted")


@pytest.mark.parametrize(
    ("listed", "change"), [("listed as amended", ["replaced"]), ("listed", ["resolved"]), ("not listed", [])]
)
def test_an_amend_of_unknown_outcome_is_read_off_the_list(listed: str, change: list[str]) -> None:
    flow = Flow("unknown", "amend", "unknown")
    EVENTS[listed](flow)
    flow.changes += flow.flow.take()
    assert flow.altered == change
    assert flow.order.state == ("accepted" if change else "unknown")


def test_what_the_venue_says_of_an_order_is_what_it_is() -> None:
    flow = Flow("accepted", "amend")
    EVENTS["replaced"](flow)
    assert (flow.order.volume_cents, flow.order.limit_price, flow.order.left_cents) == (400_000, 1.09, 400_000)
    EVENTS["partially_filled"](flow)
    assert flow.order.executed_cents == 100_000


@pytest.mark.parametrize(
    ("event", "is_stuck"), [("change refused", True), ("change not sent", True), ("change too early", False)]
)
def test_an_amend_that_was_refused_for_good_leaves_its_order_to_be_cancelled(event: str, is_stuck: bool) -> None:
    flow = Flow("accepted", "amend")
    EVENTS[event](flow)
    assert flow.order.is_stuck is is_stuck
    assert flow.order.quiet_until_ns == 0, "a cancel may follow at once"


def test_a_refused_cancel_is_repeated_after_longer_and_longer_pauses() -> None:
    flow, pauses = Flow("accepted", "cancel"), []
    for number in range(3):
        EVENTS["change refused"](flow)
        pauses.append((flow.order.quiet_until_ns - flow.now_ns) // SECOND)
        request = CancelOrder("q-2", 1, 40)
        flow.flow.resting.altered(intended("q-2", "cancel", 40), flow.order, request, flow.now_ns + number)
    assert pauses == [1, 2, 4]


def test_a_blocked_kind_of_change_is_held_until_the_block_ends() -> None:
    flow = Flow("accepted", "amend")
    until = flow.now_ns + 5 * SECOND
    flow.hear(ev.RequestRefused(flow.now_ns, "q-2", "BLOCKED_PAYLOAD_TYPE", order_id=40, retry_at_ns=until))
    assert flow.flow.resting.is_held(AmendOrder, until - 1)
    assert not flow.flow.resting.is_held(AmendOrder, until)
    assert not flow.flow.resting.is_held(CancelOrder, until - 1)


def test_a_late_refusal_of_a_change_that_has_ended_does_not_end_its_order() -> None:
    flow = Flow("accepted", "amend")
    EVENTS["replaced"](flow)
    EVENTS["change too late"](flow)
    assert flow.order.state == "unknown"
    assert flow.flow._in_flight.all() == [flow.order]


@pytest.mark.parametrize(
    ("net", "sides", "worst"),
    [
        (0.0, (2_000, -3_000), -3_000.0),
        (0.0, (3_000, -2_000), 3_000.0),
        (5_000.0, (2_000, -3_000), 2_000.0),
        (-5_000.0, (2_000, -3_000), -3_000.0),
        (5_000.0, (0, -3_000), 0.0),
        (1_000.0, (0, -3_000), -3_000.0),
        (0.0, (0, 0), 0.0),
    ],
)
def test_of_two_sides_the_worse_one_counts_as_pending(net: float, sides: tuple[int, int], worst: float) -> None:
    flow = OrderFlow(10.0, 3.0, MarketHours())
    for number, units in enumerate(sides):
        if units:
            request = PlaceOrder(f"q-{number}", 1, units * 100, "limit", "microlev", limit_price=1.0)
            flow.sent(intended(f"q-{number}", "place"), 0, 1, request, START, grows=True)
    assert flow.pending_units(np.array([net])).tolist() == [worst]


@pytest.mark.parametrize("altered", ["sent", "unknown"])
def test_an_amend_that_grows_an_order_is_pending_from_when_it_is_sent(altered: str) -> None:
    case = Flow(alteration="amend", altered=altered)
    assert case.flow.pending_units(np.array([0.0])).tolist() == [4_000.0]


def test_an_amend_that_shrinks_an_order_counts_once_it_is_carried_out() -> None:
    case = Flow()
    request = AmendOrder("q-2", 1, 40, 100_000, limit_price=1.1)
    case.flow.resting.altered(intended("q-2", "amend", 40), case.order, request, case.now_ns)
    assert case.flow.pending_units(np.array([0.0])).tolist() == [3_000.0]


def test_what_closes_a_position_and_nothing_else_is_never_pending() -> None:
    flow = OrderFlow(10.0, 3.0, MarketHours())
    request = PlaceOrder("q-1", 1, -300_000, "limit", "microlev", position_id=9, limit_price=1.0)
    flow.sent(intended("q-1", "place"), 0, 1, request, START, grows=True)
    assert flow.pending_units(np.array([1_000.0])).tolist() == [0.0]
