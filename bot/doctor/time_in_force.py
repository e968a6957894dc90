"""Orders that must be filled at once or not at all, where nothing can be filled: do they rest, or end at once?

Source: ProtoOATimeInForce IMMEDIATE_OR_CANCEL, FILL_OR_KILL with ProtoOANewOrderReq LIMIT. An IOC limit order that
rested has been reported; a bot that believes such an order gone would be wrong about what it has at the venue.
"""

from bot.ctrader.enquiry import EnquiryRefused, Script
from bot.ctrader.schema import enum
from bot.doctor.facts import Facts
from bot.doctor.footprint import Footprint, attempt, new_order
from bot.doctor.trial import Refused
from bot.market.symbols import SymbolSpec

AT_ONCE = {"ioc": "IMMEDIATE_OR_CANCEL", "fok": "FILL_OR_KILL"}


def measure_time_in_force(facts: Facts, spec: SymbolSpec, footprint: Footprint, limit: float) -> Script[None]:
    """Place a buy limit order far below the market, once with each time in force, and see what becomes of it."""
    for short, name in AT_ONCE.items():
        facts.on_progress(f"a limit order {short.upper()} on {spec.name}, far from the market")
        yield from _measure(facts, spec, footprint, limit, short, name)


def _measure(facts: Facts, spec: SymbolSpec, footprint: Footprint, limit: float, short: str, name: str) -> Script[None]:
    measured = f"orders.{short}_limit"
    order = new_order(
        facts, spec, footprint, "LIMIT", "BUY", limitPrice=limit, timeInForce=enum("ProtoOATimeInForce")[name]
    )
    try:
        trial = yield from attempt(facts, footprint, order, ends=False)
    except Refused as refused:
        facts.findings.seen(
            measured, f"refused: {refused.code}", f"a limit order {short.upper()} is refused: {refused}"
        )
        return
    (reply,) = yield [facts.ask("Reconcile")]
    if isinstance(reply, EnquiryRefused):
        facts.findings.seen(measured, None, f"not seen, what rests could not be looked up: {trial.sequence}")
        return
    ids, _ = trial.ids
    resting = [order.orderId for order in reply.order if order.orderId in ids]
    if not resting:
        value = "ends" if "ORDER_REJECTED" not in trial.names else "rejected"
        text = f"a limit order {short.upper()} that cannot be filled ends at once: {trial.sequence}"
        facts.findings.seen(measured, value, text)
        return
    text = f"a limit order {short.upper()} that cannot be filled RESTS: {trial.sequence}; the bot uses none"
    facts.findings.seen(measured, "rests", text)
    for order_id in resting:
        yield from attempt(facts, footprint, facts.ask("CancelOrder", orderId=order_id), ends=True)
