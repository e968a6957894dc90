"""A few smallest orders on a demo account, to see how they are answered; whatever happens, nothing of them is left.

How it works: orders far from the market are placed, amended and cancelled; then a market order is filled, its position
protected, hedged, grown, reduced and closed. Every order bears a label and ids of this examination alone. In a
`finally`, orders and positions that bear them are looked up and ended until several looks in a row find none; a failure
says so loudly.
"""

from typing import Any

from bot.ctrader.enquiry import EnquiryRefused, Listen, Script
from bot.ctrader.schema import enum
from bot.ctrader.translate import open_positions
from bot.ctrader.translate import text as readable
from bot.doctor.exposure import ask_before, measure_both_sides, measure_on_top
from bot.doctor.facts import Facts
from bot.doctor.footprint import Footprint, attempt, new_order
from bot.doctor.free_symbol import free_symbol
from bot.doctor.protection import measure_omitted_leg, measure_relative_precision
from bot.doctor.time_in_force import measure_time_in_force
from bot.doctor.trial import Refused, Trial
from bot.market.symbols import SymbolSpec

CLEAN = "demo_orders_clean"
FAR_FRAC = 0.2
"""How far below the bid the resting order is placed, as a fraction of it."""

_MOST_LOOKS = 12
_PAUSE_S = 0.5
_CLEAN_LOOKS, _CLEAN_LOOKS_IN_DOUBT = 2, 6


def measure_orders(facts: Facts, footprint: Footprint) -> Script[None]:
    """Run the trials on the first configured symbol that is free and has prices."""
    if facts.scope == "view":
        facts.findings.check("demo_orders", "unknown", "not tried: the token cannot trade")
        return
    (held,) = yield [facts.ask("Reconcile")]
    spec = None if isinstance(held, EnquiryRefused) else free_symbol(facts, held)
    if spec is None:
        text = "no configured symbol has prices, is open, and is free of positions and orders of the account"
        facts.findings.check("demo_orders", "unknown", f"not tried: {text}")
        return
    footprint.is_dirty = True
    try:
        yield from _trials(facts, spec, footprint)
    except Refused as refused:
        facts.findings.check("demo_orders", "warn", f"ended early: {refused}", refused.code)
    except EnquiryRefused as refused:
        facts.findings.check("demo_orders", "fail", f"ended early: {refused}", refused.code)
    else:
        facts.findings.check("demo_orders", "ok", f"smallest orders on {spec.name} were placed, filled and closed")
    finally:
        yield from clean_up(facts, footprint)


def _trials(facts: Facts, spec: SymbolSpec, footprint: Footprint) -> Script[None]:
    facts.on_progress(f"a resting order on {spec.name}, far from the market")
    bid = (facts.stream(spec.symbol_id).bid_e5 or 0) / 1e5
    limit = spec.round_price(bid * (1 - FAR_FRAC))
    yield from _rest_amend_cancel(facts, spec, footprint, limit, spec.round_price(bid))
    yield from measure_time_in_force(facts, spec, footprint, limit)
    exposure = yield from ask_before(facts, spec)
    facts.on_progress(f"the smallest market order on {spec.name}")
    opened = yield from _market(facts, spec, footprint, "BUY", None)
    _tell_fill(facts, spec, opened)
    if not opened.deals:
        facts.findings.seen("orders.market", None, f"not filled: {opened.sequence}")
        return
    position_id = opened.deals[-1].positionId
    yield from measure_on_top(facts, exposure)
    yield from measure_both_sides(facts, exposure, footprint)
    yield from measure_omitted_leg(facts, spec, footprint, position_id)
    yield from _grow(facts, spec, footprint, position_id)
    yield from _reduce_by_order(facts, spec, footprint, position_id)
    yield from _close_by_request(facts, footprint, position_id)
    yield from measure_relative_precision(facts, footprint)


# -- the trials --------------------------------------------------------------------------------------------------------


def _rest(facts: Facts, spec: SymbolSpec, footprint: Footprint, limit: float, profit: float) -> Script[Trial | None]:
    """Place a resting order with a take profit, or without one if the venue refuses that; None if it takes neither."""
    good_till_cancel = enum("ProtoOATimeInForce")["GOOD_TILL_CANCEL"]
    for extra in ({"takeProfit": profit}, {}):
        fields = {"limitPrice": limit, "timeInForce": good_till_cancel, **extra}
        try:
            order = new_order(facts, spec, footprint, "LIMIT", "BUY", **fields)
            return (yield from attempt(facts, footprint, order, ends=False))
        except Refused as refused:
            facts.findings.seen("orders.resting.refused", refused.code, f"a resting order was refused: {refused}")
    return None


