"""One order's events: those of others on the same account are neither its own nor its end."""

from typing import Any

from bot.ctrader.enquiry import Answer, Heard, Listen, Timed
from bot.ctrader.schema import enum, message
from bot.doctor.facts import ExaminationPlan, Facts
from bot.doctor.findings import Findings
from bot.doctor.trial import try_order

FACTS = Facts(ExaminationPlan("t", 1, "demo", False, (), 0.05, 1, 0), Findings(lambda f: None), lambda text: None)


def execution(kind: str, order_id: int, position_id: int = 50) -> Any:
    event = message("ProtoOAExecutionEvent")(ctidTraderAccountId=1, executionType=enum("ProtoOAExecutionType")[kind])
    event.order.orderId, event.order.positionId = order_id, position_id
    return event


def margin_changed(position_id: int) -> Any:
    return message("ProtoOAMarginChangedEvent")(ctidTraderAccountId=1, positionId=position_id, usedMargin=1)


def test_only_the_order_s_own_ending_ends_the_wait_and_only_its_own_events_are_kept() -> None:
    script = try_order(FACTS, message("ProtoOANewOrderReq")(), ends=True)
    assert isinstance(next(script), Timed)
    listening = script.send([Answer(execution("ORDER_ACCEPTED", 5), "id-1", 1, 2, 1)])
    assert isinstance(listening, Listen)
    assert listening.until is not None
    assert not listening.until(execution("ORDER_FILLED", 6, 60))
    assert not listening.until(margin_changed(50))
    assert listening.until(execution("ORDER_FILLED", 5))
    heard = [
        Heard(3, execution("ORDER_FILLED", 6, 60), None),
        Heard(4, margin_changed(60), None),
        Heard(5, message("ProtoHeartbeatEvent")(), None),
        Heard(6, execution("ORDER_FILLED", 5), "id-1"),
        Heard(7, margin_changed(50), None),
    ]
    script.send(heard)
    try:
        script.send([])
    except StopIteration as stop:
        trial = stop.value
    assert trial.names == ["ORDER_ACCEPTED", "ORDER_FILLED", "MarginChangedEvent"]
    assert trial.sequence == "ORDER_ACCEPTED*, ORDER_FILLED*, MarginChangedEvent"
    assert trial.ids == ({5}, {50})