def _rest_amend_cancel(
    facts: Facts, spec: SymbolSpec, footprint: Footprint, limit: float, profit: float
) -> Script[None]:
    placed = yield from _rest(facts, spec, footprint, limit, profit)
    if placed is None:
        return
    facts.findings.seen("orders.resting.events", placed.names, placed.sequence)
    event = placed.last_with("order")
    if event is None:
        return
    order_id, had_profit = event.order.orderId, event.order.HasField("takeProfit")
    came_back = readable(event.order.clientOrderId) == footprint.last_client_order_id
    said = "comes back on the order" if came_back else "does not come back on the order"
    facts.findings.seen("orders.client_order_id_returned", came_back, f"clientOrderId {said}")
    yield from _amend(facts, spec, footprint, order_id, limit, had_profit)
    cancelled = yield from attempt(facts, footprint, facts.ask("CancelOrder", orderId=order_id), ends=True)
    facts.findings.seen("orders.cancel.events", cancelled.names, cancelled.sequence)


def _amend(
    facts: Facts, spec: SymbolSpec, footprint: Footprint, order_id: int, limit: float, had_profit: bool
) -> Script[None]:
    """Amend price and volume, and see what becomes of the take profit that is not named."""
    name, moved = "orders.amend.omitted_field", spec.round_price(limit * 0.99)
    try:
        amended = yield from attempt(
            facts,
            footprint,
            facts.ask("AmendOrder", orderId=order_id, limitPrice=moved, volume=spec.min_volume_cents),
            ends=False,
        )
    except Refused as refused:
        facts.findings.seen(name, None, f"the amendment was refused: {refused.code}")
        return
    facts.findings.seen("orders.amend.events", amended.names, amended.sequence)
    (reply,) = yield [facts.ask("Reconcile")]
    orders = [] if isinstance(reply, EnquiryRefused) else [o for o in reply.order if o.orderId == order_id]
    if not had_profit or not orders:
        facts.findings.seen(name, None, "the order had no take profit to lose")
        return
    kept = orders[0].HasField("takeProfit") and orders[0].takeProfit > 0
    said = "kept" if kept else "cleared"
    facts.findings.seen(name, said, f"a take profit left out of an amendment is {said}")


def _market(facts: Facts, spec: SymbolSpec, footprint: Footprint, side: str, position_id: int | None) -> Script[Trial]:
    fields = {} if position_id is None else {"positionId": position_id}
    trial = yield from attempt(facts, footprint, new_order(facts, spec, footprint, "MARKET", side, **fields), ends=True)
    return trial


def _tell_fill(facts: Facts, spec: SymbolSpec, opened: Trial) -> None:
    seen = facts.findings.seen
    seen("orders.market.events", opened.names, opened.sequence)
    later = [has_id for name, has_id, _ in opened.events[1:] if name == "ORDER_FILLED"]
    said = {True: "carries", False: "does not carry"}
    if later:
        text = f"ORDER_FILLED after ORDER_ACCEPTED {said[later[-1]]} the request's message id"
        seen("orders.message_id_on_fill", later[-1], text)
    else:
        seen("orders.message_id_on_fill", None, "no fill came after another event")
    stream = facts.stream(spec.symbol_id)
    if opened.deals and stream.ask_e5 is not None:
        price = opened.deals[-1].executionPrice
        asks = [spot.ask / 1e5 for at, spot in stream.spots if spot.HasField("ask") and at <= (opened.written_ns or 0)]
        ask = asks[-1] if asks else stream.ask_e5 / 1e5
        slippage = (price / ask - 1) * 1e4
        seen(
            "orders.slippage_bps", round(slippage, 3), f"filled at {price:g}, the ask was {ask:g}: {slippage:+.3f} bps"
        )
        has_digits = opened.deals[-1].HasField("moneyDigits")
        seen("money_digits.deal", has_digits, f"moneyDigits of a deal is {'stated' if has_digits else 'absent'}")
    if opened.written_ns is not None and opened.recv_ns is not None:
        first_ms = (opened.recv_ns - opened.written_ns) / 1e6
        seen(
            "orders.first_answer_ms", round(first_ms, 1), f"the first answer to the market order took {first_ms:.1f} ms"
        )
    margin = _used_margin(opened)
    stated = "absent" if margin is None else f"{margin} in minor units"
    seen("orders.used_margin", margin, f"usedMargin of the new position: {stated}")


def _used_margin(trial: Trial) -> int | None:
    event = trial.last_with("position")
    return int(event.position.usedMargin) if event is not None and event.position.HasField("usedMargin") else None


def _grow(facts: Facts, spec: SymbolSpec, footprint: Footprint, position_id: int) -> Script[None]:
    name = "orders.increase_by_position_id"
    try:
        grown = yield from _market(facts, spec, footprint, "BUY", position_id)
    except Refused as refused:
        facts.findings.seen(name, f"refused: {refused.code}", f"an order with positionId is refused: {refused}")
        return
    same = bool(grown.deals) and all(deal.positionId == position_id for deal in grown.deals)
    text = f"an order of the same side with positionId {'grows' if same else 'does not grow'} the position"
    facts.findings.seen(name, same, f"{text}: {grown.sequence}; usedMargin {_used_margin(grown)}")


def _reduce_by_order(facts: Facts, spec: SymbolSpec, footprint: Footprint, position_id: int) -> Script[None]:
    name = "orders.opposite_with_position_id"
    try:
        reduced = yield from _market(facts, spec, footprint, "SELL", position_id)
    except Refused as refused:
        facts.findings.seen(
            name, f"refused: {refused.code}", f"an opposite order with positionId is refused: {refused}"
        )
        return
    same = bool(reduced.deals) and all(deal.positionId == position_id for deal in reduced.deals)
    said = "reduces the position" if same else "opens another position"
    facts.findings.seen(name, "reduces" if same else "opens", f"an opposite order with positionId {said}")


def _close_by_request(facts: Facts, footprint: Footprint, position_id: int) -> Script[None]:
    (reply,) = yield [facts.ask("Reconcile")]
    if isinstance(reply, EnquiryRefused):
        raise reply
    left = [p for p in open_positions(reply.position) if p.position_id == position_id]
    if not left:
        return
    request = facts.ask("ClosePosition", positionId=position_id, volume=abs(left[0].volume_cents))
    closed = yield from attempt(facts, footprint, request, ends=True)
    facts.findings.seen("orders.close.events", closed.names, closed.sequence)


# -- nothing is left ---------------------------------------------------------------------------------------------------


def clean_up(facts: Facts, footprint: Footprint) -> Script[None]:
    """End every order and position of this examination, look until nothing is found, and say how it went.

    An order without an answer may come late, so it is looked for longer.
    """
    clean_looks, left, why = 0, "what is open could not be looked up", ""
    needed = _CLEAN_LOOKS_IN_DOUBT if footprint.is_in_doubt else _CLEAN_LOOKS
    for _ in range(_MOST_LOOKS):
        facts.on_progress("looking for what is left of our orders")
        (reply,) = yield [facts.ask("Reconcile")]
        if isinstance(reply, EnquiryRefused):
            why = str(reply)
            if reply.code == "DISCONNECTED":
                break
            continue
        orders, positions = _ours(reply, footprint)
        clean_looks = 0 if orders or positions else clean_looks + 1
        if clean_looks == needed:
            footprint.is_dirty = False
            facts.findings.check(CLEAN, "ok", f"nothing is left: looked up at the venue, {needed} times")
            return
        left = f"orders {sorted(orders)}, positions {sorted(positions)}"
        requests = [facts.ask("CancelOrder", orderId=order_id) for order_id in orders]
        requests += [facts.ask("ClosePosition", positionId=i, volume=volume) for i, volume in positions.items()]
        refusals = [r for r in (yield requests) if isinstance(r, EnquiryRefused)]
        why = "; ".join(map(str, refusals)) or why
        facts.hear((yield Listen(_PAUSE_S)))
    text = f"STILL OPEN at the venue: {left}. Close them by hand now; they bear the label {footprint.label}"
    facts.findings.check(CLEAN, "fail", f"{text}{f' ({why})' if why else ''}")


def _ours(reply: Any, footprint: Footprint) -> tuple[list[int], dict[int, int]]:
    """Return our working order ids, and our open positions by id with their volume (0.01 unit).

    By label; by id only where the venue returns no label at all: what bears another label is never touched.
    """

    def is_ours(label: str, known: bool) -> bool:
        return label == footprint.label or (not label and known)

    orders = [
        order.orderId
        for order in reply.order
        if is_ours(readable(order.tradeData.label), order.orderId in footprint.order_ids)
    ]
    positions = {
        p.position_id: abs(p.volume_cents)
        for p in open_positions(reply.position)
        if is_ours(p.label, p.position_id in footprint.position_ids)
    }
    return orders, positions
